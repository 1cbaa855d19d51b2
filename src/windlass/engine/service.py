"""The one shape of a loop with a duty: started and stopped at will, woken by hints, never ended by an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from windlass.errors import Unavailable

_log = logging.getLogger(__name__)


class Duty(Protocol):
    """What a loop does at each turn."""

    name: str

    async def turn(self) -> float:
        """Do what is to be done now; return the seconds until the next turn, if nothing wakes the loop before."""
        ...


class Service:
    """A loop around a duty."""

    def __init__(self, duty: Duty, is_ours: Callable[[], bool] = lambda: True) -> None:
        """Prepare; nothing runs before `start`.

        No turn begins while `is_ours` denies it: whoever gives the duty to this process gives a hint then.
        """
        self._duty = duty
        self._is_ours = is_ours
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: What went wrong in the last turn; None where nothing did.
        self.trouble: str | None = None

    @property
    def name(self) -> str:
        """Name of its duty."""
        return self._duty.name

    def hint(self) -> None:
        """Take the next turn now."""
        self._wake.set()

    async def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"windlass-{self._duty.name}")

    async def stop(self) -> None:
        """End; without a start, or a second time, it does nothing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if not self._is_ours():
                self.trouble = None
                await self._wake.wait()
                continue
            try:
                pause = await self._duty.turn()
                self.trouble = None
            except Unavailable as error:
                if self.trouble is None:  # told once
                    _log.warning("%s: %s", self._duty.name, error)
                self.trouble = str(error)
                pause = 1.0
            except Exception as error:  # noqa: BLE001 - one bad turn must not end the duty
                self.trouble = f"its last turn failed: {error}"
                _log.exception("%s failed in an unexpected way and goes on", self._duty.name)
                pause = 5.0
            timer = loop.call_later(pause, self._wake.set)
            await self._wake.wait()
            timer.cancel()
