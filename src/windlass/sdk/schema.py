"""What the parameters of a Python job are, as a manifest says it: read from annotations."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from windlass.steps.python_values import takes_an_object

Schema = dict[str, Any]

#: A schema of each parameter by name; None where the annotations do not say enough.
Parameters = dict[str, Schema] | None

_SCALARS: Final[Mapping[type, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": "string"},
    Path: {"type": "string"},
}


def schema_of(kind: Any) -> Schema | None:
    """Return the schema of values of an annotation; None where one type of JSON does not say it."""
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Literal:
        return _choice(arguments)
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        others = [one for one in arguments[: 1 if origin is typing.Annotated else None] if one is not types.NoneType]
        return schema_of(others[0]) if len(others) == 1 else None
    return _of_class(origin) if isinstance(origin, type) else None


def _of_class(kind: type) -> Schema | None:
    if issubclass(kind, enum.Enum):
        return _choice([member.value for member in kind])
    if takes_an_object(kind):
        return {"type": "object"}
    return {"type": "array"} if issubclass(kind, Sequence | AbstractSet) else None


def _choice(values: Sequence[Any]) -> Schema | None:
    """Return the schema of a choice between values of one type."""
    kinds = {type(value) for value in values}
    found = _SCALARS.get(kinds.pop()) if len(kinds) == 1 else None
    return None if found is None else {**found, "enum": list(values)}


def fields_of(kind: Any) -> Parameters:
    """Return a schema of each field of a dataclass or model, by the name that its JSON has; None for other kinds."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _of_dataclass(kind)
    if isinstance(kind, type) and hasattr(kind, "model_fields"):
        return _of_model(kind)
    return None


def arguments_of(function: Any, hints: Mapping[str, Any]) -> Parameters:
    """Return a schema of each parameter of a function but `progress`."""
    found: dict[str, Schema] = {}
    for one in inspect.signature(function).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            return None
        if one.name == "progress":
            continue
        schema = schema_of(hints.get(one.name, Any))
        if schema is None:
            return None
        found[one.name] = _said(schema, hints[one.name], one.default, required=one.default is one.empty)
    return found


def _of_dataclass(kind: type) -> Parameters:
    try:
        hints = typing.get_type_hints(kind)
    except Exception:  # noqa: BLE001 - names that only a type checker knows
        return None
    found: dict[str, Schema] = {}
    for one in dataclasses.fields(kind):
        if not one.init:
            continue
        schema = schema_of(hints[one.name])
        if schema is None:
            return None
        plain = one.default is dataclasses.MISSING
        found[one.name] = _said(
            schema, hints[one.name], one.default, required=plain and one.default_factory is dataclasses.MISSING
        )
    return found


def _of_model(kind: Any) -> Parameters:
    found: dict[str, Schema] = {}
    for name, one in kind.model_fields.items():
        schema = schema_of(one.annotation)
        if schema is None or one.alias is not None or one.validation_alias is not None:
            return None
        found[name] = _said(schema, one.annotation, one.default, required=one.is_required())
    return found


def _said(schema: Schema, kind: Any, default: Any, *, required: bool) -> Schema:
    """Return a schema with whether it is required, and with its default where JSON has that."""
    if required:
        return {**schema, "required": True}
    if isinstance(default, enum.Enum):
        default = default.value
    fits = type(default) in (bool, int, float, str) and schema_of(type(default)) == _without_enum(schema)
    return {**schema, "default": default} if fits and kind is not Any else schema


def _without_enum(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "enum"}
