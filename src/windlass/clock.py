"""Time as Windlass keeps it: whole microseconds since the epoch, UTC, from a clock that is passed in."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The first and the last instant that a text can name.
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


class Clock(Protocol):
    """A source of wall-clock time."""

    def now(self) -> int:
        """Return microseconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


class Clocks(NamedTuple):
    """The wall clock, which people and programs set, beside one that nobody can set; in microseconds."""

    #: When the other clock began; it goes on over the end of a process.
    boot: str
    #: Since then, sleep included.
    up: int
    wall: int


def read_clocks() -> Clocks:
    """Return what the clocks of this machine say, all at the same moment."""
    return Clocks(_boot(), time.clock_gettime_ns(_STEADY) // 1000, time.time_ns() // 1000)


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def _boot() -> str:
    """Return a text that is another one after each boot; where the system tells none, of each process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return uuid4().hex


class ManualClock:
    """A clock for tests: it stands still until it is moved."""

    def __init__(self, start: int = 1_750_000_000 * SECOND) -> None:
        """Start at `start` microseconds."""
        self._now = start
        self._up = 0
        self._boots = 0

    def now(self) -> int:
        """Return the time that was set."""
        return self._now

    def advance(self, seconds: float) -> int:
        """Let `seconds` pass, or set the time back if negative; return the new time."""
        self._up += max(0, round(seconds * SECOND))
        return self.set_by(seconds)

    def set_by(self, seconds: float) -> int:
        """Set the time forward or back while none passes; return the new time."""
        self._now += round(seconds * SECOND)
        return self._now

    def reboot(self) -> None:
        """Begin to count anew what passes."""
        self._boots += 1
        self._up = 0

    def readings(self) -> Clocks:
        """Return this time beside what has passed since the last boot."""
        return Clocks(f"boot {self._boots}", self._up, self._now)


def micros(seconds: float) -> int:
    """Return `seconds` as whole microseconds."""
    return round(seconds * SECOND)


def to_text(at: int) -> str:
    """Return an instant as RFC 3339 text in UTC with microseconds, at most the end of the year 9999."""
    at = min(max(at, _FIRST), _LAST)
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: str) -> int:
    """Return the instant of an RFC 3339 text; without a zone it is UTC.

    Raises ValueError when `text` is not a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
