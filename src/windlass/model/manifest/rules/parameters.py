"""Rules on the parameters block: its schemas make sense, and defaults satisfy them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from windlass.model.finding import Level
from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.problem import About, Path
from windlass.model.manifest.schema_sentence import complaints
from windlass.model.parameter_schema import BadPattern, checked_schema, validator
from windlass.model.secret_reference import SCHEME

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
#: Only with one of these is there anything for a validator to check.
_CHECKED = frozenset({"pattern", "enum", "default", "items", "properties"})
#: Path inside of the parameter, sentence, level, about.
Said = tuple[Path, str, Level, About]


def schemas_make_sense(draft: Draft) -> Findings:
    """Each key of a parameter's schema says something about its type, and its default and enum fit it."""
    for name, schema in draft.canonical.get("parameters", {}).items():
        for path, message, level, about in _schema(name, orjson.dumps(schema)):
            yield Found(("parameters", name, *path), message, level, about)


@lru_cache(maxsize=4096)
def _schema(name: str, json: bytes) -> tuple[Said, ...]:
    """Return what is wrong with one parameter; the same ones come back with every version of every job."""
    schema = orjson.loads(json)
    return (*_keys(name, schema), *_values(name, schema)) if schema.get("type") in _KEYS_OF else ()


def _keys(name: str, schema: Mapping[str, Any]) -> Iterator[Said]:
    """Check which keys stand together."""
    kind = schema["type"]
    for key in schema:
        if key in _SPECIAL and key not in _KEYS_OF[kind]:
            yield (key,), f"{key} says nothing about a parameter of type {kind}", "error", "key"
    if schema.get("secret") is True and kind != "string":
        yield ("secret",), "a secret parameter must be of type string", "error", "value"
    if isinstance(schema.get("required"), list) and kind != "object":
        message = "required must be true or false; only a mapping has a list of keys"
        yield ("required",), message, "error", "value"
    if schema.get("required") is True and "default" in schema:
        message = f'the parameter "{name}" is required and has a default, which is never taken'
        yield ("default",), message, "warning", "key"
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if low in schema and high in schema and schema[low] > schema[high]:
            yield (low,), f"{low} is greater than {high}", "error", "value"


def _values(name: str, schema: Mapping[str, Any]) -> Iterator[Said]:
    """Check pattern, enum and default by the engine that checks runs' parameters."""
    if not _CHECKED.intersection(schema):
        return
    try:
        whole = validator(checked_schema(schema))
        plain = validator(checked_schema({key: value for key, value in schema.items() if key != "enum"}))
    except BadPattern as bad:
        yield ("pattern",), str(bad), "error", "value"
        return
    for index, value in enumerate(schema.get("enum", ())):
        for _, message, about in complaints(plain, value, schema, f"enum[{index}]"):
            yield ("enum", index), message, "error", about
    secret = schema.get("secret") is True
    if "default" in schema and not (secret and str(schema["default"]).startswith(SCHEME)):
        for place, message, about in complaints(whole, schema["default"], schema, f"default of {name}", hide=secret):
            yield ("default", *place), message, "error", about


RULES = (schemas_make_sense,)
