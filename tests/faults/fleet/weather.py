"""What a proxy does to the bytes that go one way: pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bytes fare on their way in one direction; by default they arrive at once."""

    #: Seconds that each piece takes.
    delay: float = 0.0
    #: Up to so many seconds more, as the dice say; pieces do not overtake each other.
    jitter: float = 0.0
    #: Bytes a second; None: as fast as it goes.
    rate: float | None = None
    #: Bytes of a piece at most.
    piece: int = 64 * 1024
    #: Nothing arrives until that has passed; nothing is lost either.
    stalls: bool = False
    #: Bytes are taken and lost, and so is the news of a connection's end: it is half open.
    swallows: bool = False
    #: A connection is reset once so many bytes of it have arrived; None: never.
    breaks_after: int | None = None

    def pause(self, size: int, chance: float) -> float:
        """Return the seconds that a piece of `size` bytes takes; `chance` is from 0 to 1."""
        return self.delay + self.jitter * chance + (size / self.rate if self.rate else 0.0)


CLEAR: Final = Weather()
STALLED: Final = Weather(stalls=True)
SWALLOWED: Final = Weather(swallows=True)
#: Slower than any timeout of a healthy day, and byte by byte.
DRIP: Final = Weather(rate=200.0, piece=7)
