"""Who waits for news, and who of them is woken: not all workers at once for one task that became ready."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final, NamedTuple

from windlass.errors import Unavailable

_log = logging.getLogger(__name__)

#: Workers that are woken first, how many times as many the next time, and the seconds between: four workers look at
#: once, a hundred within a tenth of a second as long as there is something to take.
_FIRST: Final = 4
_MORE: Final = 2
_BREATH: Final = 0.02


class Awaited(NamedTuple):
    """What tasks wait for workers."""

    #: Says which version of the routes the numbers are of.
    changes: str | None
    routes: Collection[int]


class Sleeper:
    """One worker that waits for news."""

    __slots__ = ("may_serve", "woken")

    def __init__(self, may_serve: Callable[[str | None, Collection[int]], bool]) -> None:
        """Wait; `may_serve` says whether it can take tasks of any of some routes."""
        self.may_serve = may_serve
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Bell:
    """Wakes those who wait, few at a time where they are to take work, and those only who serve what waits."""

    def __init__(self, awaited: Callable[[], Awaitable[Awaited]]) -> None:
        """Ask `awaited` what there is to take."""
        self._awaited = awaited
        #: Differs from that of every other server, so that nobody takes its counts for those of another.
        self._epoch = secrets.token_hex(8)
        #: How often it rang, and how many of these rings somebody was woken for.
        self._count = self._answered = 0
        self._sleepers: deque[Sleeper] = deque()
        self._ringing: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def seen(self) -> str:
        """A text that is another one after each ring."""
        return f"{self._epoch}.{self._count}"

    async def wait(self, seen: str, patience: float, may_serve: Callable[[str | None, Collection[int]], bool]) -> str:
        """Return `seen` of now: at once where something rang since, once woken, or after `patience` seconds.

        Raises Unavailable where this server goes away.
        """
        if seen == self.seen and not self._closed:
            sleeper = Sleeper(may_serve)
            self._sleepers.append(sleeper)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await sleeper.woken
            finally:
                with suppress(ValueError):
                    self._sleepers.remove(sleeper)
        if self._closed:
            raise Unavailable("This server goes away.")
        return self.seen

    def ring(self) -> None:
        """Wake those who may take what became ready: the ones that have waited longest first."""
        self._count += 1
        self._begin()

    def ring_all(self) -> None:
        """Wake everybody."""
        self._count += 1
        for sleeper in self._sleepers:
            _wake(sleeper)

    def close(self) -> None:
        """Let go of everybody; nobody waits any more."""
        self._closed = True
        if self._ringing is not None:
            self._ringing.cancel()
        self.ring_all()

    def _begin(self) -> None:
        if self._sleepers and self._ringing is None and not self._closed:
            self._ringing = asyncio.create_task(self._wake_in_turn(), name="windlass-bell")
            self._ringing.add_done_callback(self._rang)

    def _rang(self, task: asyncio.Task[None]) -> None:
        self._ringing = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.warning("Those who wait for news are woken all at once: %s", error)
            self.ring_all()
        elif self._answered != self._count:  # it rang while this was ending
            self._begin()

    async def _wake_in_turn(self) -> None:
        """Wake in waves until nothing is left to take that those who sleep may take."""
        left, size = deque(self._sleepers), _FIRST
        self._answered = self._count
        while True:
            for _ in range(min(size, len(left))):
                _wake(left.popleft())
            if not left:
                return
            await asyncio.sleep(_BREATH)
            found = await self._awaited()
            if self._answered != self._count:  # whoever fell asleep meanwhile may take what became ready
                self._answered, known = self._count, set(left)
                left.extend(one for one in self._sleepers if one not in known)
            left = deque(one for one in left if not one.woken.done() and one.may_serve(found.changes, found.routes))
            size *= _MORE


def _wake(sleeper: Sleeper) -> None:
    if not sleeper.woken.done():
        sleeper.woken.set_result(None)
