"""Pieces of JSON Schema that several step types share.

`x-unit` marks a field whose value may be written with its unit: `seconds` (`90`, `5m`, `1h30m`) or `bytes` (`1024`,
`64MiB`). Loading turns it into a number, so that equal meaning gives equal content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.durations import LARGEST, LONGEST

MIB = 1024 * 1024

TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
BOOLEAN: Mapping[str, Any] = {"type": "boolean"}
DURATION: Mapping[str, Any] = {"type": ["number", "string"], "x-unit": "seconds", "minimum": 0, "maximum": LONGEST}
SIZE: Mapping[str, Any] = {"type": ["integer", "string"], "x-unit": "bytes", "minimum": 0, "maximum": LARGEST}
#: A program with its arguments; no shell reads it.
ARGUMENTS: Mapping[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "string"}}
#: A list is run as it is, a string is a script.
COMMAND: Mapping[str, Any] = {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": {"type": "string"}}
ENVIRONMENT: Mapping[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
LIMITS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "cpu_seconds": {
            "type": "integer",
            "minimum": 1,
            "maximum": LONGEST,
            "description": "CPU time of each process, in seconds",
        },
        "memory": {**SIZE, "minimum": MIB, "description": "address space of each process"},
        "open_files": {
            "type": "integer",
            "minimum": 3,
            "maximum": 2**31 - 1,
            "description": "open files of each process",
        },
    },
}


def config(
    properties: Mapping[str, Mapping[str, Any]], *, required: tuple[str, ...] = (), one_of: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Return the schema of a step type's config: these `properties` and no others.

    Of the names in `one_of` exactly one must be given.
    """
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    if required:
        schema["required"] = list(required)
    if one_of:
        schema["oneOf"] = [{"required": [name]} for name in one_of]
    return schema
