"""The engine that the original Valet uses (boa), driven document by document.

Arguments: case, database. Prints seconds from open to COMMIT.
"""

import json
import sqlite3
import sys
import time

import boabem  # type: ignore[import-not-found]

CASES = {
    "map": """(row) => { const mapping = { high: 3, medium: 2, low: 1 };
        return mapping[row.priority] ?? 1 }""",
    "slug": r"""(row) => `${row.title.trim().toLowerCase().replace(/\s+/g, '-')}-${row._id.slice(0, 6)}`""",
    "all": "(row) => Object.values(row).join('|')",
}
COLUMNS = ("_id", "_version", "title", "completed", "userId", "priority", "out")
BATCH = 1_000

name, path = sys.argv[1:]
began = time.perf_counter()
context = boabem.Context()
context.eval(f"const f = {CASES[name]}")
database = sqlite3.connect(path, isolation_level=None)
database.execute("BEGIN IMMEDIATE")
last = 0
while rows := database.execute(
    f"SELECT rowid, {', '.join(COLUMNS)} FROM todos WHERE rowid > ? ORDER BY rowid LIMIT {BATCH}",
    (last,),
).fetchall():
    documents = json.dumps([dict(zip(COLUMNS, row[1:], strict=True)) for row in rows])
    values = json.loads(context.eval(f"JSON.stringify({documents}.map((row) => f(row)))"))
    database.executemany(
        "UPDATE todos SET out = ? WHERE rowid = ?",
        zip(values, (row[0] for row in rows), strict=True),
    )
    last = rows[-1][0]
database.execute("COMMIT")
print(time.perf_counter() - began)
