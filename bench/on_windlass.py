"""The program that measures Windlass on PostgreSQL as the queues beside it: `python -m bench.on_windlass MODE`."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from typing import Any, Self

from bench import noted
from bench.api import anything_left, assert_durable, check_history, client_in
from bench.peers.measuring import Queue, main
from windlass import Windlass
from windlass.errors import WindlassError


class OnWindlass(Queue):
    """An application that submits and does not work."""

    async def __aenter__(self) -> Self:
        """Open the store; where it is new, this makes its tables."""
        self._app = await Windlass(self.options["url"], workers=0).__aenter__()
        self._client = client_in(self._app)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._app.__aexit__(None, None, None)

    async def prepare(self) -> None:
        """See that commits are flushed."""
        await assert_durable(self._app)

    async def submit(self) -> None:
        """Accept a run."""
        await self._app.submit(noted.noop)

    async def submit_numbered(self, number: int) -> None:
        """Accept a run that is told its number."""
        await self._app.submit(noted.numbered, {"number": number})

    async def submit_many(self, count: int) -> None:
        """Accept runs, a thousand in each transaction."""
        await self._app.submit_many(noted.noop, [None] * count)

    async def left(self) -> bool:
        """Ask the API."""
        return await asyncio.to_thread(anything_left, self._client)

    async def check(self, count: int) -> None:
        """See that the whole history is there."""
        await asyncio.to_thread(check_history, self._client, count)


async def work(options: dict[str, Any]) -> None:
    """Work with as many attempts at one time as asked for, until killed; in a home of its own, as elsewhere."""
    noted.lane()
    known, home = [noted.noop, noted.numbered], f"{os.environ['WINDLASS_HOME']}-{os.getpid()}"
    async with Windlass(options["url"], workers=options["workers"], jobs=known, home=home):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    main(OnWindlass, lambda options: asyncio.run(work(options)), version("windlass"), refusals=(WindlassError,))
