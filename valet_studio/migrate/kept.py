"""What stays in a database after a schema stopped declaring it."""

from __future__ import annotations

from dataclasses import replace

from valet_studio.schema.model import Field, Schema, Table
from valet_studio.schema.state import DatabaseState


def kept_after(schema: Schema, state: DatabaseState) -> tuple[Table, ...]:
    """The tables and fields that `state` still holds for older schemas, once `schema` applies.

    Remembering their validators lets a field that is declared again be compared by meaning and
    not by SQL type alone, and tells kept columns from foreign ones.
    """
    formerly: dict[str, dict[str, Field]] = {}
    names: dict[str, str] = {}
    for table in (*state.kept, *(state.applied.tables if state.applied else ())):
        names[table.name.lower()] = table.name
        fields = formerly.setdefault(table.name.lower(), {})
        fields.update({field.name.lower(): field for field in table.fields})
    declared = {table.name.lower(): table for table in schema.tables}
    kept = []
    for folded, fields in formerly.items():
        held = state.table_named(folded)
        if held is None:
            continue
        now = declared.get(folded)
        present = {field.name.lower() for field in now.fields} if now else set()
        left = tuple(
            replace(field, location=None)
            for name, field in fields.items()
            if name not in present and held.column_named(name) is not None
        )
        if left or now is None:
            kept.append(Table(names[folded], left))
    return tuple(kept)
