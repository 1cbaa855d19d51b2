"""PostgreSQL: units of work on a few threads, each with a connection of its own; see `lane`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from secrets import token_hex
from typing import Concatenate, Final, ParamSpec, TypeVar

from windlass.clock import Clock
from windlass.errors import Unavailable
from windlass.store.findings import Finding
from windlass.store.hints import Hints
from windlass.store.meter import CommitMeter
from windlass.store.noting import Noting
from windlass.store.place import ServerPlace
from windlass.store.postgres.foreign import Home, home_of, within
from windlass.store.postgres.lane import Kind, Lane
from windlass.store.postgres.line import Line, Waiting
from windlass.store.postgres.link import Links
from windlass.store.postgres.listener import Listener
from windlass.store.postgres.troubles import is_drivers, is_lost, refusal
from windlass.store.requests import Request
from windlass.store.transaction import Transaction, is_by_itself, may_run_beside
from windlass.uninterrupted import uninterrupted

Params = ParamSpec("Params")
Result = TypeVar("Result")

#: Units that may share one commit: enough to hide the flush, few enough that nobody waits long behind the others.
GROUP_LIMIT: Final = 128
#: Seconds after which a connection is given up that does not answer a unit by itself, unless a lease says less.
_BRISK: Final = 5.0
#: Of a lease, what one that is silent may cost: the next one is tried before anybody takes its worker for gone.
_PART: Final = 4


class PostgresStore:
    """A store in a PostgreSQL database, which others use at the same time. Its schema must be current."""

    def __init__(self, place: ServerPlace, *, clock: Clock | None = None) -> None:
        """Work with the database at `place`, connecting when there is something to do.

        Without `clock` the time is the database's.
        """
        self.kind = "postgresql"
        self.place = place
        self.hears = place.listen is not None
        self.meter = CommitMeter()
        self.moved: str | None = None
        self.noting = Noting()
        self._hints = Hints()
        self._sender = token_hex(4)
        self._links = Links(place)
        #: For units by themselves, which wait for nobody, and whose callers cannot wait for long.
        self._brisk = Links(place)
        self._brisk.connecting = self._brisk.patience = _BRISK
        self._clock = clock
        self._metering = threading.Lock()
        self._changing, self._reading, self._aside = Line(GROUP_LIMIT), Line(1), Line(1)
        readers = place.connections // 2
        self._lanes = [
            self._lane(f"windlass-pg-{n}", self._changing, "change") for n in range(place.connections - readers)
        ]
        self._lanes += [self._lane(f"windlass-pg-reader-{n}", self._reading, "read") for n in range(readers)]
        self._lanes.append(self._lane("windlass-pg-aside", self._aside, "aside"))
        self._listener: Listener | None = None
        self._listens = True
        #: Those that were told to end, and may not have ended yet.
        self._ended: list[Listener] = []
        self._closed = False
        self._home: Home | None = None

    async def run(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` in a transaction; see `Store.run`. It may run again where others were in its way."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        request = Request(lambda tx: unit(tx, *args, **kwargs), loop, future)
        line = self._aside if is_by_itself(unit) else self._changing
        line.put(Waiting(request, unit, alone=not may_run_beside(unit)))
        return await future

    def run_blocking(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` from a thread that has no event loop, see `Store.run_blocking`."""
        future: Future[Result] = Future()
        request = Request(lambda tx: unit(tx, *args, **kwargs), None, future)
        line = self._aside if is_by_itself(unit) else self._changing
        line.put(Waiting(request, unit, alone=not may_run_beside(unit)))
        return future.result()

    async def read(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` on a read-only view; see `Store.read`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        request = Request(lambda tx: unit(tx, *args, **kwargs), loop, future)
        self._reading.put(Waiting(request, unit, alone=False))
        return await future

    async def run_within(
        self,
        connection: object,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` in the transaction of a caller's connection; see `Store.run_within` and `foreign`."""
        if self._closed:
            raise Unavailable("The store is closed.")
        if self._home is None:
            self._home = await self.read(home_of, self.place.shown)
        call = lambda tx: unit(tx, *args, **kwargs)  # noqa: E731 - as elsewhere here
        return await within(connection, call, home=self._home, clock=self._clock)

    def on_hint(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after commits that gave the hint, here or in another process; see `Store.on_hint`."""
        if self._closed:
            raise Unavailable("The store is closed.")
        forget = self._hints.listen(name, listener)
        self._begin_to_listen()
        return forget

    def spare(self, *, linger: float, listens: bool) -> None:
        """Keep connections that nobody needs for `linger` seconds from now on; without `listens` hear of no others."""
        fewer = linger < self._links.linger
        self._links.linger = self._brisk.linger = linger
        self._listens = listens
        self.hears = listens and self.place.listen is not None
        for line in (self._changing, self._reading, self._aside) if fewer else ():
            line.stir()
        if listens:
            self._begin_to_listen()
        elif self._listener is not None:
            self._listener.end()
            self._ended = [*(one for one in self._ended if one.thread.is_alive()), self._listener]
            self._listener = None

    def keep_leases(self, lease: float) -> None:
        """Give up a silent connection early enough that no heartbeat comes too late; see `Store.keep_leases`."""
        self._brisk.connecting = self._brisk.patience = min(_BRISK, lease / _PART)

    def _begin_to_listen(self) -> None:
        wanted = self._listens and not self._closed and self._hints.names()
        if wanted and self._listener is None and self.place.listen is not None:
            self._listener = Listener(self._links, self.place.listen, self._hints, self._sender)

    async def tend(self) -> list[str]:
        """Make partitions ahead and missing indexes, drop partitions that nobody needs; see `Store.tend`.

        Waits until nobody else does so. Raises Unavailable where the database is away.
        """
        from windlass.store.postgres.late_indexes import make_indexes  # noqa: PLC0415 - once an hour, in one server
        from windlass.store.postgres.one_builder import alone  # noqa: PLC0415 - the same
        from windlass.store.postgres.partitions import tend_partitions  # noqa: PLC0415 - the same

        now = (await self.read(lambda tx: tx.now)) // 1000
        try:
            connection = await self._links.dial(endless=True)
            try:
                if not self.place.pooled:  # where connections are shared nothing was set, and nothing may stay so
                    # Who waits here keeps nobody waiting; what does says so itself, and for how long.
                    await connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
                async with alone(self._links, connection):
                    return [*await tend_partitions(connection, now), *await make_indexes(connection)]
            finally:
                await connection.close(timeout=2)
        except Exception as error:
            if not is_drivers(error) and not is_lost(error):
                raise
            raise refusal(error, self.place.shown) from error

    async def examine(self) -> list[Finding]:
        """Return what there is to say of the server and the database; see `Store.examine`."""
        from windlass.store.postgres.examining.examine import examine_server  # noqa: PLC0415 - for doctor alone
        from windlass.store.postgres.examining.schema import examine_schema  # noqa: PLC0415 - the same

        try:
            connection = await self._links.dial(bare=True)
            try:
                found = await examine_server(connection, self.place)
            finally:
                await connection.close(timeout=2)
        except Exception as error:
            if not is_drivers(error) and not is_lost(error):
                raise
            raise refusal(error, self.place.shown) from error
        return found + await self.read(examine_schema)

    async def close(self) -> None:
        """Commit what waits, then close; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for line in (self._changing, self._reading, self._aside):
            line.close()
        if self._listener is not None:
            self._listener.end()
        await uninterrupted(asyncio.to_thread(self._join))

    def _join(self) -> None:
        for lane in self._lanes:
            lane.thread.join()
        for listener in (*self._ended, *filter(None, [self._listener])):
            listener.thread.join()

    def _lane(self, name: str, line: Line, kind: Kind) -> Lane:
        return Lane(
            name,
            line,
            self._brisk if kind == "aside" else self._links,
            kind=kind,
            clock=self._clock,
            meter=self.meter,
            noting=self.noting,
            metering=self._metering,
            hints=self._hints,
            sender=self._sender,
        )
