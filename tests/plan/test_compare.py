from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from pushing import (
    ANY,
    BOOLEAN,
    BYTES,
    INT,
    NUMBER,
    STRING,
    array,
    database,
    kinds,
    literal,
    look,
    only,
    push,
    reference,
    schema,
    table,
    union,
)

from valet_studio.errors import Location
from valet_studio.plan.changes import ChangeSync, Risk, RunBackfill
from valet_studio.schema.model import (
    Backfill,
    Field,
    Impurity,
    Index,
    Schema,
    SearchIndex,
    Sync,
    Table,
    Validator,
)

HERE = Location("valet/schema.ts", 7, 9)
THERE = Location("valet/schema.ts", 3, 5)
DOCUMENTS = 142
NO_SYNC = Sync()


def todos(
    *fields: Field,
    indexes: tuple[Index, ...] = (),
    search_indexes: tuple[SearchIndex, ...] = (),
    sync: Sync = NO_SYNC,
    backfills: tuple[Backfill, ...] = (),
) -> Schema:
    whole = (Field("title", STRING, location=THERE), *fields)
    return schema(Table("todos", whole, indexes, search_indexes, sync, backfills, THERE))


def priority(
    validator: Validator = STRING, *, optional: bool = False, deprecated: bool = False
) -> Field:
    return Field("priority", validator, optional, deprecated, HERE)


BY_TITLE = Index("by_title", ("title",), HERE)
SEARCH = SearchIndex("by_words", "title", HERE)
FULL = Sync("full", {"op": "eq", "field": "title", "value": {"ctx": "auth.userId"}}, HERE)
FILL = Backfill("priority", "digest-1", location=HERE)


@dataclass(frozen=True)
class Case:
    """A schema that was pushed, 142 documents, and another schema."""

    before: Schema
    after: Schema
    kind: str
    risk: Risk
    summary: str
    sql: tuple[str, ...] = ()
    location: Location | None = HERE


CASES = [
    Case(
        todos(),
        schema(*todos().tables, Table("users", (Field("name", STRING),), location=HERE)),
        "create_table",
        Risk.SAFE,
        "Create table users with 1 field.",
        (
            'CREATE TABLE IF NOT EXISTS "users" ("_id" TEXT PRIMARY KEY NOT NULL, '
            '"_version" INTEGER NOT NULL DEFAULT 0, "name" TEXT)',
        ),
    ),
    Case(
        todos(),
        todos(priority(optional=True)),
        "add_column",
        Risk.SAFE,
        "Add column todos.priority (v.optional(v.string())).",
        ('ALTER TABLE "todos" ADD COLUMN "priority" TEXT',),
    ),
    Case(
        todos(),
        todos(priority(NUMBER)),
        "add_column",
        Risk.WARNING,
        "Add column todos.priority (v.number()). 142 documents will hold null: "
        "use v.optional() or .backfill().",
        ('ALTER TABLE "todos" ADD COLUMN "priority" INTEGER',),
    ),
    Case(
        todos(priority()),
        todos(priority(deprecated=True)),
        "deprecate_field",
        Risk.SAFE,
        "Deprecate todos.priority: it leaves the generated types. 142 documents hold a value.",
    ),
    Case(
        todos(priority()),
        todos(),
        "remove_field",
        Risk.WARNING,
        "Remove todos.priority from the types; its column and data are kept. "
        "142 documents hold a value.",
        location=THERE,
    ),
    Case(
        schema(*todos().tables, table("users", name=STRING)),
        todos(),
        "remove_table",
        Risk.WARNING,
        "Remove table users from the types; its documents are kept (0 documents).",
        location=None,
    ),
    Case(
        todos(priority(deprecated=True)),
        todos(priority()),
        "restore_field",
        Risk.SAFE,
        "todos.priority is no longer deprecated; its column and data are still there.",
    ),
    Case(
        todos(priority(STRING)),
        todos(priority(NUMBER)),
        "change_type",
        Risk.BREAKING,
        "todos.priority changes its type: v.string() → v.number(). 142 documents hold a value.",
    ),
    Case(
        todos(priority(union(literal("a"), literal("7")))),
        todos(priority(STRING)),
        "widen_field",
        Risk.SAFE,
        'todos.priority allows more: v.union(v.literal("a"), v.literal("7")) → v.string().',
    ),
    Case(
        todos(priority(STRING)),
        todos(priority(union(literal("a"), literal("7")))),
        "narrow_field",
        Risk.SAFE,
        'todos.priority promises more: v.string() → v.union(v.literal("a"), v.literal("7")). '
        "All documents keep the promise.",
    ),
    Case(
        todos(priority(STRING)),
        todos(priority(literal("a"))),
        "narrow_field",
        Risk.BREAKING,
        'todos.priority promises more: v.string() → v.literal("a"). '
        "142 documents break the promise.",
    ),
    Case(
        todos(),
        todos(indexes=(BY_TITLE,)),
        "create_index",
        Risk.SAFE,
        "Create index by_title on todos (title).",
        ('CREATE INDEX "todos_valet_index_by_title" ON "todos" ("title")',),
    ),
    Case(
        todos(indexes=(BY_TITLE,)),
        todos(),
        "drop_index",
        Risk.SAFE,
        "Drop index by_title of todos.",
        ('DROP INDEX IF EXISTS "todos_valet_index_by_title"',),
        location=THERE,
    ),
    Case(
        todos(search_indexes=(SEARCH,)),
        todos(),
        "drop_search_index",
        Risk.SAFE,
        "Drop search index by_words of todos.",
        (
            'DROP TRIGGER IF EXISTS "todos_valet_search_by_words_insert"',
            'DROP TRIGGER IF EXISTS "todos_valet_search_by_words_update"',
            'DROP TRIGGER IF EXISTS "todos_valet_search_by_words_delete"',
            'DROP TABLE IF EXISTS "todos_valet_search_by_words"',
        ),
        location=THERE,
    ),
    Case(
        todos(sync=Sync("full")),
        todos(sync=FULL),
        "change_sync",
        Risk.WARNING,
        "Sync of todos: its filter changes; clients will re-sync.",
    ),
    Case(
        todos(sync=FULL),
        todos(sync=Sync("none", location=HERE)),
        "change_sync",
        Risk.WARNING,
        "Sync of todos: mode full → none; clients will re-sync.",
        (
            'DROP TRIGGER IF EXISTS "todos_valet_insert"',
            'DROP TRIGGER IF EXISTS "todos_valet_update"',
            'DROP TRIGGER IF EXISTS "todos_valet_delete"',
        ),
    ),
    Case(
        todos(priority()),
        todos(priority(), backfills=(FILL,)),
        "run_backfill",
        Risk.WARNING,
        "Run the backfill of todos.priority for 142 documents, overwriting 142 values.",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind}-{c.risk}")
def test_each_kind_of_change(case: Case) -> None:
    with database() as connection:
        push(connection, case.before)
        held = "priority" in {f.name for f in case.before.tables[0].fields}
        columns, values = ('"_id", "priority"', "?, 7") if held else ('"_id"', "?")
        connection.executemany(
            f'INSERT INTO "todos" ({columns}) VALUES ({values})',
            [(f"t{i}",) for i in range(DOCUMENTS)],
        )
        change = only(look(connection, case.after))
        assert change.kind == case.kind
        assert (change.risk, change.summary) == (case.risk, case.summary)
        assert change.sql == case.sql
        assert change.location == case.location
        assert change.rule
        told = case.kind == "add_column" or str(DOCUMENTS) in case.summary
        assert (change.rows or 0) == (DOCUMENTS if told else 0)
        if isinstance(change, RunBackfill):
            assert change.overwrites == DOCUMENTS
        pushed = push(connection, case.after)
        if case.risk is Risk.BREAKING:
            assert pushed.status == "blocked"
        else:
            assert look(connection, case.after).changes == ()
            assert look(connection, case.after).status == "in_sync"
        assert connection.execute("SELECT count(*) FROM todos").get == DOCUMENTS


def test_changes_come_in_the_order_of_applying() -> None:
    with database("CREATE VIEW old AS SELECT 1") as connection:
        push(connection, schema(table("b", x=STRING, y=STRING), table("gone")))
        wanted = schema(
            Table("new", (Field("n", STRING),), indexes=(Index("i", ("n",)),)),
            Table(
                "b",
                (Field("x", STRING, deprecated=True), Field("z", NUMBER)),
                (Index("i", ("z",)),),
                (SearchIndex("s", "x"),),
                Sync("full"),
                (Backfill("z", "d"),),
            ),
        )
        plan = push(connection, wanted)
        assert [(c.kind, c.table) for c in plan.changes] == [
            ("create_table", "new"),
            ("add_column", "b"),
            ("deprecate_field", "b"),
            ("remove_field", "b"),
            ("remove_table", "gone"),
            ("create_index", "new"),
            ("create_index", "b"),
            ("create_search_index", "b"),
            ("change_sync", "b"),
            ("run_backfill", "b"),
            ("drift", "old"),
        ]
        assert kinds(look(connection, wanted)) == ["drift"]
        assert look(connection, wanted).status == "in_sync"


def test_the_recipe_of_a_type_change_names_the_field() -> None:
    with database() as connection:
        push(connection, todos(priority(STRING)))
        rule = only(look(connection, todos(priority(NUMBER)))).rule
        assert "SQLite does not support ALTER TABLE ALTER COLUMN" in rule
        assert "v.string().deprecated()" in rule
        assert "priorityNum: v.number()" in rule
        assert ".backfill('priorityNum'" in rule


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (STRING, NUMBER),
        (NUMBER, BOOLEAN),
        (BOOLEAN, NUMBER),
        (STRING, array(STRING)),
        (ANY, STRING),
        (STRING, BYTES),
        (STRING, union(STRING, NUMBER)),
    ],
)
def test_another_meaning_of_a_column_is_breaking(before: Validator, after: Validator) -> None:
    with database() as connection:
        push(connection, todos(priority(before)))
        change = only(look(connection, todos(priority(after))))
        assert (change.kind, change.risk) == ("change_type", Risk.BREAKING)


def test_the_seeds_way_around_a_type_change_is_no_breaking_change() -> None:
    with database() as connection:
        push(connection, todos(priority(STRING)))
        fill = Backfill("priorityNum", "d")
        wanted = todos(priority(deprecated=True), Field("priorityNum", NUMBER), backfills=(fill,))
        plan = push(connection, wanted)
        assert kinds(plan) == ["add_column", "deprecate_field", "run_backfill"]
        assert {c.risk for c in plan.changes} == {Risk.SAFE}
        assert look(connection, wanted).changes == ()


# ---- kept fields and tables


def test_a_removed_field_comes_back_with_its_data() -> None:
    with database() as connection:
        push(connection, todos(priority()))
        connection.execute("INSERT INTO todos (_id, priority) VALUES ('a', 'high')")
        push(connection, todos())
        connection.execute("INSERT INTO todos (_id) VALUES ('b')")
        assert look(connection, todos()).changes == ()
        push(connection, schema(*todos().tables, table("users")))
        change = only(look(connection, schema(*todos(priority()).tables, table("users"))))
        assert (change.kind, change.risk, change.rows) == ("restore_field", Risk.WARNING, 1)
        assert change.summary.endswith("1 document holds null: use v.optional() or .backfill().")
        assert connection.execute("SELECT priority FROM todos WHERE _id = 'a'").get == "high"


def test_a_removed_field_cannot_come_back_as_something_else() -> None:
    with database() as connection:
        push(connection, todos(priority(NUMBER)))
        push(connection, todos())
        assert only(look(connection, todos(priority(BOOLEAN)))).kind == "change_type"


@pytest.mark.parametrize("deprecated", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "value", "expected"),
    [
        (priority(), priority(literal("a")), "z", [("restore_field", "safe"), ("narrow_field", "breaking")]),
        (priority(), priority(literal("a")), "a", [("restore_field", "safe"), ("narrow_field", "safe")]),
        (priority(literal("a")), priority(), "a", [("restore_field", "safe")]),
        # Of null alone the restored field tells itself, and it is no reason to refuse.
        (priority(optional=True), priority(), None, [("restore_field", "warning")]),
        (priority(optional=True), priority(literal("a")), None, [("restore_field", "warning"), ("narrow_field", "breaking")]),
    ],
)  # fmt: skip
def test_a_field_that_comes_back_promising_more_is_held_against_its_values(
    deprecated: bool,
    before: Field,
    after: Field,
    value: str | None,
    expected: list[tuple[str, str]],
) -> None:
    with database() as connection:
        push(connection, todos(before))
        connection.execute("INSERT INTO todos (_id, priority) VALUES ('t', ?)", (value,))
        push(connection, todos(replace(before, deprecated=True)) if deprecated else todos())
        plan = look(connection, todos(after))
        assert [(c.kind, c.risk) for c in plan.changes] == expected


def test_a_removed_table_comes_back() -> None:
    both = schema(*todos().tables, table("users", name=STRING))
    with database() as connection:
        push(connection, both)
        connection.execute("INSERT INTO users (_id) VALUES ('u')")
        push(connection, todos())
        assert look(connection, todos()).changes == ()
        change = only(look(connection, both))
        assert (change.kind, change.rows) == ("restore_table", 1)
        push(connection, both)
        assert look(connection, both).changes == ()


# ---- narrowing


@pytest.mark.parametrize(
    ("before", "after", "values", "broken"),
    [
        (NUMBER, INT, ["1", "2.5", "3.0"], 1),
        (STRING, union(literal("a"), literal("b")), ["'a'", "'c'", "'b'"], 1),
        (array(NUMBER), array(INT), ["'[1,2]'", "'[1.5]'", "'[]'"], 1),
        (ANY, Validator("object"), ["'{}'", "'[]'", "'{\"a\":1}'"], 2),
        (STRING, reference("users"), ["'u1'", "'u2'", "'u1'"], 1),
        (reference("todos"), reference("users"), ["'u1'", "'x'", "'y'"], 2),
        (BOOLEAN, literal(True), ["1", "0", "0"], 2),
    ],
)
def test_a_narrowing_is_checked_against_the_data(
    before: Validator, after: Validator, values: list[str], broken: int
) -> None:
    users = table("users", field=STRING)
    with database() as connection:
        push(connection, schema(table("todos", field=before), users))
        connection.execute("INSERT INTO users (_id, field) VALUES ('u1', 'u2')")
        for i, value in enumerate(values):
            connection.execute(f"INSERT INTO todos (_id, field) VALUES ('t{i}', {value})")
        plan = look(connection, schema(table("todos", field=after), users))
        change = only(plan)
        assert (change.kind, change.offending) == ("narrow_field", broken)
        assert len(change.examples) == broken
        assert set(change.examples) <= {"t0", "t1", "t2"}
        assert plan.status == "blocked"


def test_required_is_a_promise_that_null_breaks() -> None:
    with database() as connection:
        push(connection, todos(priority(optional=True)))
        connection.execute("INSERT INTO todos (_id, priority) VALUES ('a', 'x'), ('b', NULL)")
        change = only(look(connection, todos(priority())))
        assert (change.offending, change.examples) == (1, ("b",))
        assert change.risk is Risk.BREAKING


def test_a_narrowing_that_a_backfill_mends_is_not_rejected() -> None:
    with database() as connection:
        push(connection, todos(priority(optional=True)))
        connection.execute("INSERT INTO todos (_id) VALUES ('a')")
        plan = look(connection, todos(priority(), backfills=(FILL,)))
        assert kinds(plan) == ["narrow_field", "run_backfill"]
        assert plan.status == "pending"
        assert plan.changes[0].offending is None


# ---- backfills


def test_a_failed_backfill_is_all_that_is_left() -> None:
    wanted = todos(priority(), backfills=(FILL,))
    with database() as connection:
        push(connection, todos())
        push(connection, wanted, backfills_fail=True)
        plan = look(connection, wanted)
        assert kinds(plan) == ["run_backfill"]
        assert plan.status == "pending"
        push(connection, wanted)
        assert look(connection, wanted).status == "in_sync"


def test_a_backfill_that_changed_after_it_ran_is_warned_of_and_not_run() -> None:
    with database() as connection:
        push(connection, todos(priority(), backfills=(FILL,)))
        changed = todos(priority(), backfills=(replace(FILL, digest="digest-2"),))
        plan = look(connection, changed)
        assert plan.changes == ()
        (warning,) = plan.warnings
        assert warning.message == (
            "The backfill of todos.priority changed after it ran; it will not run again."
        )
        assert warning.hint is not None
        assert "run `valet-studio backfill reset todos.priority` and push" in warning.hint
        assert warning.location == HERE


def test_a_backfill_that_valet_itself_recorded_is_done() -> None:
    with database(
        "CREATE TABLE _valet_meta (value ANY, extra, key TEXT)",
        "INSERT INTO _valet_meta VALUES (1, 'x', 'backfill:todos:priority')",
        "INSERT INTO _valet_meta VALUES ('abc', 'x', 'schema_hash')",
        'CREATE TABLE todos (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER, "title" TEXT, '
        '"priority" TEXT)',
    ) as connection:
        plan = look(connection, todos(priority(), backfills=(FILL,)))
        assert (plan.changes, plan.warnings, plan.status) == ((), (), "pending")
        push(connection, todos(priority(), backfills=(FILL,)))
        assert look(connection, todos(priority(), backfills=(FILL,))).status == "in_sync"


@pytest.mark.parametrize("strict", [False, True])
def test_an_impure_backfill_is_named(strict: bool) -> None:
    impure = replace(FILL, impurities=(Impurity("Date.now", HERE), Impurity("Math.random")))
    with database() as connection:
        push(connection, todos())
        plan = look(connection, todos(priority(), backfills=(impure,)), strict=strict)
        backfill = next(c for c in plan.changes if isinstance(c, RunBackfill))
        assert [w.location for w in plan.warnings] == ([] if strict else [HERE])
        for told in (backfill.summary, *(w.message for w in plan.warnings)):
            assert ("uses Date.now, Math.random" in told) is (strict or told != backfill.summary)
        assert backfill.risk is (Risk.BREAKING if strict else Risk.WARNING)
        told = "Clients run the same" if strict else "differ from run to run: the warnings below"
        assert told in backfill.rule


def test_a_backfill_of_a_new_table_is_recorded_too() -> None:
    wanted = todos(priority(), backfills=(FILL,))
    with database() as connection:
        plan = look(connection, wanted)
        assert kinds(plan) == ["create_table", "run_backfill"]
        assert [c.rows for c in plan.changes] == [0, 0]


# ---- foreign databases, drift, repair


MADE_BY_VALET = (
    "CREATE TABLE _valet_meta (key TEXT PRIMARY KEY, value TEXT)",
    "INSERT INTO _valet_meta VALUES ('schema_hash', 'abc')",
    'CREATE TABLE IF NOT EXISTS "todos" ("_id" TEXT PRIMARY KEY NOT NULL, '
    '"_version" INTEGER NOT NULL DEFAULT 0, "title" TEXT, "legacy" TEXT)',
    "CREATE TABLE old (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER)",
)


def test_a_database_made_by_valet_is_compared_by_sql_type() -> None:
    with database(*MADE_BY_VALET) as connection:
        plan = push(connection, todos())
        assert kinds(plan) == ["remove_field", "remove_table"]
        assert [c.column for c in plan.changes] == ["legacy", None]
        assert look(connection, todos()).changes == ()
        back = todos(Field("legacy", array(STRING)))
        assert only(look(connection, back)).kind == "restore_field"


@pytest.mark.parametrize(("made_by", "told"), [(MADE_BY_VALET, False), (MADE_BY_VALET[2:], True)])
def test_a_column_with_a_name_of_valets_is_told_of_where_valet_did_not_make_it(
    made_by: tuple[str, ...], told: bool
) -> None:
    with database(*made_by, "ALTER TABLE todos ADD COLUMN _seq INTEGER") as connection:
        plan = look(connection, todos(Field("legacy", STRING)))
        assert [c.column for c in plan.changes if c.column == "_seq"] == ["_seq"] * told


def test_a_foreign_database_is_adopted() -> None:
    with database(
        "CREATE TABLE todos (_id TEXT PRIMARY KEY, title VARCHAR(20), done INT, hand TEXT)",
        "CREATE TABLE other (x)",
        "INSERT INTO todos VALUES ('a', 'T', 1, 'made')",
    ) as connection:
        wanted = todos(Field("done", BOOLEAN), sync=Sync("full"))
        plan = push(connection, wanted)
        assert [(c.kind, c.column) for c in plan.changes] == [
            ("add_column", "_version"),
            ("change_sync", None),
            ("drift", "hand"),
            ("drift", None),
        ]
        assert plan.changes[1].risk is Risk.SAFE
        assert set(kinds(look(connection, wanted))) == {"drift"}
        connection.execute("UPDATE todos SET title = 'U'")
        logged = 'SELECT db_version, "table", row_id, operation FROM _valet_changes'
        assert connection.execute(logged).get == (1, "todos", "a", "update")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("id TEXT", "has no _id column"),
        ("_id INTEGER PRIMARY KEY", "_id is INTEGER"),
        ("_id TEXT", "_id is not the primary key"),
    ],
)
def test_an_unsuitable_id_is_breaking(column: str, words: str) -> None:
    with database(f"CREATE TABLE todos ({column}, _version INTEGER, title TEXT)") as connection:
        plan = look(connection, todos(priority()))
        breaking = [c for c in plan.changes if c.risk is Risk.BREAKING]
        assert [c.column for c in breaking] == ["_id"]
        assert words in breaking[0].summary


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW todos AS SELECT 1", "a view of that name"),
        ("CREATE VIRTUAL TABLE todos USING fts5(a)", "a virtual table of that name"),
        ("CREATE TABLE x (a)", None),
    ],
)
def test_a_name_that_is_taken_is_breaking(statement: str, words: str | None) -> None:
    also = "CREATE INDEX todos ON x (a)" if words is None else "SELECT 1"
    with database(statement, also) as connection:
        plan = look(connection, todos(indexes=(BY_TITLE,), search_indexes=(SEARCH,)))
        change = plan.changes[0]
        assert (change.kind, change.risk, change.sql) == ("create_table", Risk.BREAKING, ())
        assert (words or "an index of x has that name") in change.summary


def test_a_name_that_a_virtual_table_uses_inside_is_breaking() -> None:
    with database("CREATE VIRTUAL TABLE words USING fts5(a)") as connection:
        plan = look(connection, schema(table("words_data", a=STRING)))
        assert kinds(plan) == ["create_table", "drift"]
        assert "a shadow table of that name is in the way" in plan.changes[0].summary


def test_a_column_that_was_foreign_joins_the_types_when_it_is_declared() -> None:
    with database() as connection:
        push(connection, todos())
        connection.execute("ALTER TABLE todos ADD COLUMN priority TEXT")
        assert only(look(connection, todos())).kind == "drift"
        assert only(look(connection, todos(priority(NUMBER)))).kind == "change_type"
        change = only(push(connection, todos(priority())))
        assert (change.kind, change.summary) == (
            "restore_field",
            "todos.priority is in the database already and joins the types.",
        )
        assert look(connection, todos(priority())).changes == ()


def test_a_generated_column_is_not_to_be_backfilled() -> None:
    with database() as connection:
        push(connection, todos())
        connection.execute(
            "ALTER TABLE todos ADD COLUMN priority TEXT AS (iif(title > 'b', 'high', NULL))"
        )
        connection.execute("INSERT INTO todos (_id, title) VALUES ('1', 'a'), ('2', 'c')")
        advised = only(look(connection, todos(priority())))
        assert advised.summary.endswith("joins the types. 1 document holds null: use v.optional().")
        wanted = todos(priority(), backfills=(FILL,))
        assert look(connection, wanted).changes[-1].summary == (
            "Cannot backfill todos.priority: "
            "it is a generated column, which SQLite computes itself."
        )


def test_what_no_schema_explains_is_drift() -> None:
    with database() as connection:
        push(connection, todos(sync=Sync("full")))
        for statement in (
            "CREATE TRIGGER snoop AFTER INSERT ON todos BEGIN SELECT 1; END",
            "CREATE UNIQUE INDEX odd ON todos (title)",
            "ALTER TABLE todos ADD COLUMN surprise",
            "CREATE VIEW v AS SELECT 1",
            "CREATE VIRTUAL TABLE words USING fts5(a)",
            "CREATE TABLE stray (x)",
            "CREATE TABLE _litestream_seq (x)",
            "CREATE TABLE _cf_METADATA (x)",
            "CREATE TABLE d1_migrations (x)",
        ):
            connection.execute(statement)
        plan = look(connection, todos(sync=Sync("full")))
        assert set(kinds(plan)) == {"drift"}
        assert {c.risk for c in plan.changes} == {Risk.WARNING}
        text = " ".join(c.summary for c in plan.changes)
        for name in ("snoop", "odd", "surprise", "v is a view", "words is", "stray"):
            assert name in text
        assert [c.index for c in plan.changes if c.index is not None] == ["odd"]
        assert len(plan.changes) == 6
        assert plan.status == "in_sync"


REQUIRED = (
    "CREATE TABLE todos (_id TEXT PRIMARY KEY, title TEXT, priority TEXT NOT NULL)",
    "INSERT INTO todos VALUES ('a', 'T', 'high')",
)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ((priority(deprecated=True),), "NOT NULL, but not in the types: inserts without it fail."),
        ((priority(optional=True),), "NOT NULL, but the schema lets documents lack it: inserts"),
        ((), "but in no schema, and inserts fail because it is NOT NULL."),
    ],
    ids=["deprecated", "optional", "undeclared"],
)
def test_a_required_column_that_documents_may_lack_is_told(
    field: tuple[Field, ...], words: str
) -> None:
    with database(*REQUIRED) as connection:
        for plan in (push(connection, todos(*field)), look(connection, todos(*field))):
            (told,) = (c for c in plan.changes if c.kind == "drift")
            assert (told.column, words in told.summary) == ("priority", True), told.summary


def test_a_required_column_that_leaves_the_types_is_told_before_and_after() -> None:
    with database(*REQUIRED) as connection:
        assert "drift" not in kinds(push(connection, todos(priority())))
        for plan in (push(connection, todos()), look(connection, todos())):
            (told,) = (c for c in plan.changes if c.kind == "drift")
            assert "NOT NULL, but not in the types" in told.summary
            assert "make the table anew" in told.rule


@pytest.mark.parametrize("how", ["TEXT", "TEXT NOT NULL DEFAULT 'low'"])
def test_a_column_that_fills_itself_may_leave_the_types(how: str) -> None:
    with database(f"CREATE TABLE todos (_id TEXT PRIMARY KEY, title, priority {how})") as db:
        assert "drift" not in kinds(push(db, todos(priority(deprecated=True))))


def test_what_was_applied_and_is_gone_is_drift_and_made_again() -> None:
    both = schema(*todos(priority(optional=True)).tables, table("users"))
    with database() as connection:
        push(connection, both)
        connection.execute("ALTER TABLE todos DROP COLUMN priority")
        connection.execute("DROP TABLE users")
        plan = push(connection, both)
        assert [(c.kind, c.table, c.column) for c in plan.changes] == [
            ("create_table", "users", None),
            ("add_column", "todos", "priority"),
            ("drift", "users", None),
            ("drift", "todos", "priority"),
        ]
        assert look(connection, both).changes == ()


@pytest.mark.parametrize(
    "damage",
    [
        ("DROP TRIGGER todos_valet_update",),
        (
            "DROP TRIGGER todos_valet_update",
            "CREATE TRIGGER todos_valet_update AFTER UPDATE ON todos BEGIN SELECT 1; END",
        ),
    ],
)
def test_lost_change_tracking_is_repaired(damage: tuple[str, ...]) -> None:
    wanted = todos(sync=Sync("full"))
    with database() as connection:
        push(connection, wanted)
        for statement in damage:
            connection.execute(statement)
        change = only(push(connection, wanted))
        assert isinstance(change, ChangeSync)
        assert "todos_valet_update must be made anew" in change.summary
        assert change.rule.startswith("What was written while it was missing was not logged")
        assert look(connection, wanted).changes == ()


def test_a_search_index_that_is_made_names_its_field() -> None:
    with database() as connection:
        push(connection, todos())
        change = only(push(connection, todos(search_indexes=(SEARCH,))))
        assert change.summary == "Create search index by_words over todos.title."
        assert (change.index, change.column, change.location) == ("by_words", "title", HERE)


def test_an_index_of_another_hand_that_serves_is_left_alone() -> None:
    wanted = todos(indexes=(BY_TITLE,))
    with database() as connection:
        push(connection, todos())
        connection.execute("CREATE INDEX mine ON todos (title)")
        assert push(connection, wanted).changes == ()
        connection.execute("DROP INDEX mine")
        assert only(look(connection, wanted)).kind == "create_index"


def test_a_changed_index_is_dropped_and_made() -> None:
    with database() as connection:
        push(connection, todos(priority(), indexes=(BY_TITLE,), search_indexes=(SEARCH,)))
        wanted = todos(
            priority(),
            indexes=(Index("by_title", ("title", "priority")),),
            search_indexes=(SearchIndex("by_words", "priority"),),
        )
        plan = push(connection, wanted)
        assert kinds(plan) == [
            "drop_index",
            "create_index",
            "drop_search_index",
            "create_search_index",
        ]
        assert look(connection, wanted).changes == ()


def test_a_search_index_over_rows_without_numbers_is_refused() -> None:
    with database(
        "CREATE TABLE todos (_id TEXT PRIMARY KEY, _version INT, title TEXT) WITHOUT ROWID"
    ) as connection:
        change = only(look(connection, todos(search_indexes=(SEARCH,))))
        assert change.risk is Risk.BREAKING
        assert "WITHOUT ROWID" in change.summary


def test_a_generated_column_cannot_be_backfilled() -> None:
    with database(
        "CREATE TABLE todos (_id TEXT PRIMARY KEY, _version INT, title TEXT, "
        "priority TEXT AS (title || '!'))"
    ) as connection:
        change = only(look(connection, todos(priority(), backfills=(FILL,))))
        assert (change.kind, change.risk) == ("run_backfill", Risk.BREAKING)


def test_spelling_is_the_schemas_and_case_does_not_count() -> None:
    with database() as connection:
        push(connection, schema(Table("Todos", (Field("Title", STRING),), sync=Sync("full"))))
        wanted = todos(sync=Sync("full"))
        push(connection, wanted)
        assert look(connection, wanted).changes == ()
        connection.execute("INSERT INTO todos (_id) VALUES ('a')")
        assert connection.execute('SELECT "table" FROM _valet_changes').get == "todos"


def test_a_strict_table_takes_any_number() -> None:
    with database(
        "CREATE TABLE todos (_id TEXT PRIMARY KEY, _version INT, title TEXT) STRICT"
    ) as connection:
        push(connection, todos(priority(NUMBER)))
        connection.execute("INSERT INTO todos (_id, priority) VALUES ('a', 1.5)")
        assert look(connection, todos(priority(NUMBER))).changes == ()


def test_the_fingerprint_follows_schema_and_structure_but_not_documents() -> None:
    with database() as connection:
        push(connection, todos(sync=Sync("full")))
        first = look(connection, todos(sync=Sync("full"))).fingerprint
        connection.execute("INSERT INTO todos (_id) VALUES ('a')")
        assert look(connection, todos(sync=Sync("full"))).fingerprint == first
        assert look(connection, todos()).fingerprint != first
        connection.execute("CREATE INDEX i ON todos (title)")
        assert look(connection, todos(sync=Sync("full"))).fingerprint != first


def test_a_record_that_cannot_be_read_is_said_and_mended() -> None:
    with database() as connection:
        push(connection, todos())
        connection.execute("UPDATE _valet_meta SET value = '{' WHERE key = 'schema_json'")
        plan = look(connection, todos())
        assert plan.changes == ()
        assert "schema_json" in plan.warnings[0].message
