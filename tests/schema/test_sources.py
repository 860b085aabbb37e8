"""Which files belong to a schema, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import HEADER, Project, schema_of

from valet_studio.errors import Location, Problem, SchemaError
from valet_studio.schema.evaluate import evaluate
from valet_studio.schema.model import Sources
from valet_studio.schema.sources import read_sources


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root / "valet" / "schema.ts"


def problems(path: Path, cwd: Path) -> tuple[Problem, ...]:
    with pytest.raises(SchemaError) as caught:
        read_sources(path, cwd)
    return caught.value.problems


@pytest.mark.parametrize(
    ("specifier", "file", "text"),
    [
        ("./fields", "fields.ts", "export const title = v.string()"),
        ("./fields.ts", "fields.ts", "export const title = v.string()"),
        ("./fields.js", "fields.ts", "export const title = v.string()"),
        ("./fields.mjs", "fields.mts", "export const title = v.string()"),
        ("./fields.js", "fields.js", "export const title = v.string()"),
        ("./deep/fields", "deep/fields/index.ts", "export const title = v.string()"),
        ("./deep/../fields", "fields.ts", "export const title = v.string()"),
        ("./a b/fiélds", "a b/fiélds.ts", "export const title = v.string()"),
    ],
)
def test_relative_imports_resolve_and_run(
    tmp_path: Path, specifier: str, file: str, text: str
) -> None:
    schema = write(
        tmp_path,
        valet__schema_dot_ts=f"import {{ title }} from '{specifier}'\n"
        + schema_of("t: defineTable({ title })"),
    )
    module = tmp_path / "valet" / file
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(f"{HEADER}{text}\n", "utf-8")
    (tmp_path / "valet" / "unrelated.ts").write_text("syntax error(", "utf-8")
    sources = read_sources(schema, tmp_path)
    assert set(sources.files) == {"schema.ts", file}
    (table,) = evaluate(sources).tables
    assert table.fields[0].location == Location(f"valet/{file}", 2, 24)


def test_modules_may_import_each_other_up_and_down(tmp_path: Path) -> None:
    schema = write(
        tmp_path,
        valet__schema_dot_ts="export { default } from './inner/all'\n",
        valet__inner__all_dot_ts=f"import {{ n }} from '../shared.js'\n{HEADER}"
        "export default defineSchema({ [n]: defineTable({}) })\n",
        valet__shared_dot_ts="import './inner/all'\nexport const n = 'named'\n",
    )
    sources = read_sources(schema, tmp_path)
    assert sorted(sources.files) == ["inner/all.ts", "schema.ts", "shared.ts"]


@pytest.mark.parametrize("attribute", ["", " with { type: 'json' }"])
def test_json_may_be_imported(tmp_path: Path, attribute: str) -> None:
    schema = write(
        tmp_path,
        valet__schema_dot_ts=f"import names from './names.json'{attribute}\n"
        + schema_of("[names[0]]: defineTable({})"),
        valet__names_dot_json='["todos"]',
    )
    assert [table.name for table in evaluate(read_sources(schema, tmp_path)).tables] == ["todos"]


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("import fs from 'node:fs'", 16),
        ("import { x } from 'lodash'", 19),
        ("import 'npm:zod'", 8),
        ("import 'https://example.com/x.ts'", 8),
        ("import type { X } from '../outside'", 24),
        ("export * from './missing'", 15),
        ("const x = await import('./missing.ts')", 24),
        ("import style from './style.css'", 19),
        ("const é = 1; import 'jsr:x'", 21),
    ],
)
def test_any_other_import_is_refused(tmp_path: Path, statement: str, column: int) -> None:
    schema = write(
        tmp_path,
        outside_dot_ts="export type X = 1\n",
        valet__style_dot_css="",
        valet__schema_dot_ts=f"\n{statement}\n{schema_of('')}",
    )
    (problem,) = problems(schema, tmp_path)
    assert problem.location == Location("valet/schema.ts", 2, column)
    assert problem.source_line == statement
    assert problem.hint


def test_every_bad_import_of_every_module_is_told(tmp_path: Path) -> None:
    schema = write(
        tmp_path,
        valet__schema_dot_ts="import 'a'\nimport './b'\nimport 'c'\n",
        valet__b_dot_ts="import 'd'\n",
    )
    places = [str(problem.location) for problem in problems(schema, tmp_path)]
    assert places == ["valet/schema.ts:1:8", "valet/schema.ts:3:8", "valet/b.ts:1:8"]


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    schema = write(tmp_path, valet__schema_dot_ts="import './link'\n", secret_dot_ts="")
    (tmp_path / "valet" / "link.ts").symlink_to(tmp_path / "secret.ts")
    assert len(problems(schema, tmp_path)) == 1


def test_a_missing_schema_says_how_to_make_one(tmp_path: Path) -> None:
    (problem,) = problems(Path("valet/schema.ts"), tmp_path)
    assert problem.message == "There is no valet/schema.ts."
    assert "valet-studio init" in (problem.hint or "")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_what_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    schema = tmp_path / "schema.ts"
    schema.mkdir() if content is None else schema.write_bytes(content)
    (problem,) = problems(schema, tmp_path)
    assert "schema.ts" in problem.message


@pytest.mark.parametrize(
    ("typed", "cwd", "folder", "shown"),
    [
        ("valet/schema.ts", ".", "valet", "valet/schema.ts"),
        ("./valet/schema.ts", ".", "valet", "valet/schema.ts"),
        ("schema.ts", "valet", ".", "schema.ts"),
        ("../valet/schema.ts", "other", "../valet", "../valet/schema.ts"),
    ],
)
def test_places_are_named_as_the_user_would_type_them(
    tmp_path: Path, typed: str, cwd: str, folder: str, shown: str
) -> None:
    write(tmp_path, valet__schema_dot_ts=schema_of("t: defineTable({})"))
    (tmp_path / cwd).mkdir(exist_ok=True)
    sources = read_sources(Path(typed), tmp_path / cwd)
    assert sources.folder == folder
    place = evaluate(sources).tables[0].location
    assert place == Location(shown, 3, 1)
    assert sources.line(place) == "t: defineTable({})"


def test_an_absolute_path_below_the_directory_is_shortened(tmp_path: Path) -> None:
    schema = write(tmp_path, valet__schema_dot_ts="")
    assert read_sources(schema, tmp_path) == Sources("schema.ts", {"schema.ts": ""}, "valet")


CONFLICT = """\
    t: defineTable({
<<<<<<< HEAD
        ownerId: v.string(),
||||||| base
=======
        owner: v.string(),
>>>>>>> feature/o'neil
    }),
"""


def test_a_merge_conflict_is_told_before_anything_runs(tmp_path: Path) -> None:
    schema = write(
        tmp_path,
        valet__schema_dot_ts="import './helpers'\n" + schema_of(CONFLICT),
        valet__helpers_dot_ts="<<<<<<< HEAD\nconst a = 1\n=======\n>>>>>>> b\nexport {}\n",
    )
    one, other = problems(schema, tmp_path)
    begins = "A merge conflict begins here: both of its sides would be declared."
    assert [one.message, other.message] == [begins, begins]
    assert (one.location, one.source_line) == (Location("valet/schema.ts", 5, 1), "<<<<<<< HEAD")
    assert other.location == Location("valet/helpers.ts", 1, 1)


@pytest.mark.parametrize("left", ["=======", ">>>>>>> feature", "||||||| 1a2b3c"])
def test_a_line_left_of_a_conflict_is_told(tmp_path: Path, left: str) -> None:
    text = schema_of(f"t: defineTable({{ a: v.string(),\n{left}\n}})")
    (only,) = problems(write(tmp_path, valet__schema_dot_ts=text), tmp_path)
    assert only.message == f"{left.split()[0]} is left over from a merge conflict."
    assert only.source_line == left


def test_what_looks_like_a_conflict_in_a_comment_or_a_text_is_none(tmp_path: Path) -> None:
    text = "/*\nFields\n=======\n*/\nconst help = `\n<<<<<<< HEAD\n=======\n`\nvoid help\n"
    schema = write(tmp_path, valet__schema_dot_ts=text + schema_of("t: defineTable({})"))
    assert read_sources(schema, tmp_path).entry == "schema.ts"


def test_a_module_that_cannot_be_one_is_not_read(project: Project) -> None:
    project.write("import { x } from './x'\n" + schema_of("    t: defineTable({ a: v.any() }),"))
    project.write("/" * 8_000_001, "x.ts")
    with pytest.raises(SchemaError, match=r"^valet/x.ts is too large: it has 8.0 MB\.$") as told:
        read_sources(project.schema_path)
    assert "A module may have 8 MB." in (told.value.problems[0].hint or "")
