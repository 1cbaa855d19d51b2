"""A simulation of how long runs wait for their start where they come in bursts and are taken in batches.

A database with some processors does what it is asked in turn; workers with slots ask it, one exchange at a time: the
ends since the last one go in, as many runs as there are free slots, and no more than a batch, come out. Nothing else is
drawn by chance than when bursts come, how large they are, and how long runs take; the same seed gives the same figures.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from statistics import median, quantiles
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database: seconds of one of its processors for each kind of work."""

    processors: int
    #: To accept a run, among others of its burst.
    accept: float
    #: For an exchange, however little it does.
    exchange: float
    #: For each run that is taken and ended in one.
    run: float
    #: Seconds of an exchange in which no processor works on it: the way there and back, the flush of its commit.
    away: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Workers that are alike."""

    workers: int
    slots: int
    #: Most runs that are taken at one time.
    batch: int
    #: Mean seconds that a run takes; how long each does is drawn (exponential).
    work: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Runs that come: so many a second, in bursts of a mean size, both by chance (geometric sizes, Poisson times)."""

    rate: float
    burst: float
    runs: int


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from submission to start."""

    p50: float
    p99: float
    #: Runs started a second, from the first submission to the last start.
    rate: float


@cache
def simulate(server: Server, fleet: Fleet, load: Load, seed: int = 1) -> Waits:
    """Return how long runs wait."""
    return _Simulation(server, fleet, load, random.Random(seed)).waits()  # noqa: S311 - a simulation


class _Simulation:
    """What is under way; events are `(time, number, what, who)`."""

    def __init__(self, server: Server, fleet: Fleet, load: Load, dice: random.Random) -> None:
        self._server, self._fleet, self._dice = server, fleet, dice
        self._events: list[tuple[float, int, str, int]] = []
        self._numbered = 0
        #: When the runs that wait were submitted, and when each that started was, with its wait.
        self._ready: deque[float] = deque()
        self._waits: list[float] = []
        self._last = 0.0
        #: What waits for a processor: a burst that is to be accepted, or the exchange of a worker, by its number.
        self._asked: deque[tuple[str, int]] = deque()
        self._free = server.processors
        self._slots = [fleet.slots] * fleet.workers
        self._ended = [0] * fleet.workers
        self._busy = [False] * fleet.workers
        self._taken: list[list[float]] = [[] for _ in range(fleet.workers)]
        self._bursts = _bursts(load, dice)
        for number, (at, _) in enumerate(self._bursts):
            self._at(at, "burst", number)

    def waits(self) -> Waits:
        """Let everything happen."""
        happen = {
            "burst": self._burst,
            "accepted": self._accepted,
            "worked": self._worked,
            "answered": self._answered,
            "end": self._end,
        }
        while self._events:
            at, _, what, who = heappop(self._events)
            happen[what](at, who)
        return Waits(median(self._waits), quantiles(self._waits, n=100)[98], len(self._waits) / self._last)

    def _at(self, at: float, what: str, who: int) -> None:
        self._numbered += 1
        heappush(self._events, (at, self._numbered, what, who))

    def _burst(self, at: float, number: int) -> None:
        self._asked.append(("accepted", number))
        self._serve(at)

    def _serve(self, at: float) -> None:
        """Give free processors what has waited longest."""
        while self._free and self._asked:
            what, who = self._asked.popleft()
            self._free -= 1
            if what == "accepted":
                _, size = self._bursts[who]
                self._at(at + self._server.exchange + self._server.accept * size, "accepted", who)
                continue
            count = min(len(self._ready), self._slots[who], self._fleet.batch)
            self._taken[who].extend(self._ready.popleft() for _ in range(count))
            ended, self._ended[who] = self._ended[who], 0
            self._at(at + self._server.exchange + self._server.run * (count + ended) / 2, "worked", who)

    def _accepted(self, at: float, number: int) -> None:
        since, size = self._bursts[number]
        self._ready.extend([since] * size)
        self._free += 1
        for worker in range(self._fleet.workers):
            self._ask(at, worker)
        self._serve(at)

    def _worked(self, at: float, worker: int) -> None:
        self._free += 1
        self._at(at + self._server.away, "answered", worker)
        self._serve(at)

    def _answered(self, at: float, worker: int) -> None:
        """Start what was taken."""
        self._busy[worker] = False
        for since in self._taken[worker]:
            self._waits.append(at - since)
            self._slots[worker] -= 1
            self._at(at + self._dice.expovariate(1 / self._fleet.work), "end", worker)
            self._last = at
        self._taken[worker].clear()
        self._ask(at, worker)

    def _end(self, at: float, worker: int) -> None:
        self._slots[worker] += 1
        self._ended[worker] += 1
        self._ask(at, worker)

    def _ask(self, at: float, worker: int) -> None:
        """Begin an exchange where there is anything to exchange and none is under way."""
        if not self._busy[worker] and (self._ended[worker] or (self._ready and self._slots[worker])):
            self._busy[worker] = True
            self._asked.append(("worked", worker))
            self._serve(at)


def _bursts(load: Load, dice: random.Random) -> Sequence[tuple[float, int]]:
    """Return when bursts come, and their sizes, until all runs have come."""
    found, at, left = [], 0.0, load.runs
    while left:
        size = 1
        while size < left and dice.random() >= 1 / load.burst:
            size += 1
        at += dice.expovariate(load.rate / load.burst)
        found.append((at, size))
        left -= size
    return found


#: The seed of everything that the documents show.
SEED: Final = 7
