"""What every test stands on: a real project in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project; the working directory is its root."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
