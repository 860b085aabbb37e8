"""The commands: what they print, what they touch, how they end."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import Project, fill_todos, schema_of, seed_blocks

from valet_studio import pipeline, scaffold
from valet_studio.cli import cli
from valet_studio.errors import StudioError
from valet_studio.replica import Connected, SyncEngine

BACKFILL = seed_blocks()[4]
FAILING = BACKFILL.replace(
    "return mapping[row.priority as string] ?? 1",
    "if (row.priority === 'urgent') throw new Error('no such priority'); return 1",
)
BROKEN = schema_of("todos: defineTable({ title: v.string( }),")


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="valet-studio", **options)


@pytest.fixture
def todos(project: Project) -> Project:
    """142 documents, and the seed's backfill pending."""
    project.push(scaffold.DEMO_BEFORE)
    fill_todos(project)
    project.write(BACKFILL)
    return project


def test_help_lists_the_commands_in_the_order_of_use() -> None:
    done = run("--help")
    assert done.exit_code == 0
    listed = done.stdout.partition("Commands:")[2].split("\n")
    names = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert names == [
        *("init", "demo", "plan", "dry-run", "apply", "codegen", "check", "history", "undo"),
        *("backfill", "schema", "serve", "replica"),
    ]


@pytest.mark.parametrize("command", ["", *cli.commands])
def test_every_command_has_help(command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: valet-studio")


def test_version() -> None:
    assert run("--version").stdout == "valet-studio 0.1.0\n"


def test_the_studio_needs_a_terminal(project: Project) -> None:
    project.write(BACKFILL)
    done = run()
    assert done.exit_code == 1
    assert "needs a terminal" in done.stderr
    assert "valet-studio plan" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("replica", "connect", "a.db", "--server", "http://127.0.0.1:1"),
        ("dry-run", "--replica", "missing.db"),
        ("plan", "--db", "libsql://x.test"),
        ("serve", "--db", "http://127.0.0.1:1"),
        ("serve", "--host", "0.0.0.0"),
        ("serve", "--deploy-key-file", "missing"),
        ("codegen", "--server", "http://127.0.0.1:1"),
        ("plan", "--db", "http://127.0.0.1:1"),
        ("history", "--db", "http://127.0.0.1:1"),
        ("undo", "--yes", "--db", "http://127.0.0.1:1"),
        ("backfill", "reset", "a.b", "--db", "http://127.0.0.1:1"),
        ("plan", "--db", "http://"),
        ("plan", "--db", "http://a:b@127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(project: Project, arguments: tuple[str, ...]) -> None:
    project.write(BACKFILL)
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("plan", "--nonsense"), 2),
        (("replica", "connect", "a.db"), 2),
        (("codegen", "--server"), 2),
        (("codegen", "--server", "http://x.test", "--db", "a.db"), 2),
        (("codegen", "--lang", "ruby"), 2),
        (("plan", "--schema", "a.ts", "--valet-dir", "b"), 2),
        (("unknown",), 2),
        (("check", "--nonsense"), 1),
        (("--db", "a.db", "check", "--schema"), 1),
    ],
)
def test_wrong_usage(project: Project, arguments: tuple[str, ...], code: int) -> None:
    project.write(BACKFILL)
    done = run(*arguments)
    assert done.exit_code == code
    assert "--help" in done.stderr


def test_options_go_before_or_after_the_command(project: Project) -> None:
    project.write(BACKFILL)
    project.schema_path.parent.rename(project.root / "elsewhere")
    before = run("--valet-dir", "elsewhere", "--db", "a.db", "plan", "--json")
    after = run("plan", "--schema", "elsewhere/schema.ts", "--db", "a.db", "--json")
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout
    assert run("--schema", "missing.ts", "plan", "--valet-dir", "elsewhere").exit_code == 0
    assert run("plan").exit_code == 1


@pytest.mark.parametrize("command", [["plan"], ["check"], ["dry-run"], ["history"]])
def test_reading_a_missing_database_creates_nothing(project: Project, command: list[str]) -> None:
    project.write(BACKFILL)
    before = sorted(project.root.rglob("*"))
    done = run(*command)
    assert done.exit_code == (3 if command == ["check"] else 0), done.output
    assert sorted(project.root.rglob("*")) == before


@pytest.mark.usefixtures("todos")
def test_plan_in_each_form() -> None:
    assert "  + Add column todos.priorityNum" in run("plan").stdout
    assert 'ALTER TABLE "todos" ADD COLUMN "priorityNum" INTEGER;' in run("plan", "--sql").stdout
    assert run("plan", "--markdown").stdout.startswith("### Migration plan")
    told = json.loads(run("plan", "--json").stdout)
    assert told["status"] == "pending"
    assert [change["kind"] for change in told["changes"]] == [
        *("add_column", "deprecate_field", "run_backfill")
    ]


def test_dry_run_reports_and_touches_nothing(todos: Project) -> None:
    before = todos.database.read_bytes()
    told = json.loads(run("dry-run", "--json").stdout)
    assert told["status"] == "ok"
    assert told["tables"] == [{"table": "todos", "rows_before": 142, "rows_after": 142}]
    assert told["backfills"][0]["updated"] == 142
    assert "142 of 142 rows updated" in run("dry-run").stdout
    assert todos.database.read_bytes() == before


def test_apply_does_not_ask_where_nobody_answers(todos: Project) -> None:
    before = todos.database.read_bytes()
    for arguments in (["apply"], ["apply", "--json"], ["undo"]):
        done = run(*arguments, input="y\n")
        assert done.exit_code == 1
        assert "--yes" in done.output
    assert todos.database.read_bytes() == before


def test_apply_then_nothing_is_left_to_do(todos: Project) -> None:
    done = run("apply", "--yes")
    assert done.exit_code == 0
    assert "142 of 142 rows updated" in done.stdout
    assert "Schema and database agree." in done.stdout
    told = json.loads(run("apply", "--yes", "--json").stdout)
    assert told["status"] == "noop"
    assert todos.sql("SELECT count(*) FROM todos WHERE priorityNum IS NOT NULL") == [(142,)]


@pytest.mark.parametrize("command", [["dry-run"], ["apply", "--yes"], ["check", "--dry-run"]])
def test_a_failing_backfill_exits_4_and_names_the_document(
    todos: Project, command: list[str]
) -> None:
    todos.write(FAILING)
    done = run(*command)
    assert done.exit_code == 4
    assert '✗ _id "t0003" (priority "urgent"): no such priority' in done.stdout
    line = FAILING[: FAILING.index("throw")].count("\n") + 1
    assert f"(valet/schema.ts:{line}:" in done.stdout


@pytest.mark.parametrize(
    "command", [["dry-run"], ["apply", "--yes"], ["check"], ["codegen"], ["apply", "-y", "--json"]]
)
def test_a_breaking_change_exits_4_and_changes_nothing(todos: Project, command: list[str]) -> None:
    before = todos.database.read_bytes()
    todos.write(scaffold.DEMO_BEFORE.replace("priority: v.string()", "priority: v.number()"))
    done = run(*command)
    assert done.exit_code == 4
    assert "todos.priority" in done.stdout
    assert todos.database.read_bytes() == before
    assert not (todos.root / "_generated").exists()


@pytest.mark.usefixtures("todos")
@pytest.mark.parametrize("command", ["plan", "check"])
@pytest.mark.parametrize(
    ("database", "told"),
    [
        ("other.db", "There is no other.db yet; the first apply makes it."),
        (".valet/other.db", "There is no .valet/other.db yet; the first apply makes it."),
        ("no/x.db", "There is no no/x.db, and no directory no to make it in."),
    ],
)
def test_a_database_that_is_not_there_is_named(command: str, database: str, told: str) -> None:
    assert told in run("--db", database, command).stdout
    assert not Path(database).exists()


@pytest.mark.usefixtures("todos")
@pytest.mark.parametrize(
    ("function", "asks"), [("row.done", False), ("{ if (row.done) return row.done }", True)]
)
def test_nulls_are_suspicious_only_where_a_return_can_be_missing(
    todos: Project, function: str, asks: bool
) -> None:
    fields = "id: v.any(), done: v.optional(v.any()), out: v.optional(v.any())"
    todos.write(schema_of(f"x: defineTable({{ {fields} }}),"))
    assert run("apply", "--yes").exit_code == 0
    todos.sql("INSERT INTO x (_id) VALUES ('a')")
    todos.write(schema_of(f"x: defineTable({{ {fields} }}).backfill('out', (row) => {function}),"))
    done = run("dry-run")
    assert ("1 document got null: is a return missing?" in done.stdout) is asks
    assert "1 document got null" in done.stdout


@pytest.mark.usefixtures("todos")
def test_check_follows_a_change_to_its_end() -> None:
    assert run("check").exit_code == 3
    assert run("apply", "--yes").exit_code == 0
    stale = run("check")
    assert stale.exit_code == 3
    assert "_generated/valet/types.ts" in stale.stdout
    assert run("codegen").exit_code == 0
    assert run("check", "--dry-run").exit_code == 0
    assert run("check", "--lang", "python").exit_code == 3


def test_check_tells_it_all_as_json(todos: Project) -> None:
    def told(*more: str) -> dict[str, Any]:
        done = run("check", "--json", *more)
        found: dict[str, Any] = json.loads(done.stdout)
        expected = {"in_sync": 0, "pending": 3, "stale": 3, "blocked": 4}[found["status"]]
        assert done.exit_code == expected
        assert list(found) == ["status", "plan", "type_errors", "dry_run", "files"]
        return found

    pending = told()
    assert pending["status"] == "pending"
    assert pending["plan"]["status"] == "pending"
    assert (pending["type_errors"], pending["dry_run"]) == (None, None)
    schema_file, types = (f"_generated/valet/{name}" for name in ("schema.json", "types.ts"))
    missing = [{"path": path, "status": "missing"} for path in (schema_file, types)]
    assert pending["files"] == missing
    rehearsed = told("--dry-run", "--types")
    assert rehearsed["type_errors"] == []
    assert rehearsed["dry_run"]["backfills"][0]["updated"] == 142

    assert run("codegen").exit_code == 0
    assert told()["status"] == "in_sync"
    (todos.root / types).write_text("", encoding="utf-8")
    stale = told("--dry-run")
    assert (stale["status"], stale["dry_run"]) == ("stale", None)
    assert [file["status"] for file in stale["files"]] == ["current", "stale"]

    todos.write(seed_blocks()[4].replace("row.priority as string", "row.prioriti as string"))
    wrong = told("--types")
    assert (wrong["status"], wrong["files"]) == ("blocked", None)
    assert wrong["type_errors"][0]["location"]["file"] == "valet/schema.ts"


def test_codegen_prints_the_seeds_text_and_writes_each_language(todos: Project) -> None:
    done = run("codegen", "--lang", "ts,python", "--output-dir", "out")
    assert done.stdout.startswith(
        "Schema pushed successfully\n"
        '  Table "todos":\n'
        "    Added columns: priorityNum\n"
        '    Backfill "priorityNum": 142 rows updated\n'
    )
    written = {path.name for path in (todos.root / "out").iterdir()}
    assert written == {"schema.json", "types.ts", "types.py"}
    again = run("codegen", "--lang", "ts,python", "--output-dir", "out")
    assert again.stdout.startswith("Schema unchanged")
    assert "Wrote" not in again.stdout


def test_codegen_without_push_leaves_the_database(todos: Project) -> None:
    before = todos.database.read_bytes()
    done = run("codegen", "--no-push")
    assert done.exit_code == 0
    assert "pushed" not in done.stdout
    assert "priorityNum" in (todos.root / "_generated/valet/types.ts").read_text(encoding="utf-8")
    assert todos.database.read_bytes() == before


def test_codegen_pushes_where_the_project_says_and_nowhere_else(todos: Project) -> None:
    url = "http://127.0.0.1:1"
    (todos.root / ".env").write_text(f"VALET_PROJECT_URL={url}\n", encoding="utf-8")
    before = todos.database.read_bytes()
    done = run("codegen")
    assert done.exit_code == 1
    assert f"{url} cannot be reached" in done.stderr
    assert todos.database.read_bytes() == before
    assert run("codegen", "--no-push").exit_code == 0
    assert run("plan").exit_code == 0
    assert run("codegen", "--db", str(todos.database)).exit_code == 0


def test_codegen_warns_of_documents_that_will_hold_null(todos: Project) -> None:
    todos.write(scaffold.DEMO_BEFORE.replace("priority:", "extra: v.string(), priority:"))
    done = run("codegen")
    assert done.exit_code == 0
    assert "Added columns: extra" in done.stdout
    assert done.stderr.startswith("! valet/schema.ts:8:9: ")
    assert "142 documents will hold null" in done.stderr
    assert "v.optional()" in done.stderr


def test_a_failed_push_writes_no_files(todos: Project) -> None:
    todos.write(FAILING)
    done = run("codegen")
    assert done.exit_code == 4
    assert "failed" in done.stdout
    assert not (todos.root / "_generated").exists()


def test_a_broken_schema_shows_line_caret_and_way_out(project: Project) -> None:
    project.write(BROKEN)
    done = run("plan")
    assert done.exit_code == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("valet/schema.ts:3:")
    assert lines[1].strip() == BROKEN.splitlines()[2]
    assert lines[2].strip() == "^"


@pytest.mark.parametrize("command", ["plan", "dry-run", "apply"])
def test_errors_with_json_are_json(project: Project, command: str) -> None:
    project.write(BROKEN)
    done = run(command, "--json", *(["--yes"] if command == "apply" else []))
    assert done.exit_code == 1
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["status"] == "error"
    assert told["errors"][0]["location"]["file"] == "valet/schema.ts"
    usage = run(command, "--json", "--nonsense")
    assert usage.exit_code == 2
    assert json.loads(usage.stdout)["status"] == "error"


def test_a_defect_is_a_sentence_and_a_traceback_only_with_debug(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(BACKFILL)

    def defect(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(pipeline, "look", defect)
    done = run("plan")
    assert done.exit_code == 1
    assert "ZeroDivisionError: of all things" in done.stderr
    assert "--debug" in done.stderr
    assert json.loads(run("plan", "--json").stdout)["status"] == "error"
    assert isinstance(run("plan", "--debug").exception, ZeroDivisionError)


def test_ctrl_c_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(BACKFILL)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "look", interrupted)
    done = run("plan")
    assert done.exit_code == 130
    assert done.stderr.strip() == "Cancelled."


def test_names_cannot_steer_the_terminal(project: Project) -> None:
    project.write(schema_of("'a\\x1b[31m': defineTable({ 'b\\u202e': v.string() }),"))
    done = run("plan")
    assert "\x1b" not in done.output
    assert "\u202e" not in done.output


def test_history_and_undo(todos: Project) -> None:
    assert run("apply", "--yes").exit_code == 0
    assert "priorityNum" in run("history").stdout
    told = json.loads(run("history", "--json").stdout)["migrations"]
    assert [entry["rows"] for entry in told] == [142, 0]
    done = run("undo", "--yes")
    assert done.exit_code == 0, done.output
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))
    assert run("check").exit_code == 3


@pytest.mark.usefixtures("todos")
def test_a_reset_backfill_is_pending_again() -> None:
    assert run("backfill", "reset", "todos.priorityNum").exit_code == 1
    assert run("apply", "--yes").exit_code == 0
    assert run("backfill", "reset", "todos.priorityNum").exit_code == 0
    kinds = [change["kind"] for change in json.loads(run("plan", "--json").stdout)["changes"]]
    assert kinds == ["run_backfill"]
    assert run("backfill", "reset", "todos").exit_code == 2


def test_a_reset_of_a_name_with_two_meanings_is_refused(project: Project) -> None:
    one = "a: defineTable({ 'b.c': v.string() }).backfill('b.c', () => 'one'),"
    project.push(schema_of(one))
    assert run("backfill", "reset", "a.b.c").exit_code == 0
    other = "'a.b': defineTable({ c: v.string() }).backfill('c', () => 'two'),"
    project.push(schema_of(one + other))
    before = project.meta()
    done = run("backfill", "reset", "a.b.c")
    assert done.exit_code == 1
    assert 'column "b.c" of table "a" and column "c" of table "a.b"' in done.stderr
    assert project.meta() == before


def test_schema_prints_schema_json(project: Project) -> None:
    project.write(BACKFILL)
    assert run("schema").stdout == next(
        file.after for file in pipeline.generated(project.look()) if file.path.name == "schema.json"
    )


def test_init_makes_a_schema_that_plans_and_overwrites_nothing(project: Project) -> None:
    (project.root / ".gitignore").write_text("node_modules\n.valet", encoding="utf-8")
    assert run("init").exit_code == 0
    assert run("plan").exit_code == 0
    project.write(BACKFILL)
    again = run("init")
    assert "left as it is" in again.stdout
    assert project.schema_path.read_text(encoding="utf-8") == BACKFILL
    ignored = (project.root / ".gitignore").read_text(encoding="utf-8")
    assert ignored == "node_modules\n.valet\n_generated/\n"
    assert run("init", "deeper/app").exit_code == 0
    assert (project.root / "deeper/app/valet/schema.ts").exists()


def test_init_declares_the_tables_of_the_database_that_is_named(project: Project) -> None:
    project.sql("CREATE TABLE people (_id TEXT PRIMARY KEY, name TEXT NOT NULL)")
    database = str(project.database)
    made = run("init", "--db", database)
    assert made.exit_code == 0
    assert f"valet-studio --db {database}" in made.stdout
    text = project.schema_path.read_text(encoding="utf-8")
    assert "people: defineTable({\n        name: v.string()," in text
    project.schema_path.unlink()
    assert run("--db", database, "init").exit_code == 0
    assert project.schema_path.read_text(encoding="utf-8") == text
    missing = run("init", "--db", "nowhere.db")
    assert missing.exit_code == 1
    assert "There is no database nowhere.db." in missing.stderr
    (project.root / "notes.txt").write_text("No database.\n" * 99, encoding="utf-8")
    other = run("init", "other", "--db", "notes.txt")
    assert other.exit_code == 1
    assert "notes.txt is not a SQLite database" in other.stderr
    assert not (project.root / "other").exists()


def test_init_elsewhere_names_the_database_as_it_is_seen_from_there(project: Project) -> None:
    project.sql("CREATE TABLE people (_id TEXT PRIMARY KEY, name TEXT NOT NULL)")
    relative = os.path.relpath(project.database, project.root)
    made = run("init", "two words/app", "--db", relative)
    told = shlex.split(made.stdout.split("Next:")[1])
    assert told == ["cd", "two words/app", "valet-studio", "--db", f"../../{relative}"]
    absolute = run("init", "three", "--db", str(project.database))
    assert absolute.stdout.endswith(f"valet-studio --db {project.database}\n")


def test_an_apply_lists_what_no_schema_explains_once(project: Project) -> None:
    project.sql("CREATE TABLE odd (x); CREATE VIEW seen AS SELECT 1")
    project.write(BACKFILL)
    told = run("apply", "--yes").stdout
    assert told.count("Table odd is in the database") == told.count("seen is a view") == 1
    assert "\nPlanned again: Schema and database agree. Nothing to do.\n" in told
    assert "Table odd is in the database" in run("plan").stdout


@pytest.mark.usefixtures("project")
def test_a_replica_tells_once_why_it_cannot_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(_self: Any, _cancelled: Any, lost: Callable[[StudioError], None]) -> Any:
        for said in ("Restarts.", "Refused.", "Refused.", "Refused."):
            lost(StudioError(said))
        yield Connected("in_sync", "hash")
        lost(StudioError("Refused."))

    monkeypatch.setattr(SyncEngine, "follow", follow)
    done = run("replica", "connect", "client.db", "--server", "http://127.0.0.1:1", "--watch")
    assert done.stderr == "Restarts.\nRefused.\nRefused.\n"
    assert done.exit_code == 0


def test_init_appends_to_a_gitignore_that_is_a_link_or_has_other_line_ends(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared") / "ignored"
    shared.write_bytes(b"node_modules\r\n*.log")
    link = project.root / ".gitignore"
    link.symlink_to(shared)
    assert run("init").exit_code == 0
    assert link.is_symlink()
    assert shared.read_bytes() == b"node_modules\r\n*.log\r\n_generated/\r\n.valet/\r\n"


def test_demo_is_the_seeds_example_with_its_migration_pending(project: Project) -> None:
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert "Run the backfill of todos.priorityNum for 142 documents" in done.stdout
    assert "142 of 142 rows updated" in done.stdout
    assert "valet-studio dry-run" in done.stdout
    text = (project.root / "valet-demo/valet/schema.ts").read_text(encoding="utf-8")
    assert text in BACKFILL
    (project.root / "valet-demo/valet/schema.ts").write_text(text + "// mine\n", encoding="utf-8")
    again = run("demo")
    assert again.exit_code == 0
    assert "as you left it" in again.stdout
    assert (
        (project.root / "valet-demo/valet/schema.ts")
        .read_text(encoding="utf-8")
        .endswith("// mine\n")
    )
    (project.root / "busy").mkdir()
    (project.root / "busy/file").touch()
    refused = run("demo", "busy")
    assert refused.exit_code == 1
    assert "no demo project" in refused.stderr
    quiet = run("demo", "other", "--no-open")
    assert quiet.exit_code == 0
    assert "Dry run" not in quiet.stdout
    first, second = (
        (project.root / name / ".valet/dev.db", name) for name in ("valet-demo", "other")
    )
    assert first[0].exists()
    assert second[0].exists()


def test_the_demos_documents_are_always_the_same_and_show_the_default() -> None:
    documents = scaffold.documents()
    assert documents == scaffold.documents()
    assert len({title for _, title, *_ in documents}) == 142
    assert {"high", "medium", "low"} < {priority for *_, priority in documents}


def test_a_closed_pipe_is_quiet(project: Project) -> None:
    project.write(BACKFILL)
    command = subprocess.Popen(
        [sys.executable, "-m", "valet_studio", "plan"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait(timeout=20) != 0
