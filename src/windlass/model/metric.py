"""What a metric is: its name and meaning, the values of a moment, and distributions that are added up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its series. Units are base units, and stand in the name: seconds, bytes."""

    name: str
    kind: Kind
    #: One sentence without its full stop.
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram's buckets, without the one for all.
    buckets: tuple[float, ...] = ()


class Distribution:
    """How many observations fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count into buckets with the upper `bounds`, and one for all that is larger."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Add one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, bucket: int, count: int, total: float) -> None:
        """Add `count` observations of one bucket, by its index, whose sum is `total`."""
        self.counts[bucket] += count
        self.sum += total


#: The series of one metric: values of its labels, in their order, and the value of the series.
Series = Mapping[tuple[str, ...], "float | Distribution"]
#: The values of metrics at a moment, by name.
Figures = Mapping[str, Series]


def limited(names: Iterable[str], most: int) -> dict[str, str]:
    """Return what to call each of `names` as a label: itself, and `other` for all that come after the first `most`."""
    return {name: name if number < most else OTHER for number, name in enumerate(dict.fromkeys(names))}


#: Value of a label for all that has no value of its own.
OTHER = "other"
