"""A process that waits gives the answers that a new one gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import schema_of

from valet_studio.errors import SchemaError
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.typescript import warm
from valet_studio.typescript.child import Child
from valet_studio.typescript.limits import Limits

LIMITS = Limits()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """A process that waits for a schema.ts."""
    with Child(sources("a"), LIMITS) as child:
        monkeypatch.setattr(warm, "_waiting", child)
        yield child


def sources(field: str, **more: str) -> Sources:
    text = schema_of(f"t: defineTable({{ {field}: v.string() }}),")
    files = {"schema.ts": text, **{f"{name}.ts": body for name, body in more.items()}}
    return Sources("schema.ts", files)


def test_it_runs_what_it_is_given(waiting: Child) -> None:
    process = waiting._process
    with warm.take(sources("b"), LIMITS) as taken:
        assert taken is waiting
        assert taken.evaluate()["tables"][0]["name"] == "t"
    assert process.returncode is not None
    assert [f.name for f in evaluate(sources("c")).tables[0].fields] == ["c"]


@pytest.mark.usefixtures("waiting")
def test_a_broken_schema_breaks_as_ever() -> None:
    broken = Sources("schema.ts", {"schema.ts": "export default 1 +"})
    with pytest.raises(SchemaError, match="Syntax error"):
        evaluate(broken)


@pytest.mark.parametrize("case", ["another module", "other limits", "already run", "dead"])
def test_a_process_that_does_not_fit_is_replaced(waiting: Child, case: str) -> None:
    given, limits = sources("b"), LIMITS
    if case == "another module":
        given = sources("b", helpers="export const x = 1")
    elif case == "other limits":
        limits = Limits(heap_mb=64)
    elif case == "already run":
        waiting.evaluate()
    else:
        waiting._process.kill()
        waiting._process.wait()
    with warm.take(given, limits) as taken:
        assert taken is not waiting
        assert "thrown" not in taken.evaluate()
    assert waiting._process.poll() is not None


def test_one_waits_only_once_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_waiting", None)
    monkeypatch.setattr(warm, "_kept", False)
    with warm.take(sources("a"), LIMITS):
        assert warm._waiting is None
    warm._prepare(sources("a"), LIMITS)
    with warm.take(sources("b"), LIMITS) as taken:
        assert taken.evaluate()["tables"][0]["name"] == "t"


def test_it_is_started_once_the_studio_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(warm, "_waiting", None)
    monkeypatch.setattr(warm, "_kept", True)
    monkeypatch.setattr(warm, "_next", None)
    monkeypatch.setattr(warm, "REST_SECONDS", 60)
    monkeypatch.setattr(warm, "_prepare", lambda given, _limits: started.append(given.entry))
    for field in ("a", "b"):
        with warm.take(sources(field), LIMITS):
            pass
    first = warm._next
    assert first is not None
    monkeypatch.setattr(warm, "REST_SECONDS", 0.001)
    with warm.take(sources("c"), LIMITS):
        pass
    assert first.finished.is_set()
    assert warm._next is not None
    warm._next.join()
    assert started == ["schema.ts"]


@pytest.mark.filterwarnings("error")
def test_what_fails_beforehand_is_told_by_whoever_needs_it() -> None:
    def fails() -> Sources:
        raise RecursionError

    warm.begin(fails, LIMITS)
    with warm.take(sources("a"), LIMITS) as child:
        assert child.evaluate()["tables"][0]["name"] == "t"
