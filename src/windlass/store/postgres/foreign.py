"""Units of work within a transaction that a caller began: kept when he commits, and gone when he does not.

Nothing is committed here, and nothing is kept on the connection: a savepoint undoes what failed, and all locks go with
the transaction. The lock of the store is not taken, for nobody knows how long such a transaction lasts: units that may
run here insert new rows, and see to it themselves that those are right whenever they come to light.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

from sqlalchemy.util import greenlet_spawn

from windlass.errors import Refused, UserError
from windlass.model.texts import NO_NUL
from windlass.store.hot_postgres import CLOCK
from windlass.store.postgres.cursor import PostgresCursor
from windlass.store.postgres.lane import CHANNEL
from windlass.store.postgres.marks import numbered, with_percents
from windlass.store.transaction import MustBeAlone, Transaction
from windlass.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from windlass.clock import Clock
    from windlass.store.cursor import Cursor

Result = TypeVar("Result")

_TAKEN: Final = (
    "a connection of asyncpg, or of SQLAlchemy a Connection, AsyncConnection, Session or AsyncSession, to the database "
    "of the store"
)
#: Hints of all such transactions come from nobody who listens: equal ones of one transaction are one.
_SENDER: Final = "caller"
#: What to say of what PostgreSQL refuses, by the code that it has for that.
_SENTENCES: Final = {
    "22021": NO_NUL,
    "25P01": "The connection is in no transaction: begin one, and commit it afterwards.",
    "25006": "The transaction of the connection is read only: begin one that may write.",
}
_SAVEPOINT: Final = "windlass_unit"
#: Whatever the caller's own tables are called, ours are meant: until the unit is done.
_ENTER: Final = (
    "SELECT value, {clock}, current_setting('search_path'), "
    "set_config('search_path', CAST(? AS TEXT), true) FROM {schema}.store_info WHERE key = 'id'"
)
_LEAVE: Final = "SELECT set_config('search_path', CAST(? AS TEXT), true)"
_TELL: Final = ", pg_notify(CAST(? AS TEXT), CAST(? AS TEXT))"


@dataclass(frozen=True, slots=True)
class Home:
    """Where the store is whose database a connection must be to."""

    store: str
    #: The quoted name of the schema with its tables.
    schema: str
    shown: str


def home_of(tx: Transaction, shown: str) -> Home:
    """Return where the store of a unit of work is, with the name that people are told."""
    found = tx.cursor.execute(
        "SELECT i.value, quote_ident(n.nspname) FROM store_info i JOIN pg_class c ON c.oid = 'store_info'::regclass "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.key = 'id'"
    ).fetchone()
    return Home(found[0], found[1], shown)


async def within(
    connection: object, call: Callable[[Transaction], Result], *, home: Home, clock: Clock | None
) -> Result:
    """Run `call` in the transaction of `connection`, which must be to the database of `home`.

    Raises UserError where the connection is none, is in no transaction, or is to another database, Refused where its
    user may not do that, and else what the caller's own driver raises; the transaction is as it was before then.
    """
    work = _Work(call, home, clock)
    for run in (_by_asyncpg, _by_sqlalchemy):
        found = run(connection, work)
        if found is not None:
            return cast("Result", await found)
    raise UserError(f"A transaction is joined by {_TAKEN}, not by a {type(connection).__name__}.")


class _Work:
    """One unit, and where it belongs."""

    def __init__(self, call: Callable[[Transaction], Any], home: Home, clock: Clock | None) -> None:
        self._call = call
        self._home = home
        self._clock = clock

    def __call__(self, cursor: Cursor, core: object) -> Any:
        """Run the unit behind a savepoint."""
        try:
            cursor.execute(f"SAVEPOINT {_SAVEPOINT}")
        except Exception as error:
            raise self._judged(error) from error
        try:
            result = self._run(cursor, core)
            cursor.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        except BaseException as error:
            with suppress(Exception):  # where the connection is gone, so is the transaction
                cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                cursor.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            judged = self._judged(error)
            if judged is error:
                raise
            raise judged from error
        return result

    def _run(self, cursor: Cursor, core: object) -> Any:
        schema = self._home.schema
        found = cursor.execute(_ENTER.format(schema=schema, clock=CLOCK), (f"{schema}, pg_temp",)).fetchone()
        if found is None or found[0] != self._home.store:
            raise UserError(self._elsewhere())
        now = found[1] if self._clock is None else self._clock.now()
        tx = Transaction(
            cast("Connection", core), now, cursor, dialect="postgresql", alone=False, moves=False, foreign=True
        )
        result = self._call(tx)
        told = (CHANNEL, f"{_SENDER} {','.join(sorted(tx.hints))}") if tx.hints else ()
        cursor.execute(_LEAVE + (_TELL if told else ""), (found[2], *told))
        return result

    def _judged(self, error: BaseException) -> BaseException:
        if isinstance(error, MustBeAlone):
            return UserError("This cannot be done within a transaction of the caller's own.")
        state = _sqlstate(error)
        if state in {"42P01", "3F000"}:  # no such table, no such schema
            return UserError(self._elsewhere())
        if state == "42501":  # no privilege
            return Refused(
                f"The user of the connection may not write to the store in {self._home.shown}: {_text(error)}"
            )
        return UserError(_SENTENCES[state]) if state in _SENTENCES else error

    def _elsewhere(self) -> str:
        return (
            f"The connection is to another database: a transaction is joined in that of the store, {self._home.shown}."
        )


def _by_asyncpg(connection: Any, work: _Work) -> Awaitable[Any] | None:
    """Return what does the work on a connection of asyncpg; None where that is none."""
    import asyncpg  # noqa: PLC0415 - loaded already where a store is open

    if isinstance(connection, asyncpg.Pool):
        raise UserError(f"A transaction is joined by {_TAKEN}: take one of the pool's with `pool.acquire()`.")
    if not isinstance(connection, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return None
    return greenlet_spawn(work, PostgresCursor(connection, named=False), _NoCore())


def _by_sqlalchemy(connection: Any, work: _Work) -> Awaitable[Any] | None:
    """Return what does the work on a connection or session of SQLAlchemy; None where that is none."""
    from sqlalchemy import Connection  # noqa: PLC0415 - loaded already where a store is open

    asynchronous, orm = sys.modules.get("sqlalchemy.ext.asyncio"), sys.modules.get("sqlalchemy.orm")
    if asynchronous is not None and isinstance(connection, asynchronous.async_scoped_session):
        connection = connection()
    if orm is not None and isinstance(connection, orm.scoped_session):
        connection = connection()
    if asynchronous is not None:
        if isinstance(connection, asynchronous.AsyncSession):
            connection = connection.sync_session
        elif isinstance(connection, asynchronous.AsyncConnection):
            connection = connection.sync_connection
            if connection is None:
                raise UserError("The connection is not open: `await` it, or use `async with`.")
    session = connection if orm is not None and isinstance(connection, orm.Session) else None
    if session is None and not isinstance(connection, Connection):
        return None

    def run() -> Any:
        core = connection if session is None else session.connection()
        return work(CoreCursor(core), core)

    dialect = (connection if session is None else session.get_bind()).dialect
    if dialect.name != "postgresql":
        raise UserError(f"A transaction is joined by {_TAKEN}; this one is to a database of {dialect.name}.")
    return greenlet_spawn(run) if dialect.is_async else uninterrupted(asyncio.to_thread(run))


class CoreCursor:
    """A cursor on a connection of SQLAlchemy, whichever driver it has; see `store.cursor.Cursor`."""

    def __init__(self, core: Connection) -> None:
        """Use `core`, in whatever transaction it is."""
        self._core = core
        self._text = numbered if core.dialect.paramstyle == "numeric_dollar" else with_percents
        self._rows: Iterator[Any] = iter(())
        self.rowcount = -1

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        """Run a statement; see `Cursor.execute`."""
        result = self._core.exec_driver_sql(self._text(sql), tuple(parameters))
        self.rowcount = result.rowcount
        self._rows = map(_plain, result.fetchall()) if result.returns_rows else iter(())
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Run a statement once for each of `rows`; see `Cursor.executemany`."""
        if values := [tuple(row) for row in rows]:
            self._core.exec_driver_sql(self._text(sql), values)
        self._rows, self.rowcount = iter(()), -1
        return self

    def fetchone(self) -> Any:
        """Return the next row; see `Cursor.fetchone`."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left; see `Cursor.fetchall`."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows that are left."""
        return self._rows


class _NoCore:
    """Stands for SQLAlchemy where the caller does not use it: units that run there write their statements by hand."""

    def __getattr__(self, name: str) -> Any:
        raise MustBeAlone


def _plain(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def _sqlstate(error: BaseException) -> str | None:
    cause = getattr(error, "orig", error)
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state if isinstance(state, str) else None


def _text(error: BaseException) -> str:
    return f"{str(getattr(error, 'orig', error)).splitlines()[0].rstrip('.')}."
