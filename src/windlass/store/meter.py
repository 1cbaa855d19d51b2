"""What commits cost, measured where they are made."""

from __future__ import annotations

from typing import Final

from windlass.model.metric import Distribution

#: Seconds, from a fast disk's flush to a disk in trouble.
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNITS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class CommitMeter:
    """Distributions over the write transactions of a store; written by one thread, read by any."""

    __slots__ = ("flushes", "seconds", "units")

    def __init__(self) -> None:
        """Begin at nothing."""
        #: Of a whole transaction, its units of work and its flush.
        self.seconds = Distribution(SECONDS)
        #: Of its commit alone: what the disk takes.
        self.flushes = Distribution(SECONDS)
        #: Units of work that shared a transaction.
        self.units = Distribution(UNITS)

    def note(self, started: float, flushing: float, ended: float, units: int) -> None:
        """Note a committed transaction of so many units by its times, in seconds of one clock."""
        self.seconds.observe(ended - started)
        self.flushes.observe(ended - flushing)
        self.units.observe(units)
