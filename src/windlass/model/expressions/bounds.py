"""How much work one evaluation may be: limits that hold before it starts, since the library has none of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.expressions.analysis import Analysis

#: Characters of one expression.
MAX_TEXT: Final = 8_192
#: Brackets within brackets of one expression.
MAX_NESTING: Final = 32
#: Loops (`map`, `filter`, `all`, `exists`, `exists_one`) of one expression, and loops within loops.
MAX_LOOPS: Final = 4
MAX_LOOP_DEPTH: Final = 2
#: Turns of all loops of one evaluation.
MAX_TURNS: Final = 200_000
#: Items that are copied in all: the library copies the list that `map` and `filter` make at every turn.
MAX_COPIES: Final = 50_000_000
#: Characters and items that one evaluation could at most make out of its values.
MAX_MADE: Final = 64 * 1024 * 1024
#: Below this many names and literals no expression without loops can make much of its values.
_FEW_OPERANDS: Final = 8


def check_length(text: str) -> None:
    """Raise ExpressionError where the text is longer than an expression may be."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"it has {len(text):,} characters, {MAX_TEXT:,} are allowed")


def check_shape(analysis: Analysis) -> None:
    """Raise ExpressionError where an expression is over a limit whatever values it meets."""
    if len(analysis.loops) > MAX_LOOPS:
        raise ExpressionError(f"it has {len(analysis.loops)} loops, {MAX_LOOPS} are allowed; split it over steps")
    if analysis.loop_depth > MAX_LOOP_DEPTH:
        raise ExpressionError(f"its loops are nested {analysis.loop_depth} deep, {MAX_LOOP_DEPTH} is allowed")
    if analysis.nesting > MAX_NESTING:
        raise ExpressionError(f"it is nested {analysis.nesting} deep, {MAX_NESTING} is allowed")


def check_work(analysis: Analysis, values: Iterable[Any]) -> None:
    """Raise ExpressionError where evaluating on `values` could take too long or fill the memory.

    The bounds are from above: every loop may go over the longest list there is or that `+` can make.
    """
    if not analysis.loops and analysis.operands < _FEW_OPERANDS:
        return
    longest, weight = analysis.operands, analysis.operands
    for value in values:
        length, size = _measure(value)
        longest, weight = max(longest, length), weight + size
    made = weight * analysis.operands
    for loop in analysis.loops:
        if loop.kind == "map":
            made *= max(loop.operands, 1) * (longest if loop.reaches_out else 1)
    if made > MAX_MADE:
        raise ExpressionError(f"it could make {made:,} characters of its values, {MAX_MADE:,} are allowed")
    if analysis.loops:
        _check_turns(analysis, longest)


def _check_turns(analysis: Analysis, longest: int) -> None:
    """Raise ExpressionError where the loops could take too many turns over lists of up to `longest` items."""
    maps = sum(loop.kind == "map" for loop in analysis.loops)
    longest *= (analysis.additions + 1) ** (maps + 1)
    turns = len(analysis.loops) * longest**analysis.loop_depth
    if turns > MAX_TURNS:
        raise ExpressionError(f"its loops could take {turns:,} turns, {MAX_TURNS:,} are allowed; do that in a step")
    if any(loop.kind in {"map", "filter"} for loop in analysis.loops) and turns * longest > MAX_COPIES:
        raise ExpressionError(f"map or filter over {longest:,} items is too long; do that in a step")


def _measure(value: Any) -> tuple[int, int]:
    """Return the length of the longest list or object in `value`, and its size in characters and items."""
    longest, size = 0, 0
    pending = [value]
    while pending:
        one = pending.pop()
        match one:
            case str():
                size += len(one)
            case Mapping():
                longest = max(longest, len(one))
                size += len(one) + sum(len(key) for key in one)
                pending.extend(one.values())
            case list() | tuple():
                longest = max(longest, len(one))
                size += len(one)
                pending.extend(one)
            case _:
                size += 8
    return longest, size
