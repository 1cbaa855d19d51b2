"""A proxy on this machine that does to connections what networks do: seeded, and driven by the test as it goes on.

It listens on a port of 127.0.0.1, or on a Unix socket, and speaks to one of either kind. It runs on a thread of its
own; whatever a test asks for has happened when the call returns.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from tests.faults.fleet.weather import CLEAR, Weather

Address = tuple[str, int] | Path
#: `there` is from whoever connects to the target, `back` is the other direction.
Way = Literal["there", "back"]
Result = TypeVar("Result")

#: Seconds within which the proxy's own thread answers.
_PATIENCE: Final = 20.0
#: Pieces that are under way in one direction of a connection at most; whoever sends more waits.
_UNDER_WAY: Final = 64


class Proxy:
    """Carries connections to `target`; a context manager."""

    def __init__(self, target: Address, *, seed: int, listen: Address = ("127.0.0.1", 0)) -> None:
        """Prepare; `seed` decides all that is left to chance."""
        self.target = target
        self._listen = listen
        self._dice = random.Random(seed)  # noqa: S311 - weather that comes again
        self._weather: dict[Way, Weather] = {"there": CLEAR, "back": CLEAR}
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._server: asyncio.Server | None = None
        self._address: Address = listen
        #: Bytes that have arrived, and those that were swallowed, by their way.
        self.arrived: dict[Way, int] = {"there": 0, "back": 0}
        self.lost: dict[Way, int] = {"there": 0, "back": 0}
        #: Connections that were taken so far.
        self.taken = 0

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections and the thread."""
        self.close()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._address

    @property
    def port(self) -> int:
        """The port on which it listens."""
        assert not isinstance(self._address, Path)
        return self._address[1]

    @property
    def living(self) -> int:
        """How many connections there are."""
        return len(self._links)

    def set(self, *, there: Weather | None = None, back: Weather | None = None) -> None:
        """Change the weather of one direction, or of both, for what is under way as well."""
        found: dict[Way, Weather] = {"there": there or self._weather["there"], "back": back or self._weather["back"]}
        self._call(lambda: self._change(found))

    def heal(self) -> None:
        """Let everything arrive at once. Connections that have lost bytes are reset: they could not go on."""
        self._call(lambda: self._change({"there": CLEAR, "back": CLEAR}))

    def cut(self) -> None:
        """End all connections in good order: both sides read their end."""
        self._call(lambda: [link.end(reset=False) for link in tuple(self._links)])

    def reset(self) -> None:
        """Break all connections: both sides are told so."""
        self._call(lambda: [link.end(reset=True) for link in tuple(self._links)])

    def refuse(self) -> None:
        """Take no connection any more, as a machine on which nobody listens; those that are there go on."""
        self._do(self._shut())

    def accept(self) -> None:
        """Take connections again, at the same address."""
        self._do(self._open())

    def close(self) -> None:
        """End all connections and the thread; closing twice is fine."""
        if not self._loop.is_running():
            return
        self._do(self._shut())
        self.reset()
        self._do(self._settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def _call(self, change: Callable[[], object]) -> None:
        async def work() -> None:
            change()

        self._do(work())

    def _change(self, found: dict[Way, Weather]) -> None:
        self._weather = found
        for link in tuple(self._links):
            if link.torn and not any(one.swallows for one in found.values()):
                link.end(reset=True)
            link.changed.set()

    async def _open(self) -> None:
        if self._server is not None:
            return
        if isinstance(self._address, Path):
            self._address.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._take, self._address)
        else:
            self._server = await asyncio.start_server(self._take, *self._address)
            self._address = self._server.sockets[0].getsockname()[:2]

    async def _shut(self) -> None:
        if self._server is None:
            return
        # asyncio has no transport for a connection that was taken once its server is closed, and forgets its socket:
        # take no more, let those that were taken begin, and close then.
        for listener in self._server.sockets:
            self._loop.remove_reader(listener.fileno())
        await asyncio.sleep(0)
        self._server.close()
        self._server = None

    async def _settled(self) -> None:
        """Return once no connection is at work any more."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        link = Link(self, writer)
        self._links.add(link)
        try:
            await link.carry(reader)
        except (OSError, asyncio.CancelledError):  # one of both has gone, or we do
            link.end(reset=True)
        finally:
            self._links.discard(link)

    def weather(self, way: Way) -> Weather:
        """Return the weather of a direction at this moment."""
        return self._weather[way]

    def chance(self) -> float:
        """Return the next number from 0 to 1."""
        return self._dice.random()


class Link:
    """One connection, on both sides of the proxy."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter) -> None:
        """Take the side that has come."""
        self._proxy = proxy
        self._near = near
        self._far: asyncio.StreamWriter | None = None
        #: Set whenever the weather has changed, or the connection has ended.
        self.changed = asyncio.Event()
        #: Bytes were swallowed.
        self.torn = False
        self._over = False

    async def carry(self, reader: asyncio.StreamReader) -> None:
        """Connect to the target and carry bytes both ways until both have ended."""
        target = self._proxy.target
        while self._proxy.weather("there").stalls or self._proxy.weather("there").swallows:
            await self._change()
        if self._over:
            return
        if isinstance(target, Path):
            back, self._far = await asyncio.open_unix_connection(target)
        else:
            back, self._far = await asyncio.open_connection(*target)
        await asyncio.gather(self._pump("there", reader, self._far), self._pump("back", back, self._near))
        self.end(reset=False)

    def end(self, *, reset: bool) -> None:
        """End both sides at once; what was under way is lost."""
        self._over = True
        self.changed.set()
        for writer in (self._near, self._far):
            if writer is None:
                continue
            found = writer.get_extra_info("socket")
            if reset and found is not None and found.family != socket.AF_UNIX:
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the bytes of one direction to their end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        arriving = asyncio.create_task(self._arrive(way, under_way, writer))
        clock = asyncio.get_running_loop().time
        due, data = clock(), b" "
        try:
            while data and not arriving.done():
                weather = self._proxy.weather(way)
                data = await _first(reader.read(weather.piece), arriving) or b""
                due = max(due, clock()) + weather.pause(len(data), self._proxy.chance())
                await _first(under_way.put((due, data)), arriving)
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(
        self, way: Way, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        arrived = 0
        while not self._over:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - clock()))
            while self._proxy.weather(way).stalls and not self._over:
                await self._change()
            weather = self._proxy.weather(way)
            if self._over:
                return
            if weather.swallows:
                self.torn = True
                self._proxy.lost[way] += len(data)
                if not data:
                    await self._nobody_is_told(way)
                    return
                continue
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            left = None if weather.breaks_after is None else weather.breaks_after - arrived
            if left is not None and left <= len(data):
                writer.write(data[: max(0, left)])
                self.end(reset=True)
                return
            writer.write(data)
            await writer.drain()
            arrived += len(data)
            self._proxy.arrived[way] += len(data)

    async def _nobody_is_told(self, way: Way) -> None:
        """Keep the other side open as long as the weather does not change."""
        while self._proxy.weather(way).swallows and not self._over:
            await self._change()

    async def _change(self) -> None:
        """Return once the weather has changed, or the connection has ended."""
        self.changed.clear()
        await self.changed.wait()


async def _first(work: Coroutine[Any, Any, Result], other: asyncio.Task[None]) -> Result | None:
    """Return what `work` gives; None where `other` ends before."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
