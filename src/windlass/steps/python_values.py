"""Between JSON and the values of Python code: what a function's annotations ask for, and results as JSON.

Little is imported at the start: this also runs in the interpreter of a user's choice.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any


class BadValue(Exception):
    """A value does not fit; the text says where and why, in one sentence."""


def build(kind: Any, value: Any, where: str) -> Any:
    """Return the JSON `value` as the annotation `kind` asks for it; `where` names it in an error.

    Raises BadValue where it does not fit. A model makes itself with `model_validate`; an annotation whose meaning is
    not known lets any value pass.
    """
    if kind is Any or type(value) is kind:
        return value
    if hasattr(kind, "model_validate"):
        return _by_model(kind, value, where)
    try:
        import msgspec  # noqa: PLC0415 - only where something must be converted
    except ImportError:
        if dataclasses.is_dataclass(kind):
            raise BadValue(f"{where} is a dataclass, for which this interpreter needs the package msgspec") from None
        return value
    try:
        return msgspec.convert(value, kind, dec_hook=lambda part, item: _by_hook(part, item, where))
    except msgspec.ValidationError as error:
        raise BadValue(f"{where} does not fit: {_sentence(error)}") from None
    except NameError as error:
        name = getattr(kind, "__name__", kind)
        raise BadValue(f"{where} cannot be made a {name}, whose annotations name what is not there: {error}") from None
    except TypeError:
        return value


def takes_an_object(kind: Any) -> bool:
    """Say whether `kind` is made from a whole JSON object: a dataclass, a model, a mapping."""
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and (
        dataclasses.is_dataclass(origin) or hasattr(origin, "model_validate") or issubclass(origin, Mapping)
    )


def plain(value: Any, where: str = "the result") -> Any:
    """Return `value` as JSON: dataclasses and models as objects, times and ids as text. Raises BadValue."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    try:
        return json.loads(json.dumps(value, default=_encode))
    except _Foreign as error:
        raise BadValue(f"{where} holds a {error}, which JSON does not have") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(f"{where} is no JSON: {_sentence(error)}") from None


class _Foreign(Exception):
    """A value of a type, named in the text, that has no JSON."""


def _encode(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    for kind, make in ((Mapping, dict), ((set, frozenset), list)):
        if isinstance(value, kind):
            return make(value)
    if hasattr(type(value), "__members__"):
        return value.value
    if type(value).__name__ in ("UUID", "Decimal") or hasattr(value, "__fspath__"):
        return str(value)
    isoformat = getattr(value, "isoformat", None)
    if callable(isoformat):
        return isoformat()
    raise _Foreign(type(value).__name__)


def _by_model(kind: Any, value: Any, where: str) -> Any:
    try:
        return kind.model_validate(value)
    except ValueError as error:
        raise BadValue(f"{where} does not fit {kind.__name__}: {_sentence(error)}") from None


def _by_hook(kind: Any, value: Any, where: str) -> Any:
    if kind is object:
        return value
    if hasattr(kind, "model_validate"):
        return _by_model(kind, value, where)
    if isinstance(kind, type) and isinstance(value, str) and hasattr(kind, "__fspath__"):
        return kind(value)
    raise BadValue(f"{where} cannot be made a {getattr(kind, '__name__', kind)} from JSON")


def _sentence(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
