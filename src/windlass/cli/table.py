"""Tables of plain text that fit the terminal; whole values where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from windlass.cli.text import fitted, one_line, width_of

_GAP: Final = "  "
#: No column that may shrink gets narrower than this.
_NARROWEST: Final = 6


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title and what a row shows in it."""

    title: str
    value: Callable[[Mapping[str, Any]], str]
    #: True for numbers.
    right: bool = False
    #: True where the text may be cut when the terminal is narrow.
    shrinks: bool = False
    #: Colours a finished cell by its value; not asked where there are no colours.
    paint: Callable[[str, str], str] | None = None


def table_lines(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int | None, colours: bool = False
) -> list[str]:
    """Return a table's lines, its head first; columns that are empty throughout are left out.

    `width` None cuts nothing.
    """
    cells = [[one_line(column.value(row)) for column in columns] for row in rows]
    used = [number for number, _ in enumerate(columns) if not rows or any(line[number] for line in cells)]
    columns = [columns[number] for number in used]
    cells = [[line[number] for number in used] for line in cells]
    widths = [
        max([width_of(column.title), *(width_of(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]
    if width is not None:
        _shrink(columns, widths, width)
    lines = [_line(columns, widths, [column.title for column in columns], colours=False, cut=width)]
    lines.extend(_line(columns, widths, line, colours=colours, cut=width) for line in cells)
    return lines


def _shrink(columns: Sequence[Column], widths: list[int], width: int) -> None:
    """Take columns away from the widest of the columns that may shrink until the table fits, or none is left."""
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        shrinking = [n for n, column in enumerate(columns) if column.shrinks and widths[n] > _NARROWEST]
        if not shrinking:
            return
        widest = max(shrinking, key=widths.__getitem__)
        others = [widths[n] for n in shrinking if n != widest]
        step = max(1, min(over, widths[widest] - max([_NARROWEST, *others])))
        widths[widest] -= step
        over -= step


def _line(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str], *, colours: bool, cut: int | None
) -> str:
    parts = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        text = fitted(cell, width) if cut is not None else cell
        blanks = " " * (width - width_of(text))
        shown = column.paint(text, cell) if colours and column.paint else text
        parts.append(blanks + shown if column.right else shown + blanks)
    return _GAP.join(parts).rstrip()
