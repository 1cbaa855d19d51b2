"""Since when a process has reached its store without a gap: who could not look cannot say who was silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The part of a lease that may pass between two looks without a gap. A worker renews each third of its lease and tries
#: again each half second: what renewed a third before a shorter outage has renewed by the end of its lease.
GAP: Final = 0.5


@dataclass(slots=True)
class Watch:
    """What one process knows of the time in which workers could renew; all in microseconds.

    `now` is the store's clock, `up` one that nobody sets. After a gap, and where the store's clock was set, every
    worker has one fresh lease.
    """

    lease: int
    _since: int | None = None
    _now: int = 0
    _up: int = 0

    def look(self, now: int, up: int) -> None:
        """Note that the store answers."""
        if up >= self._up:  # answers may come in another order than they were given
            self._since, self._now, self._up = self._since_at(now, up), now, up

    def has_lasted(self, now: int, up: int) -> bool:
        """Say whether workers were watched for a whole lease, if the store answers now; before none counts as gone."""
        return now - self._since_at(now, up) >= self.lease

    def _since_at(self, now: int, up: int) -> int:
        most = self.lease * GAP
        passed, shown = up - self._up, now - self._now
        return now if self._since is None or passed > most or abs(shown - passed) > most else self._since
