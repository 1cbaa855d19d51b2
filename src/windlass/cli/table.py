"""Tables of plain text that fit the terminal; whole values where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from windlass.cli.text import fitted, one_line, width_of

_GAP: Final = "  "
#: No column that may shrink gets narrower than this.
_NARROWEST: Final = 6
#: One that may be left out rather is.
_READABLE: Final = 12


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title and what a row shows in it."""

    title: str
    value: Callable[[Mapping[str, Any]], str]
    #: True for numbers.
    right: bool = False
    #: True where the text may be cut when the terminal is narrow.
    shrinks: bool = False
    #: What a row shows where not all columns fit; None shows the same.
    narrow: Callable[[Mapping[str, Any]], str] | None = None
    #: True where the column is left out of a terminal that has no room for it; the last of these goes first.
    drops: bool = False
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
    widths = _widths(columns, cells)
    if width is not None and _over(widths, width) > 0:
        cells = [
            [
                one_line(column.narrow(row)) if column.narrow else cell
                for column, cell in zip(columns, line, strict=True)
            ]
            for row, line in zip(rows, cells, strict=True)
        ]
        widths = _widths(columns, cells)
        for number in _dropped(columns, widths, width):
            columns = [*columns[:number], *columns[number + 1 :]]
            cells = [[*line[:number], *line[number + 1 :]] for line in cells]
            del widths[number]
        _shrink(columns, widths, width)
    lines = [_line(columns, widths, [column.title for column in columns], colours=False, cut=width)]
    lines.extend(_line(columns, widths, line, colours=colours, cut=width) for line in cells)
    return lines


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([width_of(column.title), *(width_of(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]


def _over(widths: Sequence[int], width: int) -> int:
    """Return how many columns of the terminal are missing."""
    return sum(widths) + len(_GAP) * (len(widths) - 1) - width


def _dropped(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Return the numbers of the columns to leave out, the last first, so that the others fit when they are shrunk."""
    least = [
        min(have, _READABLE if column.drops else _NARROWEST) if column.shrinks else have
        for column, have in zip(columns, widths, strict=True)
    ]
    dropped = []
    for number in reversed(range(len(columns))):
        kept = [have for other, have in enumerate(least) if other not in dropped]
        if _over(kept, width) <= 0:
            break
        if columns[number].drops:
            dropped.append(number)
    return dropped


def _shrink(columns: Sequence[Column], widths: list[int], width: int) -> None:
    """Take columns away from the widest of the columns that may shrink until the table fits, or none is left."""
    over = _over(widths, width)
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
