"""Generated types, as their users' type checkers see them: `deno check` and mypy in strict mode.

Many schemas go into one run of a checker, because starting it is what costs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mypy import api as mypy

from valet_studio.codegen import python, typescript
from valet_studio.codegen.files import render
from valet_studio.schema.model import (
    Backfill,
    Field,
    Index,
    ObjectField,
    Schema,
    SearchIndex,
    Sync,
    Table,
    Validator,
)
from valet_studio.typescript.deno import find_deno

V = Validator
STRING, NUMBER, INT, NULL = V("string"), V("number"), V("int"), V("null")


def union(*items: Validator) -> Validator:
    return V("union", items=items)


def literal(value: str | float | bool) -> Validator:
    return V("literal", value=value)


def record(key: Validator, value: Validator) -> Validator:
    return V("record", items=(key, value))


TODOS = Schema(
    (
        Table(
            "todos",
            (
                Field("title", STRING),
                Field("completed", V("boolean")),
                Field("owner", V("id", table="user-tags")),
                Field("priority", STRING, deprecated=True),
                Field("priorityNum", NUMBER),
                Field("count", INT),
                Field("data", V("bytes")),
                Field("dueDate", STRING, optional=True),
                Field("state", union(literal("open"), literal("done"), NULL)),
                Field("level", union(literal(1), literal(2), literal(-3))),
                Field("exact", literal(1.5)),
                Field("sure", literal(True)),
                Field("tags", V("array", items=(union(STRING, NULL),))),
                Field("anything", V("any")),
                Field("nothing", NULL),
                Field("counts", record(union(literal("a"), literal("b")), NUMBER)),
                Field("by user", record(V("id", table="user-tags"), V("boolean"))),
                Field(
                    "place",
                    V(
                        "object",
                        fields=(
                            ObjectField("x", NUMBER),
                            ObjectField("if", STRING, optional=True),
                            ObjectField("deep", V("object", fields=(ObjectField("y", INT),))),
                        ),
                    ),
                ),
            ),
            indexes=(Index("by_owner", ("owner", "completed")),),
            search_indexes=(SearchIndex("find", "title"),),
            sync=Sync("full", {"op": "eq"}),
            backfills=(Backfill("priorityNum", "0"),),
        ),
        Table("user-tags", (Field("name", STRING),)),
        Table("void"),
    )
)

TYPESCRIPT_USE = """
import type { DataModel, Doc, Id, Insert, Patch, TableNames, Todos, TodosInsert } from "./types.ts"

declare const tag: Id<"user-tags">
const insert: Insert<"todos"> = {
  title: "a", completed: true, owner: tag, priorityNum: 1.5, count: 1, data: new ArrayBuffer(1),
  state: "open", level: -3, exact: 1.5, sure: true, tags: ["x", null], anything: [1], nothing: null,
  counts: { a: 1 }, "by user": { [tag]: true }, place: { x: 1, deep: { y: 2 } },
}
const same: TodosInsert = insert
const document: Doc<"todos"> = { _id: "t1" as Id<"todos">, ...same }
const also: Todos = document
const patch: Patch<"todos"> = { title: "b" }
const table: TableNames = "user-tags"
const model: DataModel["todos"]["document"] = also
const empty: Insert<"void"> = {}
export const due: string | undefined = model.dueDate
export const all = [patch, table, empty]

// @ts-expect-error deprecated fields have left the types
export const gone = document.priority
// @ts-expect-error an id of another table
export const wrong: Id<"todos"> = tag
// @ts-expect-error a plain string is no id
export const plain: Id<"todos"> = "t1"
// @ts-expect-error no such table
export const none: Doc<"missing"> = document
// @ts-expect-error _id is automatic
export const id: Insert<"void"> = { _id: "x" }
// @ts-expect-error a required field is missing
export const missing: Insert<"user-tags"> = {}
// @ts-expect-error not a member of the union
export const state: Patch<"todos"> = { state: "closed" }
// @ts-expect-error an optional field is no null
export const noDate: Patch<"todos"> = { dueDate: null }
"""

PYTHON_USE = """
from typing import assert_type

from types_todos import (
    DataModel, Doc, TableNames, Todos, TodosId, TodosInsert, TodosPatch, UserTagsId, Void
)

tag = UserTagsId("u1")
insert: TodosInsert = {
    "title": "a", "completed": True, "owner": tag, "priorityNum": 1.5, "count": 1, "data": b"",
    "state": "open", "level": -3, "exact": 1.5, "sure": True, "tags": ["x", None], "anything": [1],
    "nothing": None, "counts": {"a": 1.0}, "by user": {"u1": True},
    "place": {"x": 1.0, "deep": {"y": 2}},
}
document: Todos = {"_id": TodosId("t1"), **insert}
patch: TodosPatch = {"title": "b"}
table: TableNames = "user-tags"
one: Doc = document
void: Void = {"_id": document["_id"]}  # type: ignore[typeddict-item]
assert_type(document["count"], int)
assert_type(document.get("dueDate"), str | None)


def title(model: DataModel) -> str:
    return model["todos"]["title"]


document["priority"]  # type: ignore[typeddict-item]
wrong: TodosId = tag  # type: ignore[assignment]
missing: TodosInsert = {"title": "a"}  # type: ignore[typeddict-item]
other: TodosPatch = {"state": "closed"}  # type: ignore[typeddict-item]
"""


def deno_check(folder: Path, files: Mapping[str, str]) -> str:
    """What `deno check` complains of; "" where it is content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [find_deno(), "check", "--no-remote", "--no-npm", "--no-lock", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"NO_COLOR": "1", "DENO_DIR": str(folder / ".deno"), "DENO_NO_UPDATE_CHECK": "1"},
    )
    return "" if done.returncode == 0 else done.stderr


def mypy_strict(folder: Path, cache: Path, files: Mapping[str, str]) -> str:
    """What `mypy --strict` complains of; "" where it is content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    paths = [str(folder / name) for name in files]
    said, trouble, code = mypy.run(
        ["--strict", "--config-file=", f"--cache-dir={cache}", "--warn-unused-ignores", *paths]
    )
    return "" if code == 0 else said + trouble


def run_modules(folder: Path, names: Sequence[str]) -> None:
    """Import generated modules: they are run, not only read."""
    code = "import runpy, sys; [runpy.run_path(name) for name in sys.argv[1:]]"
    subprocess.run([sys.executable, "-c", code, *names], cwd=folder, check=True)


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_typescript_types_hold_what_the_schema_promises(tmp_path: Path) -> None:
    files = {"types.ts": typescript.generate(TODOS), "use.ts": TYPESCRIPT_USE}
    assert deno_check(tmp_path, files) == ""


def test_python_types_hold_what_the_schema_promises(tmp_path: Path, mypy_cache: Path) -> None:
    (tmp_path / "types_todos.py").write_text(python.generate(TODOS), encoding="utf-8")
    assert mypy_strict(tmp_path, mypy_cache, {"use.py": PYTHON_USE}) == ""
    run_modules(tmp_path, ["types_todos.py"])


NASTY_NAMES = (
    *("class", "type", "None", "str", "int", "list", "dict", "constructor", "__proto__", "self"),
    *("Array", "Doc", "Id", "Insert", "Patch", "TableNames", "DataModel", "Omit", "any", "never"),
    *("todos", "todos_insert", "todosInsert", "todos-patch", "todosId", "1", "1st", "", " ", "-"),
    *("日本", "ß", "ﬁeld", "ⅷ", "𝒳", 'a"b', "a'b", "a\\b", "a\nb", "*/", '"""', "`${x}`", "\u2028"),
    *("TodosPlace", "place", "Table", "Never", "NewType", "keys", "_", "a.b", "#", "\x00"),
)
NAMES = st.sampled_from(NASTY_NAMES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
LITERALS = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES
)


def validators(tables: Sequence[str]) -> st.SearchStrategy[Validator]:
    ids = st.sampled_from([*tables, "missing"]).map(lambda table: V("id", table=table))
    leaves = (
        st.sampled_from(
            [STRING, NUMBER, INT, V("boolean"), V("bytes"), NULL, V("any"), V("object"), union()]
        )
        | ids
        | LITERALS.map(literal)
    )

    def nested(inner: st.SearchStrategy[Validator]) -> st.SearchStrategy[Validator]:
        members = st.builds(ObjectField, NAMES, inner, st.booleans())
        return (
            inner.map(lambda item: V("array", items=(item,)))
            | st.tuples(inner, inner).map(lambda pair: record(*pair))
            | st.lists(inner, min_size=1, max_size=3).map(lambda items: union(*items))
            | st.lists(members, max_size=3, unique_by=lambda m: m.name).map(
                lambda fields: V("object", fields=tuple(fields))
            )
        )

    return st.recursive(leaves, nested, max_leaves=6)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Any schema, with names and nestings that a sane person would avoid."""
    tables = draw(st.lists(NAMES, max_size=4, unique=True))
    fields = st.builds(
        Field,
        NAMES.filter(lambda name: name != "_id"),
        validators(tables),
        st.booleans(),
        st.just(False) | st.booleans(),
    )
    return Schema(
        tuple(
            Table(
                name,
                tuple(draw(st.lists(fields, max_size=4, unique_by=lambda f: f.name))),
                indexes=(Index(draw(NAMES), (draw(NAMES),)),),
                sync=Sync(draw(st.sampled_from(["full", "windowed", "none"]))),
            )
            for name in tables
        )
    )


def twins() -> Schema:
    """Tables whose names become equal when they are made into identifiers."""
    names = ("user-tags", "user_tags", "userTags", "user tags", "UserTagsInsert", "Doc", "Array")
    return Schema(tuple(Table(name, (Field("a", STRING),)) for name in names))


@settings(
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(batch=st.lists(schemas(), min_size=20, max_size=20))
def test_any_schema_gives_types_that_pass(
    tmp_path_factory: pytest.TempPathFactory, mypy_cache: Path, batch: list[Schema]
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    batch = [Schema(), twins(), *batch]
    for number, schema in enumerate(batch):
        use = "".join(
            f"export const d{i} = (d: t.Doc<{json.dumps(table.name)}>): "
            f"t.Id<{json.dumps(table.name)}> => d._id\n"
            for i, table in enumerate(schema.tables)
        )
        header = f'import type * as t from "./types{number}.ts"\n'
        (folder / f"types{number}.ts").write_text(typescript.generate(schema), encoding="utf-8")
        (folder / f"use{number}.ts").write_text(header + use, encoding="utf-8")
    entry = "".join(f'import "./use{number}.ts"\n' for number in range(len(batch)))
    assert deno_check(folder, {"all.ts": entry}) == ""
    modules = {f"types{number}.py": python.generate(schema) for number, schema in enumerate(batch)}
    assert mypy_strict(folder, mypy_cache, modules) == ""
    run_modules(folder, list(modules))


@pytest.mark.parametrize("generate", [typescript.generate, python.generate])
def test_equal_schemas_give_equal_text(generate: object) -> None:
    assert callable(generate)
    assert generate(TODOS) == generate(Schema(TODOS.tables))


def test_type_names_do_not_depend_on_the_order_of_tables() -> None:
    reordered = Schema(tuple(reversed(twins().tables)))
    lines = sorted(typescript.generate(twins()).splitlines())
    assert sorted(typescript.generate(reordered).splitlines())[-60:] == lines[-60:]


def test_a_table_is_named_anew_where_another_one_takes_its_name_or_goes() -> None:
    tags = Table("user-tags", (Field("of", V("id", table="user tags")),))
    alone, beside = Schema((tags,)), Schema((tags, Table("user tags")))
    for _ in range(2):
        text = typescript.generate(beside)
        assert "export interface UserTagsTable {" in text
        assert 'of: Id<"user tags">' in text
        text = typescript.generate(alone)
        assert "export interface UserTags {" in text
        assert "of: string" in text


def test_types_name_their_schema_and_forbid_editing() -> None:
    for text in (typescript.generate(TODOS), python.generate(TODOS)):
        assert "Do not edit" in text.splitlines()[0]
        assert "Schema hash: " in text
    assert "Index by_owner: owner, completed." in typescript.generate(TODOS)
    assert "Search index find: title." in typescript.generate(TODOS)


def test_only_the_languages_asked_for_are_written() -> None:
    assert set(render(TODOS, ("ts",))) == {"schema.json", "types.ts"}
    assert set(render(TODOS, ("ts", "python"))) == {"schema.json", "types.ts", "types.py"}
    assert json.loads(render(TODOS, ())["schema.json"])["tables"]
