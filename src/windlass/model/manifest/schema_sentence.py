"""From a JSON Schema's complaint to one plain sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.kinds import described, label
from windlass.model.manifest.problem import Path

_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_FORMATS = {
    "date": "a date such as 2026-11-22",
    "date-time": "a time such as 2026-11-22T06:00:00Z",
    "file": "the path of a file",
    "email": "an e-mail address",
    "uri": "an address with its scheme",
    "duration": "a duration such as 90s, 1h30m or PT1H30M",
}
#: What makes further complaints about the same place needless.
_STRONGEST = ("enum", "type")
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems")
Sentence = tuple[Path, str, Literal["key", "value"]]


def complaints(
    check: Any,
    value: Any,
    schema: Mapping[str, Any],
    what: str,
    *,
    hide: bool = False,
    known: bool = False,
    whole: bool = False,
) -> Iterable[Sentence]:
    """Yield what the validator `check` of `schema` says about `value`: of one place what says most.

    `what` is how the value is called. With `hide` no sentence shows the value. A text that holds an expression is taken
    for any type, unless it is `known` that what looks like one is not: what it gives is checked when it is known.
    With `whole` a value within is called by its whole path instead of its nearest key: `limits.rows`.
    """
    if check.is_valid(value):
        return
    errors = [error for error in check.iter_errors(value) if known or not _is_expression(error.instance)]
    strongest: dict[Path, str] = {}
    for error in errors:
        if error.kind.name in _STRONGEST and strongest.get(tuple(error.instance_path)) != _STRONGEST[0]:
            strongest[tuple(error.instance_path)] = error.kind.name
    for error in errors:
        if strongest.get(tuple(error.instance_path), error.kind.name) == error.kind.name:
            yield from sentences(error, schema, what, hide=hide, whole=whole)


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and "${{" in value


def sentences(
    error: Any, schema: Mapping[str, Any], what: str, *, hide: bool = False, whole: bool = False
) -> Iterable[Sentence]:
    """Yield where (below the checked value) and what is wrong, for one validation error.

    `what` is how the checked value is called where the error is about itself. With `hide` no sentence shows the value.
    """
    path: Path = tuple(error.instance_path)
    kind = error.kind.name
    detail = error.kind.as_dict()
    name = _dotted((what, *path)) if whole else label((what, *path))
    if kind == "additionalProperties":
        known = _properties(schema, path)
        for key in detail["unexpected"]:
            yield (*path, key), f'unknown key "{key}" in {name}{suggestion(key, known)}', "key"
    elif kind == "required":
        yield path, f'missing key "{detail["property"]}" in {name}', "key"
    elif kind == "oneOf":
        names = _one_of(schema, path)
        given = [option for option in names if isinstance(error.instance, dict) and option in error.instance]
        if given:
            yield (*path, given[-1]), f"{name} has {' and '.join(given)}; keep one of them", "key"
        else:
            yield path, f"{name} needs one of {', '.join(names)}", "key"
    elif kind == "propertyNames":
        inner = detail["error"]
        yield (*path, str(inner.instance)), f'"{inner.instance}" is no name that {name} may hold', "key"
    else:
        say = _PLAIN.get(kind)
        if say is None:
            yield path, f"{name} is not valid{f' ({kind})' if hide else f': {error.message}'}", "value"
        else:
            found = "" if hide or kind in _LENGTHS else f", not {described(error.instance)}"
            yield path, f"{name} must {say(detail)}{found}", "value"


def _dotted(path: Path) -> str:
    """Return a path as people write it: `limits.rows[2]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _types(detail: Mapping[str, Any]) -> str:
    return f"be {' or '.join(_TYPES.get(name, name) for name in detail['types'])}"


def _enum(detail: Mapping[str, Any]) -> str:
    return f"be one of {', '.join(str(option) for option in detail['options'])}"


def _format(detail: Mapping[str, Any]) -> str:
    return f"be {_FORMATS.get(detail['format'], detail['format'])}"


_PLAIN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "type": _types,
    "enum": _enum,
    "format": _format,
    "const": lambda detail: f"be {detail['expected_value']}",
    "minimum": lambda detail: f"be at least {detail['limit']}",
    "maximum": lambda detail: f"be at most {detail['limit']}",
    "exclusiveMinimum": lambda detail: f"be more than {detail['limit']}",
    "exclusiveMaximum": lambda detail: f"be less than {detail['limit']}",
    "multipleOf": lambda detail: f"be a multiple of {detail['multiple_of']}",
    "minLength": lambda detail: f"have at least {detail['limit']} characters",
    "maxLength": lambda detail: f"have at most {detail['limit']} characters",
    "minItems": lambda detail: f"have at least {detail['limit']} entries",
    "maxItems": lambda detail: f"have at most {detail['limit']} entries",
    "minProperties": lambda detail: f"have at least {detail['limit']} keys",
    "maxProperties": lambda detail: f"have at most {detail['limit']} keys",
    "uniqueItems": lambda _: "hold no entry twice",
    "pattern": lambda detail: f"match {detail['pattern']}",
}


def _at(schema: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return the part of `schema` that describes the value at `path`, as far as it is written plainly."""
    for part in path:
        below = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        if below is None and isinstance(part, str):
            below = schema.get("additionalProperties")
        if not isinstance(below, dict):
            return {}
        schema = below
    return schema


def _properties(schema: Mapping[str, Any], path: Path) -> list[str]:
    return list(_at(schema, path).get("properties", {}))


def _one_of(schema: Mapping[str, Any], path: Path) -> list[str]:
    return [name for option in _at(schema, path).get("oneOf", []) for name in option.get("required", [])]
