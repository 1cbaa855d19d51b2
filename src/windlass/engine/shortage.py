"""Want of descriptors, processes or memory on this machine: attempts wait until it has passed, and no more is taken."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final, Self

from windlass.engine.worker import StopSignal

_log = logging.getLogger(__name__)

#: Seconds that an attempt waits for what it needs to begin; after that it fails.
PATIENCE: Final = 600.0
#: Seconds between two tries.
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 2.0


class Shortage:
    """Knows which attempts of this process wait because the machine has nothing left to begin them with."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        """Start with none; an attempt waits up to `patience` seconds."""
        self._patience = patience
        self._waiting = 0
        self._cause = ""

    @property
    def lasts(self) -> bool:
        """Whether any attempt waits: whoever took more would only let more wait."""
        return self._waiting > 0

    @property
    def trouble(self) -> str | None:
        """What is wrong, for people; None where nothing is."""
        if not self._waiting:
            return None
        many = f"{self._waiting} attempts wait" if self._waiting > 1 else "1 attempt waits"
        return f"{many} and no more are taken: {self._cause}"

    def spell(self, stop: StopSignal) -> Spell:
        """Return how one attempt waits; it gives up where the attempt is asked to stop."""
        return Spell(self, stop, asyncio.get_running_loop().time() + self._patience)

    def begin(self, cause: str) -> None:
        """Take note that one more attempt waits."""
        if not self._waiting:
            _log.error("No more work is taken until what has begun can go on: %s", cause)
        self._cause = cause
        self._waiting += 1

    def end(self) -> None:
        """Take note that an attempt waits no longer."""
        self._waiting -= 1
        if not self._waiting:
            _log.warning("Work is taken again: nothing waits for this machine any more")


class Spell:
    """The waiting of one attempt, from its first try that failed; a context manager that ends it."""

    def __init__(self, shortage: Shortage, stop: StopSignal, end: float) -> None:
        """Wait until `end` at most, by the clock of the event loop."""
        self._shortage = shortage
        self._stop = stop
        self._end = end
        self._pause = FIRST_PAUSE
        self._waits = False

    def __enter__(self) -> Self:
        """Begin; nothing waits yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the waiting, however the attempt went on."""
        if self._waits:
            self._shortage.end()

    async def pause(self, cause: str) -> bool:
        """Wait until the next try; False where there is to be none."""
        left = self._end - asyncio.get_running_loop().time()
        if self._stop.why is not None or left <= 0:
            return False
        if not self._waits:
            self._waits = True
            self._shortage.begin(cause)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._pause, left)):
                await self._stop.event.wait()
                return False
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return True
