"""The type checker: wrong names and types in a schema are found, each at its place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from support import HEADER, Project, never, schema_of, seed_blocks

from valet_studio import pipeline
from valet_studio.errors import Cancelled, Location, Problem
from valet_studio.schema.sources import read_sources
from valet_studio.typescript.check import check
from valet_studio.typescript.deno import Workspace, start_check

Check = Callable[[str], tuple[Problem, ...]]


@pytest.fixture
def checked(project: Project) -> Check:
    def run(text: str) -> tuple[Problem, ...]:
        project.write(text)
        return check(read_sources(project.schema_path, project.root))

    return run


@pytest.mark.parametrize("block", [0, 4])
def test_the_seeds_schemas_have_no_type_errors(checked: Check, block: int) -> None:
    assert checked(seed_blocks()[block]) == ()


def test_every_problem_stands_at_its_place(checked: Check) -> None:
    problems = checked(
        schema_of(
            "    todos: defineTable({ title: v.string(), rank: v.number() })\n"
            "        .backfill('title', (row) => `${row.titel}`)\n"
            "        .backfill('rank', (row) => row.title)\n"
            "        .index('by_name', ['nmae']),"
        )
    )
    assert [str(p.location) for p in problems] == [
        "valet/schema.ts:4:44",
        "valet/schema.ts:5:36",
        "valet/schema.ts:6:28",
    ]
    misspelt, wrong_type, unknown = problems
    assert misspelt.message.startswith("Property 'titel' does not exist on type")
    assert misspelt.message.endswith("(TS2551).")
    assert misspelt.hint == "Did you mean 'title'?"
    assert misspelt.source_line == "        .backfill('title', (row) => `${row.titel}`)"
    assert wrong_type.message == "Type 'string' is not assignable to type 'number' (TS2322)."
    assert "nmae" in unknown.message


def test_the_lines_that_explain_a_message_are_its_hint(checked: Check) -> None:
    [problem] = checked(
        schema_of(
            "    todos: defineTable({ at: v.object({ x: v.number() }) })\n"
            "        .backfill('at', () => ({ x: 'left' })),"
        )
    )
    assert problem.message == "Type 'string' is not assignable to type 'number' (TS2322)."
    [problem] = checked(
        schema_of("    todos: defineTable({ a: v.string() }).sync({ mode: 'ful' }),")
    )
    assert problem.hint is not None
    assert '"full"' in problem.message + problem.hint


def test_a_mark_below_a_single_character_is_no_hint(checked: Check) -> None:
    plain = schema_of("    todos: defineTable({ a: v.string() }),")
    [problem] = checked(plain + "const z: number = 'a'\n")
    assert problem.message == "Type 'string' is not assignable to type 'number' (TS2322)."
    assert problem.hint is None


def test_modules_of_the_valet_directory_are_checked_too(project: Project, checked: Check) -> None:
    project.write("export const rank = (text: string): number => text\n", "lib/rank.ts")
    [problem] = checked(
        f"import {{ rank }} from './lib/rank'\n{HEADER}"
        "export default defineSchema({ todos: defineTable({ a: v.string(), b: v.number() })\n"
        "    .backfill('b', (row) => rank(row.a)) })\n"
    )
    assert problem.location == Location("valet/lib/rank.ts", 1, 47)
    assert problem.source_line == "export const rank = (text: string): number => text"


def test_a_module_with_a_space_in_its_name_has_its_place(project: Project, checked: Check) -> None:
    project.write("export const rank: number = 'a'\n", "my ränk.ts")
    [problem] = checked(
        f"import {{ rank }} from './my ränk'\n{HEADER}"
        "export default defineSchema({ todos: defineTable({ a: v.literal(rank) }) })\n"
    )
    assert problem.location == Location("valet/my ränk.ts", 1, 14)


def test_a_place_after_letters_beyond_the_bmp_counts_as_editors_do(checked: Check) -> None:
    [problem] = checked(schema_of("    todos: defineTable({ '𝒳é': v.string(), b: v.nubmer() }),"))
    assert problem.location == Location("valet/schema.ts", 3, 50)


@pytest.mark.parametrize("odd", ["\f", "\v", "\x1c", "\x85"])
def test_the_line_shown_is_that_of_the_place(project: Project, checked: Check, odd: str) -> None:
    wrong = "    todos: defineTable({ b: v.nubmer() }),"
    [problem] = checked(f"/* {odd} */\n{schema_of(wrong)}")
    assert (problem.location, problem.source_line) == (Location("valet/schema.ts", 4, 31), wrong)
    [problem] = pipeline.look(project.settings).problems
    assert problem.location is not None
    assert (problem.location.line, problem.source_line) == (4, wrong)


def test_broken_syntax_is_a_problem_and_no_crash(checked: Check) -> None:
    [problem, *_] = checked(f"{HEADER}export default defineSchema({{ todos: ( }})\n")
    assert problem.location is not None
    assert problem.location.line == 2


def test_the_pipeline_checks_the_text_that_was_reviewed(project: Project) -> None:
    project.write(
        schema_of("    todos: defineTable({ a: v.number() }).backfill('a', (row) => row._id),")
    )
    state = project.look()
    project.write("")
    [problem] = pipeline.check_types(state, never)
    assert problem.location == Location("valet/schema.ts", 3, 66)


def test_a_cancelled_check_ends_at_once_and_leaves_no_process(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def spy(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))  # type: ignore[call-overload]
        return started[-1]

    project.write(seed_blocks()[0])
    sources = read_sources(project.schema_path, project.root)
    monkeypatch.setattr(subprocess, "Popen", spy)
    gave_way: list[int] = []

    def cancelled() -> bool:
        gave_way.extend(os.getpriority(os.PRIO_PROCESS, each.pid) for each in started)
        return bool(started)

    with pytest.raises(Cancelled):
        check(sources, cancelled)
    assert started[0].returncode < 0  # By a signal, before it was done.
    assert gave_way == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + 15)]


NAMES = {
    "none": ("1", 1),
    "console": ("{ console.log(row.a); return 1 }", 2),
    "a class of the web": ("new URL('http://a.b').host.length", 2),
    "globalThis": ("globalThis.structuredClone(1)", 2),
    "what V8 adds to Error": ("{ Error.captureStackTrace({}); return 1 }", 1),
    "import.meta": ("import.meta.main ? 1 : 2", 2),
}


@pytest.mark.parametrize(("body", "runs"), NAMES.values(), ids=NAMES)
def test_names_of_the_web_are_known_and_looked_up_only_where_they_are_used(
    checked: Check, monkeypatch: pytest.MonkeyPatch, body: str, runs: int
) -> None:
    started = []

    def spy(workspace: Workspace, *, language_alone: bool) -> subprocess.Popen[bytes]:
        started.append(language_alone)
        return start_check(workspace, language_alone=language_alone)

    monkeypatch.setattr("valet_studio.typescript.check.start_check", spy)
    problems = checked(
        schema_of(
            "    t: defineTable({ a: v.number(), b: v.number(), c: v.number() })\n"
            f"        .backfill('b', (row) => {body})\n"
            "        .backfill('c', (row) => row.gone),"
        )
    )
    assert [p.location for p in problems] == [Location("valet/schema.ts", 5, 37)]
    assert len(started) == runs
