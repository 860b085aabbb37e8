"""The generated files of a schema, by name."""

from __future__ import annotations

from collections.abc import Sequence

from valet_studio.codegen import python, typescript
from valet_studio.config import Language
from valet_studio.schema.document import to_text
from valet_studio.schema.model import Schema


def render(schema: Schema, languages: Sequence[Language]) -> dict[str, str]:
    """File name → text: schema.json always, and the types in each language asked for."""
    files = {"schema.json": f"{to_text(schema)}\n"}
    if "ts" in languages:
        files["types.ts"] = typescript.generate(schema)
    if "python" in languages:
        files["types.py"] = python.generate(schema)
    return files
