"""The time of a store as a worker knows it: what it tells is stamped by one clock, wherever the worker is."""

from __future__ import annotations

import time
from typing import Final

from windlass.clock import SECOND

#: Difference, in microseconds, beyond what the way of an answer explains, that is left as it is.
_NOISE: Final = SECOND // 4


class HeardClock:
    """A clock that follows a server's, or a database's; may be asked from any thread."""

    def __init__(self) -> None:
        """Begin with the time of this machine."""
        self._ahead = time.time_ns() // 1000 - _steady()

    def now(self) -> int:
        """Return the microseconds since the epoch."""
        return _steady() + self._ahead

    def hear(self, said: int, asked: float) -> None:
        """Take note that it said `said`, asked at `asked` seconds of the monotonic clock and heard just now.

        It was said at some moment between the two: an answer that took long says little, and moves nothing that it
        agrees with.
        """
        first, last = round(asked * SECOND), _steady()
        if not said - last - _NOISE <= self._ahead <= said - first + _NOISE:
            self._ahead = said - (first + last) // 2

    def hear_now(self, said: int) -> None:
        """Take note that it said `said` just now."""
        self.hear(said, _steady() / SECOND)


def _steady() -> int:
    return time.monotonic_ns() // 1000
