"""Finds the user's own line in what JavaScript says of a call or an error."""

from __future__ import annotations

import re
from urllib.parse import unquote

from valet_studio.errors import Location
from valet_studio.typescript.modules import shown_path

_FRAME = re.compile(r"(file:///.+?):(\d+):(\d+)\)?$", re.MULTILINE)


def user_location(stack: str, sources_uri: str, folder: str) -> Location | None:
    """The first place of a stack that lies in the user's modules.

    Args:
        stack: the text of a JavaScript stack.
        sources_uri: URI of the directory that the modules run from.
        folder: how that directory is named to the user.
    """
    folder_uri = f"{unquote(sources_uri)}/"
    for uri, line, column in _FRAME.findall(stack):
        # Deno writes some characters plainly that a URI would escape.
        place = unquote(uri)
        if place.startswith(folder_uri):
            file = place.removeprefix(folder_uri)
            return Location(shown_path(folder, file), int(line), int(column))
    return None
