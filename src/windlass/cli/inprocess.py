"""The API without a socket: an engine on an event loop in a thread of this process, asked through the route table."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from windlass.api.dispatch import dispatch, encoded
from windlass.api.message import Answer, Principal, Request, Stream
from windlass.api.table import RouteTable
from windlass.cli.interrupts import LOOK

Result = TypeVar("Result")


class LoopThread:
    """An event loop in a thread; what it runs goes on while the main thread waits for a person."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="windlass-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` on the loop and return its result; an interrupt meanwhile cancels it and waits for its end."""
        tasks: list[asyncio.Task[Result]] = []
        # A bare lock: an interrupt leaves it as it is, while the condition of a Future could stay locked for ever.
        ended = threading.Lock()
        ended.acquire()

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda _: ended.release())

        self._loop.call_soon_threadsafe(begin)
        try:
            while not ended.acquire(timeout=LOOK):
                pass
        except BaseException:  # an interrupt, mostly; the caller gets it once the work has ended
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108 - there may be no task yet
            if not (tasks and tasks[0].done()):  # else the lock may have been taken just before the interrupt came
                ended.acquire()
            if not tasks[0].cancelled():
                tasks[0].exception()  # known now, and less than what interrupts
            raise
        if tasks[0].cancelled():
            raise CancelledError
        return tasks[0].result()

    def close(self) -> None:
        """End the loop, and what still runs on it."""
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @staticmethod
    async def _end() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        await asyncio.get_running_loop().shutdown_default_executor()


@contextmanager
def entered(loop: LoopThread, manager: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
    """Enter an async context manager on `loop`; leave it there too, whatever happens."""
    value = loop.run(manager.__aenter__())
    try:
        yield value
    except BaseException as error:  # as `async with`: what is entered is left whatever ends the block, and may keep it
        if not loop.run(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        loop.run(manager.__aexit__(None, None, None))


class LocalTransport:
    """Requests to an engine in this process; see `windlass.client.transport.Transport`."""

    def __init__(self, loop: LoopThread, table: RouteTable, engine: Any, principal: Principal) -> None:
        """Ask `engine`, which lives on `loop`, as `principal`."""
        self._loop = loop
        self._table = table
        self._engine = engine
        self._principal = principal

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        patience: float | None = None,  # noqa: ARG002 - who asks works on it
    ) -> LocalReply:
        """Send a request; see `Transport.send`."""
        path, _, query = target.partition("?")
        request = Request(
            method=method,
            path=path,
            query_string=query,
            headers={name.lower(): value for name, value in headers.items()},
            body=body or b"",
            principal=self._principal,
        )
        return LocalReply(self._loop, self._loop.run(dispatch(self._table, self._engine, request)))

    def close(self) -> None:
        """Let go of nothing: the engine is its opener's."""


class LocalReply:
    """The answer of an engine in this process; see `windlass.client.transport.Reply`."""

    def __init__(self, loop: LoopThread, answer: Answer | Stream) -> None:
        """Take over the answer."""
        self._loop = loop
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = {"content-type": answer.media} | dict(answer.headers)

    def read(self) -> bytes:
        """Return all of the body; see `Reply.read`."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes; see `Reply.chunks`."""
        if isinstance(self._answer, Answer):
            yield encoded(self._answer)
            return
        try:
            while (chunk := self._loop.run(_next(self._answer.chunks))) is not None:
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """End what stands behind a stream; see `Reply.close`."""
        if isinstance(self._answer, Stream):
            self._loop.run(_close(self._answer.chunks))


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _close(chunks: AsyncIterator[bytes]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
