"""Type-checks a schema with the TypeScript compiler that Deno brings: `deno check`.

Nothing of the schema is run. A `row` in a backfill has the type of its table's document, so a
wrong field name or return type is found here before any document is touched.

The first check knows the names of the language alone, since those of the web and of Deno take the
compiler most of its time. Where a message may be about one of these, a second check knows them too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from valet_studio.errors import (
    Cancelled,
    IsCancelled,
    Location,
    Problem,
    SandboxError,
    lines_of,
    never,
)
from valet_studio.typescript.deno import Workspace, make_workspace, start_check
from valet_studio.typescript.modules import Modules, shown_path
from valet_studio.typescript.stacks import user_location

CHECK_SECONDS = 60.0
"""How long the compiler may take; a schema takes about half a second."""

_POLL_SECONDS = 0.02


def check(modules: Modules, cancelled: IsCancelled = never) -> tuple[Problem, ...]:
    """What the TypeScript compiler has to say of a schema's modules, in the order of their lines.

    Raises:
        Cancelled: `cancelled` answered True; the compiler was stopped.
        SandboxError: Deno is missing, cannot be started, or took longer than `CHECK_SECONDS`.
    """
    workspace = make_workspace(modules)
    try:
        said, code = _run(workspace, cancelled, language_alone=True)
        if code != 0 and _is_doubtful(said):
            said, code = _run(workspace, cancelled, language_alone=False)
    finally:
        workspace.remove()
    problems = tuple(parse_diagnostics(said, workspace.sources.as_uri(), modules))
    if code != 0 and not problems:
        first = next((line for line in said.splitlines() if line.strip()), f"exit code {code}")
        raise SandboxError(
            f"The type checker failed: {first.removeprefix('error: ').rstrip('.')}.",
            "The plan does not depend on it. Mend what it names, or save again.",
        )
    return tuple(sorted(problems, key=lambda p: p.location or Location("", 0, 0)))


def _run(workspace: Workspace, cancelled: IsCancelled, *, language_alone: bool) -> tuple[str, int]:
    process = start_check(workspace, language_alone=language_alone)
    deadline = time.monotonic() + CHECK_SECONDS
    try:
        while process.poll() is None:
            if cancelled():
                raise Cancelled("The type check was cancelled.")
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"The type check took longer than {CHECK_SECONDS:g} seconds and was stopped.",
                    "Look for a type in schema.ts that refers to itself without an end.",
                )
            time.sleep(_POLL_SECONDS)
    finally:
        process.kill()
        process.wait()
    return workspace.errors.read_text("utf-8", "replace"), process.returncode


_HEAD = re.compile(r"^TS(\d+) \[\w+\]: ", re.MULTILINE)
_PLACE = re.compile(r"^ {4}at (file:///.+:\d+:\d+)$", re.MULTILINE)
_SHOWN_SOURCE = re.compile(r"\n[^\n]*\n *(?:~+|\^)\s*$")
_SUGGESTION = re.compile(r"(.*?[.:]) (Did you mean .*)")
_COUNT = re.compile(r"\s*(Found \d+ errors?\.\s*)?error: Type checking failed\.\s*$")
_UNPARSABLE = re.compile(r"SyntaxError: (.*)\n(?:.*\n)*? *at (file:///.+:\d+:\d+)")


_OF_A_LIBRARY = re.compile(
    r"^TS(2304|2318|2503|2550|2552|2568|258\d|259\d|2688) |change your target library"
    r"|'(ErrorConstructor|ImportMeta|typeof globalThis)'",
    re.MULTILINE,
)
"""Unknown names and modules, and the types of the language to which Deno adds members."""


def _is_doubtful(said: str) -> bool:
    """Whether a message may come from what the language alone does not declare."""
    return _HEAD.search(said) is None or _OF_A_LIBRARY.search(said) is not None


def parse_diagnostics(said: str, sources_uri: str, modules: Modules) -> Iterator[Problem]:
    """The compiler's text as problems; those outside of the user's modules are left out.

    A message's first line becomes the sentence, with TypeScript's code; what explains it becomes
    the hint.
    """
    said = _COUNT.sub("", said)
    heads = list(_HEAD.finditer(said))
    for head, following in zip(heads, [*heads, None][1:], strict=True):
        text = said[head.end() : following.start() if following is not None else len(said)]
        found = _PLACE.search(text)
        place = user_location(found[1], sources_uri, modules.folder) if found else None
        if found is None or place is None:
            continue
        message = _SHOWN_SOURCE.sub("", text[: found.start()].rstrip("\n"))
        message = message.replace(f"{sources_uri}/", shown_path(modules.folder, ""))
        yield _problem(message, f"TS{head[1]}", place, modules)
    if not heads and (wrong := _UNPARSABLE.search(said)):
        place = user_location(wrong[2], sources_uri, modules.folder)
        yield _problem(f"Syntax error: {wrong[1]}", None, place, modules)


def _problem(message: str, code: str | None, place: Location | None, modules: Modules) -> Problem:
    first, *rest = (line.strip() for line in message.splitlines())
    suggestion = _SUGGESTION.fullmatch(first)
    if suggestion:
        first, rest = suggestion[1], [suggestion[2], *rest]
    sentence = first.rstrip(".:") + (f" ({code})." if code else ".")
    return Problem(sentence, " ".join(rest) or None, place, _line(place, modules))


def _line(place: Location | None, modules: Modules) -> str | None:
    if place is None:
        return None
    for file, text in modules.files.items():
        lines = lines_of(text)
        if shown_path(modules.folder, file) == place.file and place.line <= len(lines):
            return lines[place.line - 1]
    return None
