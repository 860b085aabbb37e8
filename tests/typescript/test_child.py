"""The child process: batches in and out, and what stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from support import schema_of

from valet_studio.errors import Cancelled, Location, SandboxError
from valet_studio.schema.model import Sources
from valet_studio.typescript import deno
from valet_studio.typescript.answers import BatchAnswer
from valet_studio.typescript.child import Child
from valet_studio.typescript.deno import DENO_VARIABLE
from valet_studio.typescript.endings import ChildStopped
from valet_studio.typescript.limits import Limits

TIGHT = Limits(document_seconds=0.4, heap_mb=48)


def sources(fields: str, function: str, before: str = "") -> Sources:
    """A table `t` with these fields and a backfill of `x`, on line 4 of schema.ts."""
    text = schema_of(f"t: defineTable({{ {fields} }})\n  .backfill('x', {function}),")
    return Sources("schema.ts", {"schema.ts": text + before})


def batch(**columns: list[Any]) -> bytes:
    return json.dumps({"columns": columns}).encode()


def answer(fields: str, function: str, before: str = "", **columns: list[Any]) -> BatchAnswer:
    with Child(sources(fields, function, before), TIGHT) as child:
        child.start_backfill("t", "x")
        child.send(batch(**columns))
        return child.receive()


@pytest.mark.parametrize(
    ("validator", "expression", "stored"),
    [
        ("v.string()", "'é\\u{1F600}\\n'", "é\U0001f600\n"),
        ("v.number()", "1.5", 1.5),
        ("v.number()", "1e300", 1e300),
        ("v.number()", "2 ** 63", 2.0**63),
        ("v.number()", "-(2 ** 53) + 1", -(2**53) + 1),
        ("v.int()", "7", 7),
        ("v.boolean()", "true", 1),
        ("v.boolean()", "false", 0),
        ("v.bytes()", "new Uint8Array([0, 10, 255]).buffer", b"\x00\x0a\xff"),
        ("v.bytes()", "new ArrayBuffer(0)", b""),
        ("v.id('t')", "row._id", "a"),
        ("v.null()", "null", None),
        ("v.any()", "({ a: [1, undefined ?? null], b: undefined })", '{"a":[1,null]}'),
        ("v.any()", "'text'", '"text"'),
        ("v.any()", "null", None),
        ("v.array(v.string())", "['x']", '["x"]'),
        ("v.object({ a: v.int(), b: v.optional(v.int()) })", "({ a: 1 })", '{"a":1}'),
        ("v.object({ a: v.int() })", "({ a: 1, b: undefined })", '{"a":1}'),
        ("v.record(v.string(), v.boolean())", "({ k: true })", '{"k":true}'),
        ("v.union(v.literal('a'), v.literal('b'))", "'b'", "b"),
        ("v.union(v.string(), v.null())", "null", None),
        ("v.union(v.string(), v.number())", "3", "3"),
        ("v.union(v.literal(true), v.boolean())", "true", 1),
        ("v.optional(v.number())", "undefined", None),
        ("v.optional(v.number())", "null", None),
    ],
)
def test_values_come_back_in_stored_form(validator: str, expression: str, stored: object) -> None:
    got = answer(f"x: {validator}", f"(row) => ({expression})", _id=["a"])
    assert got.failures == ()
    assert got.values == [stored]
    assert type(got.values[0]) is type(stored)


@pytest.mark.parametrize(
    ("validator", "expression", "message"),
    [
        ("v.number()", "undefined", "returned undefined, which is not a number."),
        ("v.number()", "null", "returned null, which is not a number."),
        ("v.number()", "NaN", "returned NaN, which is not a finite number."),
        ("v.number()", "-Infinity", "returned -Infinity, which is not a finite number."),
        ("v.number()", "'3'", 'returned "3", which is not a number.'),
        ("v.number()", "3n", "returned 3n, which is a bigint: return a number."),
        ("v.number()", "Promise.resolve(3)", "returned a promise: the function may not be async."),
        ("v.number()", "(() => 3)", "returned a function, which is not a number."),
        ("v.int()", "1.5", "returned 1.5, which is not a whole number."),
        ("v.int()", "2 ** 53", "992, which is beyond 2 ** 53, where numbers are not exact."),
        ("v.int()", "10n", "returned 10n, which is a bigint: return a number."),
        ("v.boolean()", "1", "returned 1, which is not a boolean."),
        ("v.bytes()", "new Uint8Array(2)", "returned a Uint8Array, which is not an ArrayBuffer."),
        ("v.string()", "'\\ud800'", "which holds half of a surrogate pair: it is no text."),
        ("v.union(v.literal('a'), v.null())", "'b'", 'returned "b", which is not "a" or null.'),
        ("v.array(v.int())", "[1, 'x']", 'a value whose [1] is "x", which is not a whole number.'),
        ("v.object({ a: v.int() })", "({})", 'returned {}, which lacks the property "a".'),
        ("v.object({})", "({ b: 1 })", 'has the property "b", which its validator does not know.'),
        ("v.any()", "({ d: new Date(0) })", "whose .d is a Date, which is no JSON value."),
        ("v.any()", "[undefined]", "whose [0] is undefined, which is no JSON value."),
        ("v.any()", "row", "nested too deep, or holds itself."),
    ],
)
def test_a_value_that_breaks_its_validator_fails(
    validator: str, expression: str, message: str
) -> None:
    function = f"(row: any) => {{ row.self = row; return ({expression}) }}"
    (failure,) = answer(f"x: {validator}", function, _id=["a"]).failures
    assert failure.message.startswith('Backfill "x" returned ')
    assert failure.message.endswith(message)
    assert failure.location == Location("valet/schema.ts", 4, 4)


def test_documents_are_decoded() -> None:
    got = answer(
        "x: v.any(), flag: v.boolean(), data: v.bytes(), json: v.any(), old: v.string()",
        "(row: any) => [row.flag, row.data && new Uint8Array(row.data)[1], row.json, row.more,"
        " row.old, Object.keys(row)]",
        _id=["a", "b"],
        flag=[1, None],
        data=[{"$b": "00ff"}, None],
        json=['{"k":[1]}', None],
        more=[2.5, "raw"],
        old=["it's", None],
    )
    keys = ["_id", "flag", "data", "json", "more", "old"]
    assert [json.loads(value) for value in got.values] == [
        [True, 255, {"k": [1]}, 2.5, "it's", keys],
        [None, None, None, "raw", None, keys],
    ]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"$i": "9007199254740993"}, "holds 9007199254740993, which a JavaScript number cannot"),
        (
            "{broken",
            '"n" holds text that is not JSON: mend it in the database, or catch this error',
        ),
    ],
)
def test_a_cell_that_cannot_be_read_fails_only_who_reads_it(cell: object, message: str) -> None:
    function = "(row) => row._id === 'a' ? 1 : row.n"
    got = answer("x: v.any(), n: v.any()", function, _id=["a", "b", "c"], n=[cell, cell, "3"])
    assert got.values == ["1", None, "3"]
    (failure,) = got.failures
    assert failure.index == 1
    assert message in failure.message
    assert failure.location == Location("valet/schema.ts", 4, 53)


def test_a_document_that_throws_fails_alone() -> None:
    function = "(row) => { if (row.n === 2) throw new Error('no two'); return row.n }"
    got = answer("x: v.number(), n: v.number()", function, _id=["a", "b", "c"], n=[1, 2, 3])
    assert got.values == [1, None, 3]
    (failure,) = got.failures
    assert (failure.index, failure.message) == (1, 'Backfill "x" failed: no two')
    assert failure.location == Location("valet/schema.ts", 4, 52)


def test_a_document_does_not_leak_into_another() -> None:
    function = (
        "(row: any) => { const had = row.extra; row.extra = 1; row.n = 0; return had ?? null }"
    )
    got = answer("x: v.optional(v.number()), n: v.int()", function, _id=["a", "b"], n=[1, 1])
    assert got.values == [None, None]


def test_names_that_mean_something_to_javascript() -> None:
    names = ["__proto__", "constructor", "a b", 'q"']
    got = answer(
        "x: v.any()",
        "(row: any) => Object.entries(row)",
        "",
        **{name: [index] for index, name in enumerate(names)},
    )
    assert json.loads(got.values[0]) == [[name, index] for index, name in enumerate(names)]


def test_patched_globals_change_no_answer() -> None:
    vandal = """
;(Array.prototype as any).toJSON = () => 1; (Object.prototype as any).toJSON = () => 2
JSON.parse = null as any; JSON.stringify = null as any; Number.isFinite = () => false
;(Array.prototype as any)[Symbol.iterator] = null
performance.now = () => NaN
"""
    got = answer("x: v.any()", "(row) => ({ id: [row._id] })", vandal, _id=["a"])
    assert got.values == ['{"id":["a"]}']


def test_what_differs_from_run_to_run_is_told() -> None:
    fields = "x: v.any(), n: v.int()"
    function = """(row) => row.n === 0 ? 0 : [
        Date.now(), new Date().getTime(), Math.random(), crypto.randomUUID(), performance.now(),
        new Date(5).getTime(), new Date() instanceof Date]"""
    with Child(sources(fields, function)) as child:
        child.start_backfill("t", "x")
        child.send(batch(_id=["a"], n=[0]))
        child.send(batch(_id=["a"], n=[1]))
        assert child.receive().used == frozenset()
        got = child.receive()
    assert got.used == {
        "Date.now", "new Date()", "Math.random", "crypto.randomUUID", "performance.now",
    }  # fmt: skip
    assert json.loads(got.values[0])[5:] == [5, True]


def test_a_skewed_process_has_another_clock() -> None:
    given = sources(
        "x: v.number()", "() => Math.floor(Date.now() / 86400000) + new Date(0).getTime()"
    )
    days = []
    for skewed in (False, True):
        with Child(given, skewed=skewed) as child:
            child.start_backfill("t", "x")
            child.send(batch(_id=["a"]))
            days.append(child.receive().values[0])
    assert days[1] > days[0]


def test_many_batches_may_be_under_way() -> None:
    size, count = 20_000, 25
    names = [f"id{i}" for i in range(size)]
    given = sources("x: v.number(), n: v.number()", "(row) => row.n * 2")
    with Child(given) as child:
        child.start_backfill("t", "x")
        for number in range(count):
            child.send(batch(_id=names, n=[number] * size))
        for number in range(count):
            assert child.receive().values == [number * 2] * size


def test_equal_answers_have_equal_bytes() -> None:
    given = sources("x: v.number(), n: v.number()", "(row) => row.n / 3")
    raw = []
    for skewed in (False, True):
        with Child(given, skewed=skewed) as child:
            child.start_backfill("t", "x")
            child.send(batch(_id=["a", "b"], n=[1, 2]))
            raw.append(child.receive().raw)
    assert raw[0] == raw[1]


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        ("for (;;) {}", TIGHT, "did not finish within 0.4 s"),
        (
            "const a: number[][] = []; for (;;) a.push(new Array(1000).fill(1.5))",
            Limits(document_seconds=60, heap_mb=48),
            "48 MB of memory",
        ),
    ],
)
def test_a_fatal_document_is_named(body: str, limits: Limits, reason: str) -> None:
    function = f"(row) => {{ if (row.n === 70) {{ {body} }} return 1 }}"
    with Child(sources("x: v.number(), n: v.number()", function), limits) as child:
        child.start_backfill("t", "x")
        child.send(batch(_id=["a"] * 100, n=[0] * 100))
        child.send(batch(_id=["a"] * 100, n=list(range(100))))
        assert child.receive().values == [1] * 100
        with pytest.raises(ChildStopped) as caught:
            child.receive()
    assert caught.value.index == 70
    assert reason in str(caught.value)
    assert caught.value.problems[0].location == Location("valet/schema.ts", 4, 4)


def test_slow_documents_have_time_each() -> None:
    function = "() => { const end = Date.now() + 60; while (Date.now() < end) {} return 1 }"
    got = answer("x: v.number()", function, _id=["a"] * 10)
    assert got.values == [1] * 10


def test_a_cancelled_batch_ends_at_once() -> None:
    with Child(sources("x: v.number()", "() => { for (;;) {} }")) as child:
        child.start_backfill("t", "x")
        child.send(batch(_id=["a"]))
        asked = 0

        def cancelled() -> bool:
            nonlocal asked
            asked += 1
            return asked > 3

        began = time.monotonic()
        with pytest.raises(Cancelled):
            child.receive(cancelled)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("late", [False, True])
def test_a_key_comes_before_it_and_ctrl_c_does_not_reach_it(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_way, told = deno._give_way, []
    if late:  # As on a busy machine, where it has begun threads before it is told.
        monkeypatch.setattr(deno, "_give_way", lambda *given: told.append(given))
    with Child(sources("x: v.number()", "() => 1")) as child:
        child.evaluate()  # All its threads run by now.
        for given in told:
            give_way(*given)
        pid = child._process.pid
        threads = Path(f"/proc/{pid}/task")
        tasks = [int(task.name) for task in threads.iterdir()] if threads.exists() else [pid]
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        assert {os.getpriority(os.PRIO_PROCESS, task) for task in tasks} == {mine + 5}
        assert os.getpgid(pid) != os.getpgid(0)
        # Another session would be given as much of the processors as this one is.
        assert os.getsid(pid) == os.getsid(0)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Child(sources("x: v.number()", "() => 1")) as child:
        process = child._process
        assert list(tmp_path.iterdir())
    child.close()
    assert process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_by_an_interrupt(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import signal
        from valet_studio.schema.model import Sources
        from valet_studio.typescript.child import Child
        child = Child(Sources("schema.ts", {"schema.ts": "for (;;) {}"}))
        print(child._process.pid, flush=True)
        child._outgoing.put((b"E", b""))
        signal.raise_signal(signal.SIGINT)
        child.evaluate()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "KeyboardInterrupt" in done.stderr
    assert not Path(f"/proc/{int(done.stdout)}").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_program_left_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, kept = tmp_path / "scratch", tmp_path / "kept"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    script = textwrap.dedent(
        """
        import os, signal
        from valet_studio.schema.model import Sources
        from valet_studio.typescript.child import Child
        child = Child(Sources("schema.ts", {"schema.ts": "export default 1"}))
        child.evaluate()  # or Deno, still starting, would go on to write its cache
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=30,
        check=False,
    )
    (left,) = scratch.iterdir()
    assert list(kept.rglob(f"{left.name}/sources/schema.ts.js"))
    with Child(sources("x: v.number()", "() => 1")):
        assert not left.exists()
        assert len(list(scratch.iterdir())) == 1
    assert not list(kept.rglob(left.name))


def test_a_backfill_that_is_not_there() -> None:
    with Child(sources("x: v.number()", "() => 1")) as child:
        with pytest.raises(SandboxError, match='Table "t" has no backfill of "y"'):
            child.start_backfill("t", "y")
        with pytest.raises(SandboxError, match='There is no table "u"'):
            child.start_backfill("u", "x")


@pytest.mark.parametrize("named", ["/nowhere/deno", "/etc/hostname"])
def test_a_deno_that_cannot_be_run(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DENO_VARIABLE, named)
    with pytest.raises(SandboxError) as caught:
        Child(sources("x: v.number()", "() => 1"))
    assert named in str(caught.value)
    assert DENO_VARIABLE in (caught.value.problems[0].hint or "")
