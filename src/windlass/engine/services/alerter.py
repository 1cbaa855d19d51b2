"""Tells of runs that are late, at the instant at which they are.

Two alerters do no harm: what was promised of a run is settled by a change that asks for the very time at which it was
found due, and only who made that change tells of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND
from windlass.engine.engine import Engine
from windlass.engine.punctuality import raise_alerts
from windlass.store import slas
from windlass.store.transaction import Transaction

#: Longest pause in seconds while something is promised: a clock that is set, or a hint that is lost, costs no more.
MAX_PAUSE: Final = 1.0
#: Pause in seconds while nothing is; a promise wakes it, where it is made by this process or its hint arrives.
IDLE: Final = 30.0
IDLE_AMONG_OTHERS: Final = 5.0


@dataclass(slots=True)
class Alerter:
    """The duty of everything that jobs promise by `sla`."""

    engine: Engine
    name: str = "alerter"

    async def turn(self) -> float:
        """Tell of what is late; return the seconds until the next promise ends."""
        left = await self.engine.store.read(_left)
        if left is not None and left <= 0:
            left = await self.engine.store.run(_raise)
        if left is None:
            return IDLE if self.engine.alone else IDLE_AMONG_OTHERS
        return min(max(left, 0.0), MAX_PAUSE)


def _left(tx: Transaction) -> float | None:
    """Return the seconds until the next promise ends, by the store's clock."""
    following = slas.next_due(tx)
    return None if following is None else (following - tx.now) / SECOND


def _raise(tx: Transaction) -> float | None:
    following = raise_alerts(tx)
    return None if following is None else (following - tx.now) / SECOND
