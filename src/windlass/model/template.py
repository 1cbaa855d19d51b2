"""Texts with expressions in them, and what a value becomes when it enters a text, an argument or a variable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression
from windlass.model.expressions.paths import kind_of
from windlass.model.expressions.tokens import end_of_expression
from windlass.model.finding import Within

OPENING: Final = "${{"
CLOSING: Final = "}}"
#: Written for a literal `${{`.
ESCAPED: Final = "$${{"
#: Bytes that one value may have in a variable or an argument: exec(2) takes 128 KiB at most.
MAX_CARRIED: Final = 96 * 1024
#: Bytes that all variables of a step may have together.
MAX_ENVIRONMENT: Final = 1024 * 1024


class UnreadableText(ExpressionError):
    """A text whose expressions cannot be read, or not judged."""

    def __init__(self, message: str, within: Within) -> None:
        """Say what is wrong, and where in the text."""
        super().__init__(message)
        self.within = within


@dataclass(frozen=True, slots=True)
class Hole:
    """An expression's place in a text."""

    expression: Expression
    #: Line of the text that it begins on, from 1.
    line: int
    #: Character of the text that it begins at, from 0.
    at: int = 0

    @property
    def within(self) -> Within:
        """Its place in the text."""
        return Within(self.line, self.at)

    def fail(self, reason: str) -> ExpressionError:
        """Return the error that says `reason` of this expression."""
        return ExpressionError(f"{self.expression}: {reason}")


Piece = str | Hole


def split(text: str) -> tuple[Piece, ...]:
    """Return the literal pieces and expressions of `text` in order; no literal piece is empty.

    Raises UnreadableText where an expression has no end or cannot be parsed.
    """
    pieces: list[Piece] = []
    literal: list[str] = []
    at, line, counted = 0, 1, 0
    while True:
        opening = text.find(OPENING, at)
        if opening < 0:
            literal.append(text[at:])
            break
        if opening > at and text[opening - 1] == "$":
            literal.append(text[at : opening - 1] + OPENING)
            at = opening + len(OPENING)
            continue
        literal.append(text[at:opening])
        start = opening + len(OPENING)
        end = end_of_expression(text, start)
        line += text.count("\n", counted, opening)
        counted = opening
        if end is None:
            said = f"line {line}: {OPENING} has no {CLOSING}; write {ESCAPED} for a literal {OPENING}"
            raise UnreadableText(said, Within(line, opening))
        if before := "".join(literal):
            pieces.append(before)
        literal.clear()
        try:
            pieces.append(Hole(Expression.parse(text[start:end]), line, opening))
        except ExpressionError as error:
            raise UnreadableText(str(error), Within(line, opening)) from error
        at = end + len(CLOSING)
    if rest := "".join(literal):
        pieces.append(rest)
    return tuple(pieces)


def as_text(value: Any) -> str:
    """Return what `value` is as text: strings as they are, JSON for all else; raises ExpressionError for null."""
    match value:
        case str():
            return value
        case None:
            raise ExpressionError("is null where a text is needed; write default(..., '') or choose a value")
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            raise ExpressionError(f"is {value}, which is no JSON number")
        case int() | float():
            return json.dumps(value)
        case Mapping() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    raise ExpressionError(f"is {kind_of(value)}, which has no text")


def carried(value: Any, hole: Hole) -> str:
    """Return the text that carries `value` in a variable or an argument.

    Raises ExpressionError, which names the expression, where it is null, too long, or no text that a process can get.
    """
    try:
        text = as_text(value)
    except ExpressionError as error:
        raise hole.fail(str(error)) from None
    check_carried(text, hole)
    return text


def check_carried(text: str, hole: Hole) -> None:
    """Raise ExpressionError where `text` fits in no variable and no argument; `hole` is what it came from."""
    if "\0" in text:
        raise hole.fail("has a NUL character, which neither a variable nor an argument can hold; pass it by a file")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise hole.fail("has half a character (a lone surrogate), which cannot be passed on") from None
    if size > MAX_CARRIED:
        limit = f"{MAX_CARRIED:,} fit in a variable or an argument"
        raise hole.fail(f"has {size:,} bytes, {limit}; read it from the file $WINDLASS_CONTEXT")
