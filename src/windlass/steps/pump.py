"""Reading a process's output from a pipe, in chunks as they come, never faster than the log takes them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

#: What a Linux pipe holds.
_READ: Final = 64 * 1024


class Pump:
    """Carries one pipe to `take` until its end; the descriptor belongs to the pump."""

    def __init__(self, source: int, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Start reading `source` in a task of its own."""
        os.set_blocking(source, False)
        self._source = source
        self._take = take
        #: Chunks read so far, and whether one is being taken: both say that the pump is alive.
        self.chunks = 0
        self.busy = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                readable = loop.create_future()
                loop.add_reader(self._source, _wake, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._source)
                try:
                    data = os.read(self._source, _READ)
                except BlockingIOError:
                    continue
                if not data:
                    return
                self.chunks += 1
                self.busy = True
                await self._take(data)
                self.busy = False
        finally:
            os.close(self._source)


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
