"""What units of work ask of a cursor by hand, whichever database it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, Self

#: The databases that texts of SQL are written for.
Dialect = Literal["sqlite", "postgresql"]


class Cursor(Protocol):
    """Runs one statement after the other, with `?` for each value; rows can be unpacked and counted through."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        """Run a statement and return this cursor, which then gives its rows."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Run a statement that gives no rows once for each of `rows`; `rowcount` says nothing afterwards."""
        ...

    def fetchone(self) -> Any:
        """Return the next row; None where there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows that are left."""
        ...
