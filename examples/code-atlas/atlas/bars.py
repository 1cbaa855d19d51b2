"""The report as text, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atlas.parts import short_names

_WIDTH = 78
_BAR = 34
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHOWN = 6


def summary(atlas: Mapping[str, Any], findings: Sequence[str]) -> Iterator[str]:
    """Yield the lines: totals, a bar for each part, the longest functions, and the findings."""
    totals = atlas["totals"]
    yield f"{atlas['project']}: {totals['code']:,} lines of Python in {totals['files']:,} files"
    yield ""
    parts = sorted(atlas["parts"], key=lambda part: -part["code"])
    names = short_names([part["name"] for part in parts])
    most = max(part["code"] for part in parts) or 1
    for part in parts:
        yield f"{names[part['name']][:20]:>20}  {bar(part['code'] / most, _BAR):{_BAR}}  {part['code']:>7,}"
    yield ""
    yield "longest functions"
    longest = sorted(atlas["functions"], key=lambda function: (-function["lines"], function["path"]))[:_SHOWN]
    for function in longest:
        place = _fitted(f"{function['path']}:{function['line']}", _WIDTH - 19)
        yield f"{bar(function['lines'] / longest[0]['lines'], 12):12} {function['lines']:>4}  {place}"
    yield ""
    yield from findings


def bar(share: float, width: int) -> str:
    """Return a bar of `share` (0 to 1) of `width` columns, to an eighth of a column."""
    eighths = round(share * width * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]
