"""The core schema of YAML 1.2: which plain words are null, booleans and numbers."""

from __future__ import annotations

import math
import re
from typing import Any

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BASES = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
#: A number or one of the words above begins like this; everything else is text.
_FIRST = frozenset("+-.0123456789~nNtTfF")
#: More digits than any number in range has, leading zeros aside.
_MANY_DIGITS = 40
LARGEST = 2**63 - 1
SMALLEST = -(2**63)


class BadScalar(ValueError):
    """A plain word that is a number which JSON or 64 bits cannot hold; the text is the sentence."""


def resolve(text: str) -> Any:
    """Return the value of a plain scalar.

    Raises BadScalar for infinities, not-a-number, and integers beyond 64 bits.
    """
    if text and text[0] not in _FIRST:
        return text
    return _WORDS[text] if text in _WORDS else _number(text)


def _number(text: str) -> Any:
    """Return the number that a plain scalar is, or its text where it is none."""
    for pattern, base in _BASES:
        if pattern.fullmatch(text):
            return _in_range(text, base)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise BadScalar(f"the number {_short(text)} is too large; put it in quotes if it is text")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise BadScalar(f"{text} is no number that JSON has; put it in quotes if it is text")
    return text


def _in_range(text: str, base: int) -> int:
    if len(text) <= _MANY_DIGITS:
        number = int(text, base)
        if SMALLEST <= number <= LARGEST:
            return number
    raise BadScalar(f"the integer {_short(text)} does not fit into 64 bits; put it in quotes if it is text")


def _short(text: str) -> str:
    """Return the beginning of a long number."""
    return text if len(text) <= _MANY_DIGITS else f"{text[:_MANY_DIGITS]}..."
