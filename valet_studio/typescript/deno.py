"""Finds Deno, and starts it with every permission denied but reading the schema's modules."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from valet_studio.errors import SandboxError, reason_of
from valet_studio.scratch import make_scratch
from valet_studio.typescript.cache import forget, kept_cache
from valet_studio.typescript.limits import Limits
from valet_studio.typescript.modules import SERVER_MODULE, Modules, aliases, plain_json_imports

SHIM = Path(__file__).resolve().parent / "shim"
DENO_VARIABLE = "VALET_STUDIO_DENO"
MEGABYTE = 1 << 20
YOUNG_MB = 16
"""Half of the heap for new objects. Batches are garbage soon: with more than this a backfill takes
50 MB more and is no faster, with less it is slower. Half of that to begin with: a schema of 2,000
fields is read before it has to be tidied."""

FAR_ZONE = "Pacific/Kiritimati"
"""Where no machine is likely to stand: fourteen hours ahead, so that half of all moments have
another date there than in Greenwich."""

RUN_GIVES_WAY, CHECK_GIVES_WAY = 5, 15
"""By how much schema.ts and the compiler are nicer than this program (see nice(1)): a key is to be
answered while a dry run goes on, and a dry run is not to wait for a type check."""
CHECK_HEAP_MB = 1024
"""JavaScript heap of the TypeScript compiler, which is not the user's code."""
_LANGUAGE_ALONE = "language.json"
"""The compiler's configuration without the names of the web and of Deno."""

_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
"""This program may open no more files, or start no more programs."""


def find_deno() -> str:
    """The Deno to run: the one named by the user, else the one that the package brings.

    Raises:
        SandboxError: there is none.
    """
    named = os.environ.get(DENO_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise SandboxError(
                f"{DENO_VARIABLE} names {named}, which cannot be run.",
                f"Let {DENO_VARIABLE} name a Deno of version 2.9 or later, or unset it.",
            )
        return found
    if sys.prefix != sys.base_prefix:
        # A virtual environment has it beside Python, where the package finds it too, but only
        # after it has read how Python was built.
        beside = Path(sys.executable).with_name("deno.exe" if os.name == "nt" else "deno")
        if beside.is_file():
            return str(beside)
    try:
        import deno  # type: ignore[import-untyped]

        return str(deno.find_deno_bin())
    except (ImportError, FileNotFoundError) as error:
        raise SandboxError(
            "Deno, which runs schema.ts, is not installed.",
            f"Run `pip install 'deno>=2.9'`, or name a Deno in {DENO_VARIABLE}.",
        ) from error


@dataclass(frozen=True, slots=True)
class Workspace:
    """A private directory that holds one schema's modules while they run."""

    root: Path
    entry: str
    cache: Path
    """Where Deno keeps what it makes of modules."""

    @property
    def sources(self) -> Path:
        """Where the modules stand."""
        return self.root / "sources"

    @property
    def errors(self) -> Path:
        """What the process wrote to standard error."""
        return self.root / "errors.txt"

    def remove(self) -> None:
        """Delete the directory."""
        shutil.rmtree(self.root, ignore_errors=True)
        forget(self.cache, self.root)


def make_workspace(modules: Modules) -> Workspace:
    """Write the modules and their import map into a fresh directory.

    Raises:
        SandboxError: it cannot be written.
    """
    try:
        root = make_scratch().resolve()
    except OSError as error:
        raise SandboxError(
            f"No temporary directory can be made: {reason_of(error)}.", "Free some disk space."
        ) from error
    workspace = Workspace(root, modules.entry, kept_cache() or root / "cache")
    try:
        _write(workspace, modules)
        (root / "import_map.json").write_text(_import_map(workspace, modules), "utf-8")
        (root / _LANGUAGE_ALONE).write_text('{"compilerOptions": {"lib": ["esnext"]}}', "utf-8")
    except BaseException as error:
        workspace.remove()
        if isinstance(error, OSError):
            raise SandboxError(
                f"The schema's modules cannot be copied to {root}: {reason_of(error)}.",
                "Free some disk space.",
            ) from error
        raise
    return workspace


def refill(workspace: Workspace, modules: Modules) -> bool:
    """Put other modules in a workspace whose process has not run any yet.

    False where that cannot be: Deno has read the import map, and they need another one.
    """
    try:
        known = (workspace.root / "import_map.json").read_text("utf-8")
        if modules.entry != workspace.entry or _import_map(workspace, modules) != known:
            return False
        _write(workspace, modules)
    except OSError:
        return False
    return True


def _import_map(workspace: Workspace, modules: Modules) -> str:
    imports = {SERVER_MODULE: (SHIM / "server.ts").as_uri()}
    for alias, file in aliases(modules.files).items():
        imports[(workspace.sources / alias).as_uri()] = (workspace.sources / file).as_uri()
    for file in plain_json_imports(modules.files):
        script = workspace.sources / f"{file}.mjs"
        imports[(workspace.sources / file).as_uri()] = script.as_uri()
    return json.dumps({"imports": imports}, sort_keys=True)


def _write(workspace: Workspace, modules: Modules) -> None:
    shutil.rmtree(workspace.sources, ignore_errors=True)
    texts = dict(modules.files)
    for file in plain_json_imports(modules.files):
        texts[f"{file}.mjs"] = f"export default JSON.parse({json.dumps(modules.files[file])});\n"
    for file, text in texts.items():
        path = workspace.sources / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def start(workspace: Workspace, limits: Limits, *, skewed: bool) -> subprocess.Popen[bytes]:
    """Start the child process on a workspace.

    Args:
        skewed: whether it has another clock and another time zone than this machine.

    Raises:
        SandboxError: Deno is missing or cannot be started.
    """
    command = [
        find_deno(),
        "run",
        "--quiet",
        "--no-prompt",
        "--no-remote",
        "--no-npm",
        "--no-config",
        "--no-lock",
        "--no-check",
        "--no-code-cache",
        f"--import-map={workspace.root / 'import_map.json'}",
        f"--allow-read={workspace.sources},{SHIM}",
        f"--v8-flags=--max-old-space-size={limits.heap_mb},"
        f"--min-semi-space-size={YOUNG_MB // 2},--max-semi-space-size={YOUNG_MB}",
        str(SHIM / "host.ts"),
        (workspace.sources / workspace.entry).as_uri(),
        "skewed" if skewed else "",
    ]
    zone = {"TZ": FAR_ZONE} if skewed else {}
    process = _spawn(command, workspace, subprocess.PIPE, zone)
    _give_way(process.pid, RUN_GIVES_WAY)
    _limit_memory(process.pid, limits)
    return process


def start_check(workspace: Workspace, *, language_alone: bool) -> subprocess.Popen[bytes]:
    """Start the TypeScript compiler on a workspace; what it finds goes to `workspace.errors`.

    It reads the modules and runs none of them.

    Args:
        language_alone: whether only JavaScript's own names are known, and not those of the web
            and of Deno.

    Raises:
        SandboxError: Deno is missing or cannot be started.
    """
    command = [
        find_deno(),
        "check",
        "--quiet",
        "--no-remote",
        "--no-npm",
        f"--config={workspace.root / _LANGUAGE_ALONE}" if language_alone else "--no-config",
        "--no-lock",
        f"--import-map={workspace.root / 'import_map.json'}",
        f"--v8-flags=--max-old-space-size={CHECK_HEAP_MB}",
        (workspace.sources / workspace.entry).as_uri(),
    ]
    process = _spawn(command, workspace, subprocess.DEVNULL)
    _give_way(process.pid, CHECK_GIVES_WAY)
    _limit_memory(process.pid, Limits(heap_mb=CHECK_HEAP_MB))
    return process


def _spawn(
    command: list[str], workspace: Workspace, stream: int, more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    environment = {
        "DENO_DIR": str(workspace.cache),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        **(more or {}),
    }
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", r"C:\Windows")
    try:
        with workspace.errors.open("wb") as errors:
            return subprocess.Popen(
                command,
                stdin=stream,
                stdout=stream,
                stderr=errors,
                cwd=workspace.root,
                env=environment,
                # A Ctrl-C reaches the parent alone, which then decides what to stop. Not a session
                # of its own: Linux would share out the processors by sessions, whatever gives way.
                process_group=0,
            )
    except OSError as error:
        hint = f"Reinstall the deno package, or name a Deno in {DENO_VARIABLE}."
        if error.errno in _NO_MORE:
            hint = "Close other programs, or raise the limits of this one (`ulimit -a`)."
        raise SandboxError(
            f"Deno at {command[0]} cannot be started: {reason_of(error)}.", hint
        ) from error


def _give_way(pid: int, much: int) -> None:
    """Let a process that has just started give way to this one, with all its threads to come.

    Linux asks each thread; on a busy machine some have begun already, and those have not inherited
    it (https://man7.org/linux/man-pages/man2/setpriority.2.html, "C library/kernel differences").
    """
    if sys.platform == "win32":
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0) + much
    threads = Path(f"/proc/{pid}/task")
    told: set[int] = set()
    asked = {pid}
    while asked:
        for thread in asked:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, nice)
        told |= asked
        try:
            asked = {int(thread.name) for thread in threads.iterdir()} - told
        except OSError:  # It has ended, or this is not Linux.
            return


def _limit_memory(pid: int, limits: Limits) -> None:
    """Bound what the process may hold outside of JavaScript's heap (ArrayBuffers) on Linux.

    RLIMIT_AS would not do: V8 reserves far more address space than it uses.
    """
    if sys.platform == "linux":
        import resource

        size = (2 * limits.heap_mb + 512) * MEGABYTE
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))
