"""A copy that does not fit on the disk is refused before it is begun."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from database_files import make

from valet_studio.database.copy import copy_to
from valet_studio.database.target import open_target
from valet_studio.errors import DatabaseError


def test_no_room_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = make(tmp_path / "live.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(9999))")
    before = live.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=4096))
    with pytest.raises(DatabaseError, match=r"no room for a copy .* needs 0.0 MB") as caught:
        list(copy_to(open_target(str(live)), tmp_path / "copy.db", lambda: False))
    assert "TMPDIR" in (caught.value.problems[0].hint or "")
    assert live.read_bytes() == before
