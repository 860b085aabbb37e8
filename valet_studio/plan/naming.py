"""A name for the column that takes over from one whose type cannot change."""

from __future__ import annotations

from collections.abc import Collection

from valet_studio.schema.model import Field, Storage
from valet_studio.schema.names import fold

_BY_KIND = {
    "array": "List",
    "object": "Object",
    "record": "Map",
    "id": "Id",
}
_BY_STORAGE = {
    Storage.NUMBER: "Num",
    Storage.TEXT: "Text",
    Storage.BOOLEAN: "Flag",
    Storage.BYTES: "Bytes",
    Storage.JSON: "Value",
}


def replacement_name(field: Field, taken: Collection[str] = ()) -> str:
    """The seed's `priorityNum` for `priority`: the old name and what the new type holds.

    Args:
        field: The field with its old name and its new type.
        taken: Names that will not do, in any case of letters.
    """
    validator = field.validator
    ending = _BY_KIND.get(validator.kind) or _BY_STORAGE[validator.storage]
    snake = "_" in field.name and field.name == field.name.lower()
    wanted = f"{field.name}_{ending.lower()}" if snake else f"{field.name}{ending}"
    folded = {fold(name) for name in taken}
    name, number = wanted, 2
    while fold(name) in folded:
        name, number = f"{wanted}{number}", number + 1
    return name
