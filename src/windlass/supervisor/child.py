"""A started process as its worker sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from windlass.supervisor.contract import SupervisorLost

if TYPE_CHECKING:
    from windlass.supervisor.contract import Exit
    from windlass.supervisor.link import Link


class SupervisedChild:
    """A process that the supervisor started, and everything that this process starts."""

    __slots__ = ("_ended", "_exit", "_link", "number", "pid")

    def __init__(self, link: Link, number: int, pid: int) -> None:
        """Know the child `number` of `link`."""
        loop = asyncio.get_running_loop()
        self._link = link
        self._exit: asyncio.Future[Exit] = loop.create_future()
        self._ended: asyncio.Future[int] = loop.create_future()
        self.number = number
        self.pid = pid

    async def wait(self) -> Exit:
        """Return when the process itself has ended; what it left behind may still run.

        Raises SupervisorLost where the supervisor ended first: how the process ended is not known then.
        """
        return await asyncio.shield(self._exit)

    async def stop(self, grace: float) -> None:
        """Ask the whole tree to end (SIGTERM), kill what is left after `grace` seconds, return when nothing is left."""
        await self._end(grace)

    async def sweep(self) -> int:
        """Kill everything that still runs of this child's tree; return how many processes that were.

        The process itself does not count, nor does what the supervisor's own end took along.
        """
        return await self._end(0.0)

    async def _end(self, grace: float) -> int:
        """Have the tree ended and return how many processes besides the first were signalled for it."""
        if self._ended.done() and not self._ended.cancelled() and self._ended.exception() is None:
            return 0
        try:
            self._link.end(self, grace)
            return await asyncio.shield(self._ended)
        except SupervisorLost:
            await self._link.aftermath()
            return 0

    # What the link reports

    def exited(self, result: Exit) -> None:
        """Note how the process ended."""
        self._exit.set_result(result)

    def ended(self, killed: int) -> None:
        """Note that nothing is left."""
        self._ended.set_result(killed)

    def orphaned(self, error: SupervisorLost) -> None:
        """Note that the supervisor will report no more."""
        for future in (self._exit, self._ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # that nobody waits for it is no mistake
