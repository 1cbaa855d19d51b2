"""Rules on the parameters block: its schemas make sense, and defaults satisfy them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.schema_sentence import complaints
from windlass.model.parameter_schema import BadPattern, checked_schema, validator

_TEXT_KEYS = ("pattern", "format", "minLength", "maxLength")
_NUMBER_KEYS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LIST_KEYS = ("items", "minItems", "maxItems", "uniqueItems")
_MAP_KEYS = ("properties", "additionalProperties")
_KEYS_OF = {
    "string": _TEXT_KEYS,
    "integer": _NUMBER_KEYS,
    "number": _NUMBER_KEYS,
    "array": _LIST_KEYS,
    "object": _MAP_KEYS,
    "boolean": (),
}
_SPECIAL = frozenset(_TEXT_KEYS + _NUMBER_KEYS + _LIST_KEYS + _MAP_KEYS)


def schemas_make_sense(draft: Draft) -> Findings:
    """Each key of a parameter's schema says something about its type, and its default and enum fit it."""
    for name, schema in draft.canonical.get("parameters", {}).items():
        if schema.get("type") in _KEYS_OF:
            yield from _schema(name, schema)


def _schema(name: str, schema: Mapping[str, Any]) -> Findings:
    path = ("parameters", name)
    kind = schema["type"]
    for key in schema:
        if key in _SPECIAL and key not in _KEYS_OF[kind]:
            yield Found((*path, key), f"{key} says nothing about a parameter of type {kind}", about="key")
    if schema.get("secret") is True and kind != "string":
        yield Found((*path, "secret"), "a secret parameter must be of type string")
    if isinstance(schema.get("required"), list) and kind != "object":
        yield Found((*path, "required"), "required must be true or false; only a mapping has a list of keys")
    if schema.get("required") is True and "default" in schema:
        message = f'the parameter "{name}" is required and has a default, which is never taken'
        yield Found((*path, "default"), message, "warning", "key")
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if low in schema and high in schema and schema[low] > schema[high]:
            yield Found((*path, low), f"{low} is greater than {high}")
    yield from _values(name, schema)


def _values(name: str, schema: Mapping[str, Any]) -> Findings:
    """Check pattern, enum and default by the engine that checks runs' parameters."""
    path = ("parameters", name)
    try:
        whole = validator(checked_schema(schema))
        plain = validator(checked_schema({key: value for key, value in schema.items() if key != "enum"}))
    except BadPattern as bad:
        yield Found((*path, "pattern"), str(bad))
        return
    for index, value in enumerate(schema.get("enum", ())):
        for _, message, about in complaints(plain, value, schema, f"enum[{index}]"):
            yield Found((*path, "enum", index), message, about=about)
    secret = schema.get("secret") is True
    if "default" in schema and not (secret and str(schema["default"]).startswith("secret://")):
        for place, message, about in complaints(whole, schema["default"], schema, f"default of {name}", hide=secret):
            yield Found((*path, "default", *place), message, about=about)


RULES = (schemas_make_sense,)
