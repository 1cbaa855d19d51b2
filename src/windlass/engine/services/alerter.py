"""Tells of runs that are late, at the instant at which they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND, Clock
from windlass.engine.engine import Engine
from windlass.engine.punctuality import raise_alerts
from windlass.store import slas

#: Longest pause in seconds while something is promised: a clock that is set, or a hint that is lost, costs no more.
MAX_PAUSE: Final = 1.0
#: Pause in seconds while nothing is; a promise wakes it.
IDLE: Final = 30.0


@dataclass(slots=True)
class Alerter:
    """The duty of everything that jobs promise by `sla`."""

    engine: Engine
    clock: Clock
    name: str = "alerter"

    async def turn(self) -> float:
        """Tell of what is late; return the seconds until the next promise ends."""
        following = await self.engine.store.read(slas.next_due)
        if following is not None and following <= self.clock.now():
            following = await self.engine.store.run(raise_alerts)
        if following is None:
            return IDLE
        return min(max((following - self.clock.now()) / SECOND, 0.0), MAX_PAUSE)
