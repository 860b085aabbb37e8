"""The command line: parse, dispatch, exit codes. What the commands do stands in `commands`.

Nothing slow is imported before a command runs, so that `--help` is there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from valet_studio import __version__
from valet_studio.commands import process
from valet_studio.commands.group import StudioGroup
from valet_studio.config import Flags, Settings, environment_with, marked, parse_languages, resolve
from valet_studio.config_file import CONFIG_FILE, configs_above, read_config
from valet_studio.errors import StudioError

WEB_PORT = 8000

F = TypeVar("F", bound=Callable[..., Any])


_debug = click.option("--debug", is_flag=True, help="Show the traceback of a defect.")
_confirm = click.option(
    "--confirm", metavar="NAME", help="The database's name, for one in production."
)
_replica = click.option(
    "--replica",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rehearse on a copy of this client's file too.",
)
_ON_FILES = (
    click.option("--output-dir", metavar="DIR", help="Where types go. [_generated/valet]"),
    click.option("--lang", metavar="LANGS", help="Of ts, python; with commas."),
)


def works_on(*, files: bool = False) -> Callable[[F], F]:
    """The options that say what to work on; those of the group hold where a command has none."""
    options = (
        click.option("--schema", metavar="PATH", help="The schema. [valet/schema.ts]"),
        click.option("--valet-dir", metavar="DIR", help="Directory of schema.ts. [valet]"),
        click.option("--db", metavar="PATH|URL", help="The database. [.valet/dev.db]"),
        click.option("--strict", is_flag=True, help="Refuse backfills that vary by run."),
        click.option("--production", is_flag=True, help="Ask for the database's name first."),
        click.option("--read-only", is_flag=True, help="Change nothing of the database."),
        _debug,
        *(_ON_FILES if files else ()),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _begun(context: click.Context) -> Settings:
    """The settings of a command that will evaluate the schema: Deno starts at once."""
    from valet_studio.commands.early import start_deno

    settings = settings_of(context)
    start_deno(settings)
    return settings


def settings_of(
    context: click.Context, *, project: bool = False, database: str | None = None
) -> Settings:
    """The settings that a command's options, the group's, the environment and .env add up to.

    Args:
        project: whether `VALET_PROJECT_URL` counts.
        database: what the command works on, whatever the options name.
    """
    given: dict[str, Any] = {}
    for level in (context.find_root(), context):
        empty = next((name for name, value in level.params.items() if value == ""), None)
        if empty is not None:
            raise click.UsageError(f"--{empty.replace('_', '-')} is empty.", context)
        own = {name: value for name, value in level.params.items() if value}
        if {"schema", "valet_dir"} <= own.keys():
            raise click.UsageError("--schema and --valet-dir both name the schema.", context)
        if {"schema", "valet_dir"} & own.keys():
            given = {k: v for k, v in given.items() if k not in ("schema", "valet_dir")}
        given |= own
    if {"server", "db"} <= given.keys():
        raise click.UsageError("--server and --db both name the database.", context)
    if given.get("lang"):
        try:
            parse_languages(given["lang"])
        except StudioError as error:
            raise click.BadParameter(str(error), context, param_hint="--lang") from error
    flags = Flags(
        schema=given.get("schema"),
        valet_dir=given.get("valet_dir"),
        database=database or given.get("server") or given.get("db"),
        output_dir=given.get("output_dir"),
        languages=given.get("lang"),
        strict=bool(given.get("strict")),
        production=bool(given.get("production")),
        read_only=bool(given.get("read_only")),
        deploy_key=given.get("deploy_key"),
        project=project,
    )
    keys = read_config(Path(CONFIG_FILE)).keys
    settings = resolve(flags, environment_with(Path(".env")), keys)
    return marked(settings, configs_above(settings.database, Path()))


@click.group(
    cls=StudioGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@works_on()
@click.option("--web", is_flag=True, help="Serve it to browsers on this machine, read-only.")
@click.option("--web-write", is_flag=True, help="With --web: let it write.")
@click.option("--web-port", metavar="PORT", type=int, help="For --web. [8000]")
@_replica
@click.version_option(__version__, prog_name="valet-studio", message="%(prog)s %(version)s")
@click.pass_context
def cli(
    context: click.Context,
    /,
    web: bool,
    web_write: bool,
    web_port: int | None,
    replica: Path | None,
    **_: Any,
) -> int:
    """See what a change of valet/schema.ts will do to a SQLite database, rehearse it on a copy,
    apply what you reviewed.

    Without a command it opens the studio.
    """
    if context.invoked_subcommand is not None:
        if web or web_write or web_port is not None:
            raise click.UsageError("--web opens the studio; it goes with no command.", context)
        if replica is not None:
            raise click.UsageError(
                "--replica before a command is the studio's; dry-run takes its own.", context
            )
        return 0
    if replica is not None and web:
        raise click.UsageError("--replica and --web do not go together.", context)
    if not web and (web_write or web_port is not None):
        flag = "--web-write" if web_write else "--web-port"
        raise click.UsageError(f"{flag} goes with --web.", context)
    settings = settings_of(context)
    from valet_studio.commands import studio

    if web:
        port = WEB_PORT if web_port is None else web_port
        return studio.serve_studio(settings, port, write=web_write)
    return studio.open_studio(settings, replica=replica)


@cli.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@_debug
@click.option("--db", metavar="PATH", help="A database whose tables it declares. [.valet/dev.db]")
@click.pass_context
def init(context: click.Context, /, folder: Path, db: str | None, **_: Any) -> int:
    """Make valet/schema.ts to begin with, of the tables in the database where it holds any."""
    from valet_studio.commands import scaffold

    named = db or context.find_root().params.get("db")
    return scaffold.init(folder, settings_of(context), named)


@cli.command()
@click.argument("folder", metavar="[DIR]", default="valet-demo", type=click.Path(path_type=Path))
@click.option("--no-open", is_flag=True, help="Only make it.")
@click.option("--tour", is_flag=True, help="Walk through schema changes: n is the next.")
@_debug
def demo(folder: Path, no_open: bool, tour: bool, **_: Any) -> int:
    """Make a demo project with 142 documents and a pending migration, and open it."""
    from valet_studio import scaffold
    from valet_studio.commands.console import say
    from valet_studio.commands.question import has_terminal
    from valet_studio.commands.scaffold import demo_made, demo_shown

    made = scaffold.demo(folder)
    settings = scaffold.demo_settings(folder)
    if not no_open and has_terminal():
        from valet_studio.commands import studio

        studio.open_studio(settings, studio.begin_tour(settings) if tour else None)
    elif not no_open:
        demo_shown(settings)
        say("\n")
    demo_made(folder, made)
    return 0


@cli.command()
@works_on()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--sql", is_flag=True, help="As the SQL that apply will run.")
@click.option("--markdown", is_flag=True, help="For a pull request.")
@click.pass_context
def plan(context: click.Context, /, as_json: bool, sql: bool, markdown: bool, **_: Any) -> int:
    """Show what a push will do. Reads only."""
    given = [
        form for form, wanted in (("json", as_json), ("sql", sql), ("markdown", markdown)) if wanted
    ]
    if len(given) > 1:
        flags = " and ".join(f"--{form}" for form in given)
        raise click.UsageError(f"{flags} are forms of one plan: give one of them.", context)
    settings = _begun(context)
    from valet_studio.commands import runs

    return runs.plan(settings, given[0] if given else "text")


@cli.command("dry-run")
@works_on()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@_replica
@click.pass_context
def dry_run(context: click.Context, /, as_json: bool, replica: Path | None, **_: Any) -> int:
    """Rehearse the migration on a copy of the database."""
    settings = _begun(context)
    from valet_studio.commands import runs

    return runs.dry_run(settings, as_json=as_json, replica=replica)


@cli.command()
@works_on()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_confirm
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def apply(
    context: click.Context, /, yes: bool, confirm: str | None, as_json: bool, **_: Any
) -> int:
    """Migrate the database."""
    settings = _begun(context)
    from valet_studio.commands import runs

    return runs.apply(settings, yes=yes, as_json=as_json, name=confirm)


@cli.command()
@works_on(files=True)
@click.option("--watch", "-w", is_flag=True, help="Again on each save, until Ctrl-C.")
@click.option("--no-push", is_flag=True, help="Write the files, leave the database.")
@click.option("--server", metavar="URL", help="Push to this server. [VALET_PROJECT_URL]")
@click.option("--deploy-key", metavar="KEY", help="Key of the server. [VALET_DEPLOY_KEY]")
@click.pass_context
def codegen(context: click.Context, /, watch: bool, no_push: bool, **_: Any) -> int:
    """Push the schema and write schema.json and types."""
    from valet_studio.commands import generate

    run = generate.watching if watch else generate.codegen
    settings = settings_of(context, project=not no_push)
    if settings.production and not no_push:
        raise StudioError(
            f"{settings.database} is marked as a production database, and codegen does not ask "
            "before it pushes.",
            "Run `valet-studio apply`, which shows the plan and asks, then `codegen --no-push`.",
        )
    return run(settings, push=not no_push)


@cli.command()
@works_on(files=True)
@click.option("--dry-run", "rehearse", is_flag=True, help="Rehearse on a copy too.")
@click.option("--types", is_flag=True, help="Check the types of schema.ts too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def check(context: click.Context, /, rehearse: bool, types: bool, as_json: bool, **_: Any) -> int:
    """For CI: 0 in sync, 3 changes pending or files stale, 4 blocked."""
    settings = _begun(context)
    from valet_studio.commands import check as checking

    return checking.check(settings, rehearsing=rehearse, types=types, as_json=as_json)


@cli.command()
@works_on()
@click.argument("migration", metavar="[ID]", type=int, required=False)
@click.option("--diff", metavar="A B", type=(int, int), help="Compare the schemas of two.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def history(
    context: click.Context,
    /,
    migration: int | None,
    diff: tuple[int, int] | None,
    as_json: bool,
    **_: Any,
) -> int:
    """List what was applied, or show what one migration changed in the schema."""
    if migration is not None and diff is not None:
        raise click.UsageError("An ID and --diff ask for different things.", context)
    from valet_studio.commands import upkeep

    return upkeep.history(settings_of(context), as_json=as_json, migration=migration, diff=diff)


@cli.command()
@works_on()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_confirm
@click.pass_context
def undo(context: click.Context, /, yes: bool, confirm: str | None, **_: Any) -> int:
    """Put back the database as it was before the last apply."""
    from valet_studio.commands import upkeep

    return upkeep.undo(settings_of(context), yes=yes, name=confirm)


@cli.group()
def backfill() -> None:
    """Work on backfills that have run."""


@backfill.command("reset")
@works_on()
@click.argument("name", metavar="TABLE.COLUMN")
@_confirm
@click.pass_context
def backfill_reset(context: click.Context, /, name: str, confirm: str | None, **_: Any) -> int:
    """Run a backfill again on the next push."""
    from valet_studio.commands import upkeep

    return upkeep.reset_backfill(settings_of(context), name, confirm)


@cli.command()
@works_on()
@click.pass_context
def schema(context: click.Context, /, **_: Any) -> int:
    """Print schema.json."""
    from valet_studio.commands import generate

    return generate.schema(settings_of(context))


@cli.command()
@click.option("--db", metavar="PATH", help="The database. [.valet/dev.db]")
@click.option("--host", metavar="HOST", default="127.0.0.1", help="Where to listen. [127.0.0.1]")
@click.option("--port", metavar="PORT", type=int, default=5555, help="0 is any. [5555]")
@click.option(
    "--deploy-key-file", metavar="PATH", help="File with the key to ask for. [VALET_DEPLOY_KEY]"
)
@_debug
@click.pass_context
def serve(
    context: click.Context, /, host: str, port: int, deploy_key_file: str | None, **_: Any
) -> int:
    """Take pushes over HTTP, and tell clients of the schema."""
    from valet_studio.commands import serving

    return serving.serve(settings_of(context), host, port, deploy_key_file)


@cli.group()
def replica() -> None:
    """Work on a client's copy of the database."""


@replica.command("connect")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--server", metavar="URL", help="The server to follow. [VALET_PROJECT_URL]")
@click.option("--watch", "-w", is_flag=True, help="Stay and follow, until Ctrl-C.")
@click.option("--confirm", metavar="NAME", help="The file's name, for one in production.")
@click.option("--production", is_flag=True, help="Ask for the file's name first.")
@click.option("--read-only", is_flag=True, help="Change nothing of the file.")
@_debug
@click.pass_context
def replica_connect(
    context: click.Context,
    /,
    file: Path,
    server: str | None,
    watch: bool,
    confirm: str | None,
    **_: Any,
) -> int:
    """Migrate a client's file to its server's schema."""
    from valet_studio.commands import serving

    server = server or environment_with(Path(".env")).get("VALET_PROJECT_URL")
    if not server:
        raise click.UsageError("Name the server with --server.", context)
    run = serving.follow if watch else serving.connect
    return run(settings_of(context, database=str(file)), file, server, confirm)


def main() -> None:
    """Run the `valet-studio` command."""
    process.open_streams()
    process.tidy_up_when_ended()
    cli.main(prog_name="valet-studio")
