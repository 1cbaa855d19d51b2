"""Time as Windlass keeps it: whole microseconds since the epoch, UTC, from a clock that is passed in."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

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


class ManualClock:
    """A clock for tests: it stands still until it is moved."""

    def __init__(self, start: int = 1_750_000_000 * SECOND) -> None:
        """Start at `start` microseconds."""
        self._now = start

    def now(self) -> int:
        """Return the time that was set."""
        return self._now

    def advance(self, seconds: float) -> int:
        """Move by `seconds` (backwards if negative) and return the new time."""
        self._now += round(seconds * SECOND)
        return self._now


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
