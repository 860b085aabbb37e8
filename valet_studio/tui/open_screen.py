"""Opening another schema and another database without leaving the studio."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Button, Input, Static

from valet_studio.paths import expanded, is_file, is_folder, is_there
from valet_studio.tui.typed_input import TypedInput


class PathSuggester(Suggester):
    """The first path that begins with what was typed, directories with a slash at their end."""

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """The rest of a path, shown dimmed; → takes it."""
        return completed(value, self.suffixes)


def completed(value: str, suffixes: tuple[str, ...]) -> str | None:
    """The path that the beginning of one may mean; None where there is none, or it is whole."""
    if not value or "://" in value:
        return None
    typed = expanded(value)
    folder, start = (typed, "") if value.endswith("/") else (typed.parent, typed.name)
    head = value if value.endswith("/") else value[: len(value) - len(start)]
    try:
        found = sorted(folder.iterdir(), key=lambda path: (not is_folder(path), path.name))
    except OSError:
        return None
    for path in found:
        hidden = path.name.startswith(".") and not start.startswith(".")
        if path.name == start or hidden or not path.name.startswith(start):
            continue
        if is_folder(path):
            return f"{head}{path.name}/"
        if path.name.endswith(suffixes):
            return f"{head}{path.name}"
    return None


class OpenScreen(ModalScreen[tuple[str, str] | None]):
    """Ends with schema and database, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, schema: str, database: str) -> None:
        super().__init__()
        self.schema, self.database = schema, database

    def compose(self) -> ComposeResult:
        with Vertical(id="open") as box:
            box.border_title = Content("Open")
            box.border_subtitle = Content("→ completes a path · enter opens · esc closes")
            yield Static("Schema", classes="label", markup=False)
            yield TypedInput(
                self.schema,
                id="open-schema",
                compact=True,
                suggester=PathSuggester((".ts", ".mts")),
            )
            yield Static(
                "Database: a file, or the address of a push server or libSQL server",
                classes="label",
                markup=False,
            )
            yield TypedInput(
                self.database,
                id="open-database",
                compact=True,
                suggester=PathSuggester((".db", ".sqlite", ".sqlite3", ".db3")),
            )
            yield Static(id="open-told", markup=False)
            with Horizontal(id="answers"):
                yield Button(Content("Cancel  esc"), id="no", compact=True)
                yield Button(Content("Open  enter"), id="yes", compact=True)

    def on_mount(self) -> None:
        """The schema is typed first."""
        self.query_one("#open-schema").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is not there yet: that is allowed, and a slip is seen."""
        event.stop()
        schema, database = self._files()
        told = []
        if schema and not is_file(Path(schema)):
            told.append("There is no such schema yet.")
        if database and "://" not in database and not is_there(Path(database)):
            told.append("The database will be made by the first apply.")
        self.query_one("#open-told", Static).update(Content.styled("  ".join(told), "$muted"))

    def _files(self) -> tuple[str, str]:
        schema = self.query_one("#open-schema", Input).value.strip()
        database = self.query_one("#open-database", Input).value.strip()
        if database and "://" not in database:
            database = str(expanded(database))
        return str(expanded(schema)) if schema else "", database

    def _open(self) -> None:
        schema, database = self._files()
        if schema and is_folder(Path(schema)):
            schema = str(Path(schema) / "schema.ts")
        if schema and database:
            self.dismiss((schema, database))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter opens, wherever it is pressed."""
        event.stop()
        self._open()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The focused or clicked answer."""
        event.stop()
        if event.button.id == "yes":
            self._open()
        else:
            self.dismiss(None)

    def action_close(self) -> None:
        """Stay with what is open."""
        self.dismiss(None)
