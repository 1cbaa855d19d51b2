"""Statements by hand on PostgreSQL, from the plain functions that units of work are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.util import await_

from windlass.store.postgres.marks import numbered

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.prepared_stmt import PreparedStatement

#: Statements that a connection keeps prepared.
_KEPT: Final = 400
#: What is sent as it is: a transaction that failed takes no other statement, not even to prepare it.
_PLAIN: Final = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ", "SET ")


class PostgresCursor:
    """A cursor on one connection; see `store.cursor.Cursor`. It works only where greenlets wait, as in a lane."""

    __slots__ = ("_connection", "_named", "_prepared", "_rows", "rowcount")

    def __init__(self, connection: Connection[Any], *, named: bool) -> None:
        """Use `connection`; without `named` nothing is kept prepared, because the server may change between."""
        self._connection = connection
        self._named = named
        self._prepared: dict[str, PreparedStatement[Any]] = {}
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.rowcount = -1

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        """Run a statement; see `Cursor.execute`."""
        await_(self.run(numbered(sql), parameters))
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Run a statement once for each of `rows`, sent all at once; see `Cursor.executemany`."""
        await_(self._connection.executemany(numbered(sql), rows))
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

    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a statement whose marks are numbered already, and return its rows."""
        if sql.startswith(_PLAIN):
            await self._connection.execute(sql)
            self._rows, self.rowcount = iter(()), -1
            return []
        statement = self._prepared.get(sql) or await self._prepare(sql)
        records: list[Any] = await statement.fetch(*parameters)
        self._rows = map(tuple, records)
        said = statement.get_statusmsg().rpartition(" ")[2]
        self.rowcount = int(said) if said.isdigit() else -1
        return records

    async def _prepare(self, sql: str) -> PreparedStatement[Any]:
        if not self._named:
            return await self._connection.prepare(sql, name="")
        statement = await self._connection.prepare(sql)
        if len(self._prepared) >= _KEPT:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[sql] = statement
        return statement
