"""What follows from measured costs by arithmetic: what one database carries, and what so many runs a minute need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from tools.scaling.costs import COSTS, Cost

#: Of the processors of a database, what is planned for; the rest is for peaks and for what nobody thought of.
BUSY: Final = 0.5
DAY: Final = 86_400
_SUBMITTED: Final = ("a run accepted in bulk", "a run accepted, vacuum")
_WORKED: Final = ("a run worked off, in batches", "a run worked off, vacuum")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of run."""

    name: str
    #: Steps beside the first one, and thousands of lines of output.
    steps: int = 0
    lines: float = 0.0


KINDS: Final = (
    Kind("one step, no output"),
    Kind("one step, 100 lines", lines=0.1),
    Kind("five steps side by side, 100 lines", steps=4, lines=0.1),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a run of a kind costs, or so many of them a second: microseconds, or processors."""

    server: float
    worker: float
    #: Bytes of the write-ahead log, and those that stay.
    log: float
    stored: float

    def times(self, rate: float) -> Need:
        """Return what so many runs a second need: processors, and bytes a second."""
        return Need(self.server * rate / 1e6, self.worker * rate / 1e6, self.log * rate, self.stored * rate)


def of_a_run(kind: Kind, costs: Mapping[str, Cost] = COSTS) -> Need:
    """Return what a run of a kind costs from its submission to its end, vacuum included."""
    parts = [(costs[name], 1.0) for name in (*_SUBMITTED, *_WORKED)]
    parts += [(costs["a step of a fan"], float(kind.steps)), (costs["a thousand lines of 60 bytes"], kind.lines)]
    stored = costs["a run that is kept"].stored
    step = costs["a step of a fan"].log / costs[_WORKED[0]].log  # what is kept grows as what is written
    return Need(
        server=sum(cost.server * times for cost, times in parts),
        worker=sum(cost.worker * times for cost, times in parts),
        log=sum(cost.log * times for cost, times in parts),
        stored=stored + stored * step * kind.steps + costs["a thousand lines of 60 bytes"].log * kind.lines,
    )


def carried(kind: Kind, processors: int) -> float:
    """Return how many runs a second a database with so many processors carries, half of them busy."""
    return processors * BUSY * 1e6 / of_a_run(kind).server


def databases(kind: Kind, rate: float, processors: int) -> int:
    """Return how many databases with so many processors so many runs a second need."""
    return ceil(rate / carried(kind, processors))
