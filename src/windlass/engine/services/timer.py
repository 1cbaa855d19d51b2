"""Moves what waits for a time when that time comes."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.clock import SECOND, Clock
from windlass.engine.engine import Engine
from windlass.engine.timing import wake_due

#: Longest pause in seconds: a clock that is set, or a hint that is lost, costs no more.
MAX_PAUSE = 1.0


@dataclass(slots=True)
class Timer:
    """The duty of everything with a time: scheduled tasks, waits, deadlines of runs."""

    engine: Engine
    clock: Clock
    name: str = "timer"

    async def turn(self) -> float:
        """Do what is due; return the seconds until the next time."""
        following = await self.engine.store.run(wake_due, self.engine)
        if following is None:
            return MAX_PAUSE
        return min(max((following - self.clock.now()) / SECOND, 0.0), MAX_PAUSE)
