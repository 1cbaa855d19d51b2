"""The outputs of one task: a JSON object of bounded size, in which the last write of a key wins."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

from windlass.errors import LimitExceeded, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of all outputs of one task, as JSON.
OUTPUT_LIMIT: Final = 64 * 1024
_DEEPEST: Final = 64
_INTEGERS: Final = range(-(2**63), 2**63)


class Outputs:
    """Gathers what a step puts out."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        """Start empty, with room for `limit` bytes of JSON."""
        self._limit = limit
        self._sizes: dict[str, int] = {}
        self._size = 2
        self.values: dict[str, Any] = {}

    def update(self, values: Mapping[str, Any]) -> None:
        """Take every key of `values`, or nothing of it.

        Raises UserError where a value is no JSON that others could read, LimitExceeded where all would be too large.
        """
        sizes = {key: _size(key) + _size(value) + 2 for key, value in values.items()}
        size = self._size + sum(sizes.values()) - sum(self._sizes.get(key, 0) for key in sizes)
        if size > self._limit:
            raise LimitExceeded("the outputs of a task in bytes", size, self._limit)
        self._size = size
        self._sizes.update(sizes)
        self.values.update(values)


def parse_outputs(text: bytes) -> dict[str, Any]:
    """Return the JSON object in `text`.

    Raises UserError with the reason where there is none, or where it holds what JSON of others could not: integers
    beyond 64 bits, NaN, broken text, more than 64 levels.
    """
    try:
        value = json.loads(text.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise UserError(f"it is nested deeper than {_DEEPEST} levels") from None
    except ValueError as error:
        raise UserError(_reason(error)) from None
    if not isinstance(value, dict):
        raise UserError("it is no JSON object")
    check_json(value)
    return value


def check_json(value: Any) -> None:
    """Raise UserError where `value` is not JSON that every reader understands."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [part for item in level for part in _parts(item)]
        if not level:
            return
    raise UserError(f"it is nested deeper than {_DEEPEST} levels")


def _parts(item: Any) -> list[Any]:
    match item:
        case None | bool():
            return []
        case str():
            if any("\ud800" <= letter <= "\udfff" for letter in item if not item.isascii()):
                raise UserError("it holds text that is not valid Unicode")
        case int():
            if item not in _INTEGERS:
                raise UserError("it holds an integer beyond 64 bits; write it as text")
        case float():
            if not math.isfinite(item):
                raise UserError("it holds a number that is not finite")
        case dict():
            return [*item.keys(), *item.values()]
        case list() | tuple():
            return list(item)
        case _:
            raise UserError(f"it holds a {type(item).__name__}, which JSON does not have")
    return []


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _reason(error: ValueError) -> str:
    """Say what is wrong without a word of the text itself: it may hold half a secret."""
    match error:
        case UnicodeDecodeError():
            return f"byte {error.start + 1} is not UTF-8"
        case json.JSONDecodeError():
            return f"{error.msg.lower()} at character {error.pos + 1}"
    return str(error) if str(error).endswith("is no JSON") else "a number in it is too long"
