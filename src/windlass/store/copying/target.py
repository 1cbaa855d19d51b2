"""A new store in PostgreSQL, filled and compared in one transaction: it is there wholly, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.util import greenlet_spawn

from windlass.errors import Conflict, Unavailable
from windlass.store.copying.content import Sum, copied_columns, copied_tables
from windlass.store.hot_postgres import CLOCK
from windlass.store.migrations import HEAD
from windlass.store.postgres.lane import STORE_LOCK
from windlass.store.postgres.link import Link, Links
from windlass.store.postgres.opening import look
from windlass.store.postgres.partitions import begin_partitions
from windlass.store.postgres.troubles import refusal, sqlstate
from windlass.store.transaction import Transaction
from windlass.store.upgrade import create_schema

if TYPE_CHECKING:
    from sqlalchemy import Table

    from windlass.store.place import ServerPlace

#: Seconds: larger than any copy takes, for the driver wants a number.
_LONG: Final = 7 * 24 * 3600.0
#: Rows that are read at once.
_PAGE: Final = 5000
#: What a store has before anything was done with it.
_FROM_THE_START: Final = frozenset({"store_info", "duties"})
#: Microseconds after its last word for which a process may still be at work.
_RECENTLY: Final = 60 * 1_000_000


class Target:
    """An open transaction that makes a store."""

    def __init__(self, link: Link, shown: str) -> None:
        """Write through `link`, in the transaction that is begun on it."""
        self._link = link
        self._raw = link.raw
        self._shown = shown

    async def prepare(self, since: int | None) -> None:
        """Make the tables, for runs from `since` on, in milliseconds since the epoch.

        Raises Conflict where there are some that are not empty, or that a server uses.
        """
        raw = self._raw
        await raw.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        await raw.execute(f"SELECT pg_advisory_xact_lock({STORE_LOCK})")
        now = await raw.fetchval(f"SELECT {CLOCK}")
        tx = Transaction(self._link.core, now, self._link.cursor, dialect="postgresql")
        version, _ = await greenlet_spawn(look, tx)
        if version is None:
            await greenlet_spawn(create_schema, self._link.core)
            await greenlet_spawn(begin_partitions, tx, since)
        else:
            await self._refuse_used(version, now)
        await raw.execute("DELETE FROM store_info")

    async def _refuse_used(self, version: str, now: int) -> None:
        raw = self._raw
        if version != HEAD:
            raise Conflict(f"The database {self._shown} has a store of another version: name an empty database.")
        workers = "SELECT count(*) FROM workers WHERE ended_at IS NULL AND heartbeat_at > $1"
        others = "SELECT EXISTS (SELECT FROM duties WHERE until > $1) OR EXISTS (SELECT FROM programs WHERE until > $1)"
        if await raw.fetchval(workers, now - _RECENTLY) or await raw.fetchval(others, now):
            raise Conflict(f"A server works on the database {self._shown}: stop it, or name an empty database.")
        for table in copied_tables():
            found = await raw.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})")  # noqa: S608 - a name of ours
            if found and table.name not in _FROM_THE_START:
                raise Conflict(
                    f"The database {self._shown} is not empty, there are {table.name} in it. "
                    "Nothing was changed: name an empty database."
                )

    async def store(self) -> str | None:
        """Return the id of the store that is there; None where there is none."""
        tx = Transaction(self._link.core, 0, self._link.cursor, dialect="postgresql")
        _, identity = await greenlet_spawn(look, tx)
        return identity

    async def fill(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Copy rows into a table."""
        await self._raw.copy_records_to_table(
            table.name, records=iter(rows), columns=copied_columns(table), timeout=_LONG
        )

    async def go_on_behind(self, table: Table, last: int) -> None:
        """Have a table give its rows numbers above `last`."""
        column = table.autoincrement_column
        if column is not None:
            sql = "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3, $4)"
            await self._raw.fetchval(sql, table.name, column.name, max(last, 1), last > 0)

    async def sum_of(self, table: Table) -> Sum:
        """Read a table back."""
        found = Sum()
        async for row in self._rows(table):
            found.add(row)
        return found

    async def _rows(self, table: Table) -> AsyncIterator[Any]:
        sql = f"SELECT {', '.join(copied_columns(table))} FROM {table.name}"  # noqa: S608 - names of ours
        async for row in self._raw.cursor(sql, prefetch=_PAGE, timeout=_LONG):
            yield row

    async def commit(self) -> None:
        """Keep all of it."""
        await self._raw.execute("COMMIT", timeout=_LONG)
        with suppress(Exception):  # the planner's figures are no part of the copy, and come by themselves as well
            await self._raw.execute("ANALYZE", timeout=_LONG)


@asynccontextmanager
async def open_target(place: ServerPlace) -> AsyncIterator[Target]:
    """Begin to make a store at `place`; nothing of it stays unless it is committed.

    Raises Unavailable where the server is out of reach or refuses.
    """
    link: Link | None = None
    try:
        link = await Links(place).link(writes=False)
        await link.raw.execute("BEGIN")
        yield Target(link, place.shown)
    except Exception as error:
        if sqlstate(error) is not None or isinstance(error, OSError | TimeoutError):
            raise refusal(error, place.shown) from error
        raise
    finally:
        if link is not None:
            await link.close()


async def store_at(place: ServerPlace) -> str | None:
    """Return the id of the store at `place`; None where there is none.

    Raises Unavailable where the server is out of reach or refuses.
    """
    async with open_target(place) as target:
        return await target.store()


async def find_again(place: ServerPlace, spots: Iterable[tuple[Table, list[tuple[Any, ...]]]]) -> None:
    """Look for rows on a new connection, by their keys. Raises Unavailable where one is not what it was."""
    link = await Links(place).link(writes=False)
    try:
        for table, rows in spots:
            for row in rows:
                await _find(link.raw, table, row)
    finally:
        await link.close()


async def _find(raw: Any, table: Table, row: tuple[Any, ...]) -> None:
    names = copied_columns(table)
    values = dict(zip(names, row, strict=True))
    keys = [column.name for column in table.primary_key]
    where = " AND ".join(f"{key} = ${number}" for number, key in enumerate(keys, 1))
    found = await raw.fetchrow(
        f"SELECT {', '.join(names)} FROM {table.name} WHERE {where}",  # noqa: S608 - names of ours
        *(values[key] for key in keys),
    )
    if found is None or tuple(found) != row:
        raise Unavailable(f"A row of {table.name} is not in the copy as it was: do not use the copy.")


def counted(rows: Iterable[tuple[Any, ...]], into: Sum) -> Iterator[tuple[Any, ...]]:
    """Pass on rows, each added to `into`."""
    for row in rows:
        into.add(row)
        yield row
