"""What sweeps of the archiver did, and what the archive held when one was last looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from windlass.store.archive.catalogue import Figures


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    archived: int = 0
    #: Runs that a policy deleted.
    deleted: int = 0
    #: Runs whose copy did not read back, and which stay.
    failed: int = 0
    #: Runs that somebody changed or holds on to since they were found.
    held: int = 0
    #: Bytes that the archive took.
    size: int = 0
    #: Runs that left the archive.
    ended: int = 0
    #: More is to be done.
    more: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the API answers."""
        return asdict(self)


@dataclass(slots=True)
class SweepTotals:
    """What all sweeps of this process did."""

    total: Swept = field(default_factory=Swept)
    #: Sweeps that came to their end, and those that did not.
    done: int = 0
    broken: int = 0
    #: When the last one came to its end without a run that failed, in microseconds; None before.
    last_success: int | None = None
    #: What the archive held after the last one; None before.
    held: Figures | None = None
    #: End of the run that is longest in the hot store, in microseconds; None where there is none.
    oldest: int | None = None

    def add(self, swept: Swept, now: int, held: Figures, oldest: int | None) -> None:
        """Count a sweep that came to its end at `now`."""
        for name in ("archived", "deleted", "failed", "held", "size", "ended"):
            setattr(self.total, name, getattr(self.total, name) + getattr(swept, name))
        self.done += 1
        self.held, self.oldest = held, oldest
        if not swept.failed:
            self.last_success = now
