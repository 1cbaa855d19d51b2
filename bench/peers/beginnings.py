"""When jobs began, in whatever process: one place in a shared file for each, written by the job, read by who measures.

Times are those of `time.perf_counter`, which all processes of a Linux machine share. Behind the places of the jobs each
worker has one by which it says that it is there.
"""

from __future__ import annotations

import itertools
import mmap
import os
import time
from functools import cache
from pathlib import Path
from typing import Final

_BYTES: Final = 8
#: Where a worker finds its file, its first place and how many it has.
VARIABLE: Final = "BENCH_BEGINNINGS"


class Beginnings:
    """`lanes` times `room` places; a lane is what one worker writes to, from its first place on and round again."""

    def __init__(self, path: Path, room: int, lanes: int = 1) -> None:
        """Map the file, which is made where it is missing."""
        with path.open("a+b") as file:
            file.truncate((room + 1) * lanes * _BYTES)
            places = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
        self.times, self.there = places[: room * lanes], places[room * lanes :]
        self.path, self.room, self.lanes = path, room, lanes
        self._read = [lane * room for lane in range(lanes)]

    def variable(self, lane: int) -> dict[str, str]:
        """Return what a worker's environment says of its lane."""
        return {VARIABLE: f"{lane}:{self.room}:{self.lanes}:{self.path}"}

    def count(self) -> int:
        """Return how many have begun; what was counted once is not read again."""
        for lane, place in enumerate(self._read):
            end = (lane + 1) * self.room
            while place < end and self.times[place]:
                place += 1  # noqa: PLW2901 - from where it stood
            self._read[lane] = place
        return sum(place - lane * self.room for lane, place in enumerate(self._read))

    def found(self) -> list[list[float]]:
        """Return the times of each lane."""
        starts = range(0, len(self.times), self.room)
        return [[one for one in self.times[start : start + self.room] if one] for start in starts]

    def clear(self) -> None:
        """Forget all of them; nobody may write meanwhile."""
        self.times[:] = memoryview(bytes(len(self.times) * _BYTES)).cast("d")
        self._read = [lane * self.room for lane in range(self.lanes)]


class Lane:
    """What a worker writes to; threads may share it, forked processes may not."""

    def __init__(self) -> None:
        """Find the place that the environment names; wait there until all workers are as far as this one."""
        lane, room, lanes, path = os.environ[VARIABLE].split(":", 3)
        shared = Beginnings(Path(path), int(room), int(lanes))
        shared.there[int(lane)] = time.perf_counter()
        while 0.0 in shared.there:
            time.sleep(0.001)
        self._times = shared.times
        self._first, self._room = int(lane) * int(room), int(room)
        self._next = itertools.count()

    def begun(self) -> None:
        """Note that a job begins."""
        self._times[self._first + next(self._next) % self._room] = time.perf_counter()

    def begun_as(self, number: int) -> None:
        """Note that the job of that number begins."""
        if not self._times[number]:
            self._times[number] = time.perf_counter()


#: That of this process, found when it is first asked for.
lane = cache(Lane)


def noop() -> None:
    """Do nothing but note the time: the job of queues that call functions."""
    lane().begun()


def numbered(number: int) -> None:
    """Do nothing but note the time by a number."""
    lane().begun_as(number)


async def noop_here() -> None:
    """Do nothing but note the time: the job of queues that wait for what they call."""
    lane().begun()


async def numbered_here(number: int) -> None:
    """Do nothing but note the time by a number."""
    lane().begun_as(number)
