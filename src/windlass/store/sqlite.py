"""SQLite: one writing connection on its own thread, with grouped commits, and readers beside it.

Old builds of SQLite can corrupt a WAL when two connections write or checkpoint at once, so exactly one connection does
either. Units of work that wait while a commit is under way share the next one: the flush is what costs, not the work.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from windlass.clock import Clock, SystemClock
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.store.findings import Finding
from windlass.store.hints import Hints
from windlass.store.meter import CommitMeter
from windlass.store.noting import Noting
from windlass.store.requests import Request, answer
from windlass.store.transaction import Transaction, is_trouble
from windlass.threads import ready_threads
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy import Connection, Engine

Params = ParamSpec("Params")
Result = TypeVar("Result")

#: Units that may share one commit: enough to hide the flush, few enough that nobody waits long behind the others.
GROUP_LIMIT = 256
READERS = 3
SQLITE_VERSION = sqlite3.sqlite_version
_BUSY_MS = 5_000
#: What only a database that is still empty takes. A lone commit writes, and sums up, about ten pages of tables and
#: indexes whole: with pages half the usual size callers that wait for each run are served a third faster.
NEW_PRAGMAS = ("PRAGMA page_size = 2048", "PRAGMA auto_vacuum = INCREMENTAL")
_WRITER_PRAGMAS = (
    *NEW_PRAGMAS,
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 2000",  # pages: 4 MiB
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
    f"PRAGMA busy_timeout = {_BUSY_MS}",
)
_READER_PRAGMAS = (
    "PRAGMA query_only = ON",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA busy_timeout = {_BUSY_MS}",
)


class SqliteStore:
    """A store in one SQLite file, or in memory. The file must be owned: see `store.owner`."""

    def __init__(self, path: str, *, clock: Clock | None = None) -> None:
        """Open the database at `path` (`:memory:` keeps it in memory); its schema must be current.

        Raises CorruptStore when the file is no sound SQLite database.
        """
        self.path = path
        self.kind = "memory" if path == ":memory:" else "sqlite"
        self.clock = clock or SystemClock()
        self.hears = True
        self.meter = CommitMeter()
        self.moved: str | None = None
        self.noting = Noting()
        self._hints = Hints()
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._engine = _engine(path, _WRITER_PRAGMAS)
        self._writer = _connect(self._engine, path)
        self._readers: ThreadPoolExecutor | None = None
        self._reader_engine = self._engine
        self._local = threading.local()
        self._open_readers: list[Connection] = []
        if self.kind == "sqlite":
            self._reader_engine = _engine(path, _READER_PRAGMAS)
            self._readers = ready_threads(READERS, "windlass-reader")
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._write_loop, name="windlass-writer", daemon=True)
        self._thread.start()

    @property
    def connection(self) -> Connection:
        """The writing connection, for schema work while no unit runs."""
        return self._writer

    async def run(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` in a transaction; see `Store.run`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._submit(Request(lambda tx: unit(tx, *args, **kwargs), loop, future))
        return await future

    def run_blocking(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` from a thread that has no event loop; see `Store.run_blocking`."""
        future: Future[Result] = Future()
        self._submit(Request(lambda tx: unit(tx, *args, **kwargs), None, future))
        return future.result()

    async def read(
        self,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Run `unit` on a read-only view; see `Store.read`."""
        if self._readers is None:  # memory: only the writer's connection can see it
            return await self.run(_query_only, lambda tx: unit(tx, *args, **kwargs))
        if self._closed:
            raise Unavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._read(lambda tx: unit(tx, *args, **kwargs)))

    async def run_within(
        self,
        connection: object,
        unit: Callable[Concatenate[Transaction, Params], Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Refuse: nobody else may write to this database; see `Store.run_within`."""
        del connection, unit, args, kwargs
        where = "in memory" if self.kind == "memory" else "in SQLite, which takes one writer"
        raise UserError(f"A transaction of the caller's is joined by a store in PostgreSQL; this one is {where}.")

    def on_hint(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after commits that gave the hint; see `Store.on_hint`."""
        return self._hints.listen(name, listener)

    def keep_leases(self, lease: float) -> None:
        """Do nothing: no connection is between; see `Store.keep_leases`."""

    async def tend(self) -> list[str]:
        """Do nothing: tables are never so large here; see `Store.tend`."""
        return []

    async def examine(self) -> list[Finding]:
        """Return nothing: there is no server."""
        return []

    async def close(self) -> None:
        """Commit what waits, then close; closing twice is fine."""
        if self._closed:
            return
        with self._closing:
            self._closed = True
            self._requests.put(None)
        await uninterrupted(asyncio.to_thread(self._thread.join))
        if self._readers is not None:
            self._readers.shutdown(wait=True)
        for reader in self._open_readers:
            reader.close()
        self._writer.close()
        self._engine.dispose()

    def _submit(self, request: Request) -> None:
        with self._closing:  # a request behind the end would never be answered
            if self._closed:
                raise Unavailable("The store is closed.")
            self._requests.put(request)

    def _read(self, call: Callable[[Transaction], Result]) -> Result:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self._reader_engine, self.path)
            self._open_readers.append(connection)
        connection.exec_driver_sql("BEGIN")
        try:
            return call(Transaction(connection, self.clock.now(), _cursor(connection)))
        except (sqlite3.Error, DBAPIError) as error:
            translated = _translated(error)
            if translated is error:
                raise
            raise translated from error
        finally:
            connection.exec_driver_sql("ROLLBACK")

    def _write_loop(self) -> None:
        """Take waiting units in groups until the store is closed."""
        cursor = _cursor(self._writer)
        while True:
            request = self._requests.get()
            if request is None:
                return
            group = [request]
            ending = False
            while len(group) < GROUP_LIMIT and not self._requests.empty():
                following = self._requests.get()
                if following is None:
                    ending = True
                    break
                group.append(following)
            hints = self._commit_or_refuse(group, cursor)
            answer(group, self._hints.listeners(hints))
            if ending:
                return

    def _commit_or_refuse(self, group: list[Request], cursor: sqlite3.Cursor) -> set[str]:
        """Commit a group; whatever goes wrong, its callers are answered and the writer goes on."""
        try:
            return self._commit(group, cursor)
        except Exception as error:  # noqa: BLE001 - an error that ended this thread would leave every caller waiting
            self._undo(cursor)
            for request in group:
                request.result, request.error = None, request.error or _translated(error)
            return set()

    def _undo(self, cursor: sqlite3.Cursor) -> None:
        """Leave the running transaction, if there is one; where even that fails, the next one tries again."""
        with suppress(sqlite3.Error):
            if self._writer_in_transaction():
                cursor.execute("ROLLBACK")

    def _commit(self, group: list[Request], cursor: sqlite3.Cursor) -> set[str]:
        """Run the units of a group in one transaction, each undone alone if it fails."""
        hints: set[str] = set()
        started = time.perf_counter()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for request in group:
                self._run_one(request, cursor, hints, alone=len(group) == 1)
            if len(group) == 1 and group[0].error is not None:
                cursor.execute("ROLLBACK")
            else:
                flushing = time.perf_counter()
                cursor.execute("COMMIT")
                self.meter.note(started, flushing, time.perf_counter(), len(group))
        except sqlite3.Error as error:
            self._undo(cursor)
            for request in group:
                request.result, request.error = None, request.error or _unavailable(error)
            return set()
        return hints

    def _run_one(self, request: Request, cursor: sqlite3.Cursor, hints: set[str], *, alone: bool) -> None:
        tx = Transaction(self._writer, self.clock.now(), cursor, actor=request.actor)
        if not alone:
            cursor.execute("SAVEPOINT unit")
        try:
            request.result = request.call(tx)
            self.noting.keep(tx)
        except Exception as error:
            request.error = _translated(error)
            if not self._writer_in_transaction():
                raise sqlite3.OperationalError(str(error)) from error  # SQLite undid the whole group by itself
            if not alone:
                cursor.execute("ROLLBACK TO unit")
        else:
            hints |= tx.hints
        if not alone:
            cursor.execute("RELEASE unit")

    def _writer_in_transaction(self) -> bool:
        driver = self._writer.connection.driver_connection
        return bool(driver.in_transaction) if driver is not None else False


def _engine(path: str, pragmas: tuple[str, ...]) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _query_only(tx: Transaction, call: Callable[[Transaction], Result]) -> Result:
    """Run a unit that may only read, on the connection that writes."""
    tx.cursor.execute("PRAGMA query_only = ON")
    try:
        return call(tx)
    finally:
        tx.cursor.execute("PRAGMA query_only = OFF")


def _connect(engine: Engine, path: str) -> Connection:
    try:
        return engine.connect()
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, sqlite3.OperationalError):
            raise Unavailable(f"The store at {path} cannot be opened: {cause}.") from error
        if isinstance(cause, sqlite3.DatabaseError):
            raise _damaged(f"The store at {path}", str(cause)) from error
        raise


def _cursor(connection: Connection) -> sqlite3.Cursor:
    driver = connection.connection.driver_connection
    if driver is None:
        raise Unavailable("The store is closed.")
    cursor: sqlite3.Cursor = driver.cursor()
    return cursor


def _translated(error: Exception) -> Exception:
    """Return an error of the driver as one of ours; others as they are."""
    return _unavailable(getattr(error, "orig", error)) if is_trouble(error) else error


def _unavailable(error: Exception) -> Unavailable:
    text = str(error)
    if "full" in text:
        return Unavailable("The disk of the store is full: nothing was changed; free some space and try again.")
    if "malformed" in text or "not a database" in text:
        return _damaged("The store", text)
    return Unavailable(f"The store did not answer: {text}.")


def _damaged(what: str, cause: str) -> CorruptStore:
    return CorruptStore(
        f"{what} is damaged ({cause}); nothing was changed: restore a backup with `windlass db restore`."
    )
