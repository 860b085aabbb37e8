"""What a user would pick instead, installed into a private cache directory and run beside ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "valet-studio-benchmarks"


def install() -> dict[str, str]:
    """Install the peers where they are missing; what could not be installed, and why."""
    missing = {}
    for name, installer in (("better-sqlite3", _better_sqlite3), ("boabem", _boabem)):
        try:
            installer()
        except (OSError, subprocess.SubprocessError) as error:
            missing[name] = str(error).splitlines()[-1]
    return missing


def better_sqlite3(method: str, case: str, database: Path) -> float:
    """Seconds that better-sqlite3 takes: its row loop ("loop") or a function in SQL ("udf")."""
    return _seconds("node", str(HERE / "peer_sqlite.cjs"), method, case, str(database))


def boa(case: str, database: Path) -> float:
    """Seconds that boa takes, the engine of the original."""
    return _seconds(str(_python()), str(HERE / "peer_boa.py"), case, str(database))


def _seconds(*command: str) -> float:
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_PATH": str(CACHE / "npm" / "node_modules")},
    )
    return float(done.stdout)


def _better_sqlite3() -> None:
    folder = CACHE / "npm"
    package = folder / "node_modules" / "better-sqlite3"
    if (package / "build" / "Release" / "better_sqlite3.node").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    _run(["npm", "install", "better-sqlite3", "--no-audit", "--no-fund"], folder)
    if (package / "build" / "Release" / "better_sqlite3.node").exists():
        return
    # No prebuilt binary was to be had, or npm runs no install scripts: compile it.
    npm = Path(shutil.which("npm") or "npm").resolve()
    gyp = next(npm.parents[1].rglob("node-gyp/bin/node-gyp.js"))
    prefix = Path(shutil.which("node") or "node").resolve().parents[1]
    headers = ["--nodedir", str(prefix)] if (prefix / "include" / "node").exists() else []
    print("compiling better-sqlite3 (some minutes) …", file=sys.stderr)
    _run(["node", str(gyp), "rebuild", "--release", *headers], package)


def _boabem() -> None:
    if not _python().exists():
        _run([sys.executable, "-m", "venv", str(CACHE / "py")], HERE)
    found = subprocess.run([str(_python()), "-c", "import boabem"], capture_output=True)
    if found.returncode != 0:
        _run([str(_python()), "-m", "pip", "install", "--quiet", "boabem"], HERE)


def _python() -> Path:
    return CACHE / "py" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
