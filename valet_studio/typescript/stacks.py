"""Finds the user's own line in what JavaScript says of a call or an error."""

from __future__ import annotations

import re
from urllib.parse import unquote

from valet_studio.errors import Location
from valet_studio.typescript.modules import shown_path

_FRAME = re.compile(r"(file:///[^\s()]+):(\d+):(\d+)")


def user_location(stack: str, sources_uri: str, folder: str) -> Location | None:
    """The first place of a stack that lies in the user's modules.

    Args:
        stack: the text of a JavaScript stack.
        sources_uri: URI of the directory that the modules run from.
        folder: how that directory is named to the user.
    """
    for uri, line, column in _FRAME.findall(stack):
        if uri.startswith(f"{sources_uri}/"):
            file = unquote(uri[len(sources_uri) + 1 :])
            return Location(shown_path(folder, file), int(line), int(column))
    return None
