"""Moves what waits for a time when that time comes.

Two timers do no harm: each row and run is moved out of the state in which it was found, by a change that asks for that
state, in the transaction that tells of it. The one that comes second finds nothing to move.
"""

from __future__ import annotations

from dataclasses import dataclass

from windlass.clock import SECOND, micros
from windlass.engine.engine import Engine
from windlass.engine.timing import next_look, wake_due
from windlass.store.transaction import Transaction

#: Longest pause in seconds: a clock that is set, or a hint that is lost, costs no more.
MAX_PAUSE = 1.0


@dataclass(slots=True)
class Timer:
    """The duty of everything with a time: scheduled tasks, waits, deadlines of runs."""

    engine: Engine
    name: str = "timer"

    async def turn(self) -> float:
        """Do what is due; return the seconds until the next time."""
        left = await self.engine.store.read(_left)  # holds up nobody, and mostly nothing is due
        if left is not None and left <= 0:
            left = await self.engine.store.run(_wake, self.engine)
        return MAX_PAUSE if left is None else min(max(left, 0.0), MAX_PAUSE)


def _left(tx: Transaction) -> float | None:
    """Return the seconds until something is due, by the store's clock; None where a pause ends before."""
    following = next_look(tx, micros(MAX_PAUSE))
    return None if following is None else (following - tx.now) / SECOND


def _wake(tx: Transaction, engine: Engine) -> float | None:
    """Do what is due; return the seconds until the next time by the store's clock, None where a pause ends before."""
    following = wake_due(tx, engine, micros(MAX_PAUSE))
    return None if following is None else (following - tx.now) / SECOND
