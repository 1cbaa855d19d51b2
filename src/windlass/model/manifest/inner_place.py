"""Where in a manifest a line or an expression stands that is inside a text of several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from windlass.model.finding import Within
from windlass.model.template import OPENING

#: What YAML takes for the end of a line when it counts them.
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def lines_of(text: str) -> Sequence[str]:
    """Return the lines of a manifest as its parser counts them."""
    return _BREAK.split(text)


def place_within(lines: Sequence[str], scalar: Any, within: Within) -> tuple[int, int] | None:
    """Return line and column, from 1, of a place in the text of a YAML `scalar`, an event of the parser.

    None where the text stands on one line, or was written in a way that does not tell: with an escaped `${{`, say, or
    folded where only the line is known.
    """
    if scalar.start_mark.line == scalar.end_mark.line:
        return None
    if within.at is not None:
        return _expression(lines, scalar, within.at)
    return _line(lines, scalar, within.line) if scalar.style == "|" else None


def _line(lines: Sequence[str], scalar: Any, number: int) -> tuple[int, int] | None:
    """Return where a line of a literal block begins: it stands below the head of the block, indented."""
    at = scalar.start_mark.line + number
    said = scalar.value.split("\n")
    if number > len(said) or at >= len(lines) or not lines[at].endswith(said[number - 1]):
        return None
    return at + 1, len(lines[at]) - len(lines[at].lstrip(" ")) + 1


def _expression(lines: Sequence[str], scalar: Any, at: int) -> tuple[int, int] | None:
    """Return where the expression is written that begins at a character of the text: the third is the third there."""
    if not scalar.value.startswith(OPENING, at):
        return None
    written: Sequence[tuple[int, int]] = list(_openings(lines, scalar))
    if len(written) != scalar.value.count(OPENING):
        return None
    before: int = scalar.value.count(OPENING, 0, at)
    return written[before]


def _openings(lines: Sequence[str], scalar: Any) -> Iterator[tuple[int, int]]:
    """Yield the places at which an expression begins between the marks of a text; the head of a block has none."""
    start, end = scalar.start_mark, scalar.end_mark
    is_block = scalar.style in {"|", ">"}
    for number in range(start.line + is_block, min(end.line + 1, len(lines))):
        line = lines[number] if number < end.line else lines[number][: end.column]
        column = line.find(OPENING, start.column if number == start.line else 0)
        while column >= 0:
            yield number + 1, column + 1
            column = line.find(OPENING, column + len(OPENING))
