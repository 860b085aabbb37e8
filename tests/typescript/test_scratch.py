"""Temporary directories: gone at the end, and those of killed programs at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from valet_studio.scratch import scratch


def test_what_a_killed_program_left_is_deleted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, signal\n"
        "from valet_studio.scratch import scratch\n"
        "with scratch() as folder:\n"
        "    (folder / 'copy.db').write_text('somebody’s data')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    (left,) = tmp_path.iterdir()
    mine = tmp_path / f"valet-studio-{os.getpid()}-kept"
    others = tmp_path / "valet-studio-notes"
    mine.mkdir()
    others.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch() as folder:
        assert not left.exists()
        assert folder.is_dir()
    assert set(tmp_path.iterdir()) == {mine, others}


def test_it_goes_also_where_something_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        with scratch() as folder:
            (folder / "file").touch()
            raise ValueError("no")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="no"):
        work()
    assert list(tmp_path.iterdir()) == []
