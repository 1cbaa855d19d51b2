"""What was measured over time, and whether it grows: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Share of the samples that are left out at the beginning: until then everything fills for the first time.
_WARM_UP: Final = 1 / 3
#: Samples on each side without which nothing is said.
_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a series may rise between the middle and the last third of a soak."""

    #: By so much of what it was.
    ratio: float = 1.25
    #: And by so much in its own unit, which is no growth at all where little was there.
    room: float = 0.0


@dataclass(frozen=True, slots=True)
class Growth:
    """The level of a series in the middle and in the last third."""

    name: str
    early: float
    late: float
    bound: Bound

    @property
    def excessive(self) -> bool:
        """Say whether it has risen by more than it may."""
        return self.late > self.early * self.bound.ratio + self.bound.room

    def __str__(self) -> str:
        """Return it as one line for people."""
        most = self.early * self.bound.ratio + self.bound.room
        return f"{self.name} grew from {self.early:,.1f} to {self.late:,.1f}, at most {most:,.1f} is no growth"


def growth(name: str, values: Sequence[float], bound: Bound) -> Growth | None:
    """Compare the middle of a series with its last third; None where there are too few values.

    Levels are medians: a single peak on a busy machine is no growth.
    """
    start = round(len(values) * _WARM_UP)
    middle = start + (len(values) - start) // 2
    early, late = values[start:middle], values[middle:]
    if min(len(early), len(late)) < _FEWEST:
        return None
    return Growth(name, median(early), median(late), bound)


def growing(series: Mapping[str, Sequence[float]], bounds: Mapping[str, Bound]) -> list[str]:
    """Return one line for each series that grew beyond its bound; a bound with `*` at its end is for all that begin so.

    A series without a bound is only shown.
    """
    found = []
    for name, values in series.items():
        bound = bound_of(name, bounds)
        seen = None if bound is None else growth(name, values, bound)
        if seen is not None and seen.excessive:
            found.append(str(seen))
    return found


def bound_of(name: str, bounds: Mapping[str, Bound]) -> Bound | None:
    """Return the bound of a series: its own, else that of the longest beginning."""
    if name in bounds:
        return bounds[name]
    fitting = [key for key in bounds if key.endswith("*") and name.startswith(key[:-1])]
    return bounds[max(fitting, key=len)] if fitting else None


def left_over(name: str, before: float, after: float, room: float) -> str | None:
    """Return a line where a figure did not come back to what it was once all work was over; None where it did."""
    if after <= before + room:
        return None
    return f"{name} is {after:,.0f} after everything has ended, and was {before:,.0f} before the first run"


def drawn(values: Sequence[float], width: int = 40) -> str:
    """Return a series as bars from its least to its greatest value."""
    if not values:
        return ""
    cells = [max(part) for part in _parts(values, min(width, len(values)))]
    low, high = min(cells), max(cells)
    span = (high - low) or 1
    return "".join(_BARS[min(len(_BARS) - 1, int((cell - low) / span * len(_BARS)))] for cell in cells)


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` of `values` lie; 0 where there are none."""
    found = sorted(values)
    return found[min(len(found) - 1, int(len(found) * share))] if found else 0.0


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [round(number * len(values) / count) for number in range(count + 1)]
    return [values[start:end] for start, end in pairwise(edges)]
