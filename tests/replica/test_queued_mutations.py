"""Which queued mutations a new schema still takes: by table, by operation, by each kind of field."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner
from support import Project, schema_of

from valet_studio.cli import cli

FIELDS = """
    title: v.string(), done: v.boolean(), count: v.number(), tags: v.array(v.string()),
    data: v.bytes(), note: v.optional(v.string()), old: v.string().deprecated(),
"""
BEFORE = schema_of(f"    todos: defineTable({{ {FIELDS} }}),\n    gone: defineTable({{}}),")
AFTER = schema_of(f"    todos: defineTable({{ {FIELDS} extra: v.optional(v.any()) }}),")
WHOLE = {"title": "a", "done": True, "count": 1, "tags": ["b"], "data": "AQI="}
DEEP = '{"title": ' + "[" * 100_000 + "]" * 100_000 + "}"

FIT = [
    ("insert", WHOLE),
    ("insert", WHOLE | {"_id": "t1", "_version": 3, "note": "c", "old": "d", "extra": {"e": 1}}),
    ("update", {"note": None, "extra": None, "done": False, "count": 1.5}),
    ("delete", "what no schema looks at"),
]
UNFIT = [
    ("update", {"done": 1}, 'field "done": 1 is not a boolean'),
    ("update", {"done": None}, 'field "done": it is null'),
    ("update", {"count": True}, 'field "count": true is not what it was'),
    ("update", {"title": ["a"]}, 'field "title": ["a"] is not what it was'),
    ("update", {"tags": "b"}, 'field "tags": "b" is not an array'),
    ("update", {"tags": ["b", 1]}, 'field "tags": [1]: 1 is not a string'),
    ("update", "{", "its document is not a JSON object"),
    ("update", DEEP, "its document is not a JSON object"),
    ("insert", {k: v for k, v in WHOLE.items() if k != "data"}, '"data" is required'),
    ("delete from gone", None, 'table "gone" is not in the schema'),
]


def queue(path: Path, mutations: list[tuple[str, object]]) -> None:
    """Queue them as a client does that numbers them itself, the last one first."""
    with apsw.Connection(str(path)) as connection:
        connection.execute(
            'CREATE TABLE _valet_mutations ("table" TEXT, row_id TEXT, operation TEXT,'
            " document TEXT, id INTEGER, PRIMARY KEY (id DESC)) WITHOUT ROWID"
        )
        for number, (operation, document) in enumerate(mutations):
            what, _, table = operation.partition(" from ")
            text = json.dumps(document) if isinstance(document, dict) else document
            connection.execute(
                "INSERT INTO _valet_mutations VALUES (?, 't1', ?, ?, ?)",
                (table or "todos", what, text, number),
            )
    connection.close()


@pytest.fixture
def client(project: Project) -> Path:
    """A replica of a server that is about to take another schema."""
    project.push(BEFORE)
    path = project.root / "client.db"
    shutil.copy(project.database, path)
    project.write(AFTER)
    return path


def test_what_no_longer_fits_is_named_with_its_reason(client: Path) -> None:
    queue(client, [*FIT, *((operation, document) for operation, document, _ in UNFIT)])
    done = CliRunner().invoke(cli, ["dry-run", "--replica", str(client), "--json"])
    told = json.loads(done.stdout)["replica"]
    assert told["mutations"] == len(FIT) + len(UNFIT)
    numbers = [item["id"] for item in told["unfit"]]
    assert numbers == list(range(len(FIT), len(FIT) + len(UNFIT)))
    for item, (*_, reason) in zip(told["unfit"], UNFIT, strict=True):
        assert reason in item["reason"]
