"""What Deno keeps from run to run, and what it must not."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import schema_of

from valet_studio.schema.model import Sources
from valet_studio.typescript import cache
from valet_studio.typescript.cache import kept_cache
from valet_studio.typescript.child import Child

SOURCES = Sources("schema.ts", {"schema.ts": schema_of("t: defineTable({ x: v.number() }),")})


def evaluated() -> object:
    with Child(SOURCES) as child:
        return child.evaluate()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "valet-studio" / "deno"


def test_what_is_kept_is_of_this_package_alone(kept: Path) -> None:
    evaluated()
    made = {path.name: path.stat().st_mtime_ns for path in kept.rglob("*.js")}
    assert "host.ts.js" in made
    assert "schema.ts.js" not in made
    evaluated()
    assert {path.name: path.stat().st_mtime_ns for path in kept.rglob("*.js")} == made


def test_it_is_begun_anew_where_it_grew_too_large(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated()
    database = kept / "dep_analysis_cache_v2"
    before = database.stat().st_ino
    monkeypatch.setattr(cache, "MOST_BYTES", 1)
    with database.open("rb"):  # so that its number is not given away
        evaluated()
        assert database.stat().st_ino != before
    assert list(kept.parent.iterdir()) == [kept]


def test_without_one_everything_works_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/none")
    assert kept_cache() is None
    assert evaluated()


def test_one_that_is_damaged_does_no_harm(kept: Path) -> None:
    before = evaluated()
    # There are links to Deno itself among the files.
    for path in [*kept.glob("*_cache_v2*"), *kept.rglob("*.js")]:
        path.write_bytes(b"no database and no JavaScript")
    assert evaluated() == before
