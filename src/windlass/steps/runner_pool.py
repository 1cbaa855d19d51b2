"""Warm Python processes between calls, each kept for calls of its own kind only."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from windlass.steps.runner_link import RunnerLink

#: Idle processes a worker keeps, and for how many seconds.
MOST_IDLE: Final = 8
IDLE_SECONDS: Final = 60.0


class RunnerPool:
    """Idle runners by key; the one that waited longest goes when there are too many."""

    def __init__(self, *, most_idle: int = MOST_IDLE, idle_seconds: float = IDLE_SECONDS) -> None:
        """Keep up to `most_idle` runners, each for `idle_seconds`."""
        self._most_idle = most_idle
        self._idle_seconds = idle_seconds
        self._idle: dict[RunnerLink, tuple[Hashable, asyncio.TimerHandle]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def idle(self) -> int:
        """How many runners wait for a call."""
        return len(self._idle)

    def take(self, key: Hashable) -> RunnerLink | None:
        """Return the runner of this key that was used last, or None."""
        for runner, (other, timer) in reversed(self._idle.items()):
            if other == key:
                timer.cancel()
                del self._idle[runner]
                return runner
        return None

    def give_back(self, key: Hashable, runner: RunnerLink) -> None:
        """Keep `runner` for another call with the same key."""
        if self._closed:
            self.discard(runner)
            return
        timer = asyncio.get_running_loop().call_later(self._idle_seconds, self.discard, runner)
        self._idle[runner] = (key, timer)
        while len(self._idle) > self._most_idle:
            self.discard(next(iter(self._idle)))

    def discard(self, runner: RunnerLink) -> None:
        """Have `runner` ended in the background."""
        kept = self._idle.pop(runner, None)
        if kept:
            kept[1].cancel()
        task = asyncio.get_running_loop().create_task(runner.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all runners; those that come back later end too."""
        self._closed = True
        for runner in list(self._idle):
            self.discard(runner)
        if self._ending:
            await asyncio.wait(self._ending)
