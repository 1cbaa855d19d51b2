"""Two texts beside each other on a wide terminal, or one after the other as `diff -u` has them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from windlass.cli.states import paint
from windlass.cli.text import clean, fitted, width_of

#: Columns from which two texts stand beside each other.
WIDE: Final = 110
#: Lines around a change that are shown with it.
_AROUND: Final = 3
_GAP: Final = 3


def compared(
    old: Sequence[str], new: Sequence[str], titles: tuple[str, str], *, width: int | None, colours: bool
) -> Iterator[str]:
    """Yield the lines that show how two texts differ; nothing where they are the same.

    `width` is that of the terminal; without one, and on a narrow one, the lines are those of a unified diff.
    """
    if list(old) == list(new):
        return
    if width is None or width < WIDE:
        yield from _unified(old, new, titles, colours=colours)
    else:
        yield from _beside(old, new, titles, width=width, colours=colours)


def _unified(old: Sequence[str], new: Sequence[str], titles: tuple[str, str], *, colours: bool) -> Iterator[str]:
    marks = {"+": "green", "-": "red", "@": "cyan"}
    for line in difflib.unified_diff(old, new, *titles, n=_AROUND, lineterm=""):
        text = clean(line)
        yield paint(text, marks.get(text[:1], "")) if colours and text[:1] in marks else text


def _beside(
    old: Sequence[str], new: Sequence[str], titles: tuple[str, str], *, width: int, colours: bool
) -> Iterator[str]:
    half = (width - _GAP) // 2
    yield f"{_cell(titles[0], half)} | {fitted(clean(titles[1]), half)}"
    yield f"{'-' * half}-+-{'-' * half}"
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(_AROUND)):
        if number:
            yield f"{_cell('...', half)} | ..."
        for kind, first, last, start, end in group:
            left, right = old[first:last], new[start:end]
            for place in range(max(len(left), len(right))):
                yield _row(kind, _at(left, place), _at(right, place), half, colours=colours)


def _row(kind: str, left: str | None, right: str | None, half: int, *, colours: bool) -> str:
    if kind == "equal":
        return f"{_cell(left or '', half)}   {fitted(clean(right or ''), half)}".rstrip()
    sign = "|" if left is not None and right is not None else "<" if right is None else ">"
    before, after = _cell(left or "", half), fitted(clean(right or ""), half)
    if colours:
        before, after = paint(before, "red"), paint(after, "green")
    return f"{before} {sign} {after}".rstrip()


def _at(lines: Sequence[str], place: int) -> str | None:
    return lines[place] if place < len(lines) else None


def _cell(text: str, width: int) -> str:
    shown = fitted(clean(text).replace("\t", "    "), width)
    return shown + " " * (width - width_of(shown))
