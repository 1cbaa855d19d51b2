"""Statements over many rows at once: SQLite works off a whole piece in one call, PostgreSQL arrays of any length.

A call for each row costs twice as much and, worse, takes and gives back the interpreter's lock each time, so that the
thread which writes and the one which runs tasks wait for each other. In one call they work side by side.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from windlass.store.cursor import Cursor

#: Rows a call, large pieces first. Few sizes, because each is a statement of its own that SQLite keeps prepared.
SIZES: Final = (128, 32, 8, 2, 1)

Row = Sequence[Any]


def over_many(cursor: Cursor, statement: str, rows: Sequence[Row], before: Row = ()) -> int:
    """Run a statement over `rows`, in pieces; return how many rows it changed.

    `statement` holds `{rows}` where the rows go, each as `(?, ?)` with as many marks as it has values, or as a bare `?`
    where it has one: as `INSERT INTO table (columns) VALUES {rows}`, `column IN ({rows})` or
    `(columns) IN (VALUES {rows})`. Values in `before` are bound ahead of each piece's.
    """
    if type(cursor) is not sqlite3.Cursor:
        from windlass.store.postgres.arrays import over_arrays  # noqa: PLC0415 - of no use to SQLite

        return over_arrays(cursor, statement, rows, before)
    changed = done = 0
    for size in SIZES:
        while len(rows) - done >= size:
            piece = rows[done : done + size]
            cursor.execute(_text(statement, len(piece[0]), size), (*before, *chain.from_iterable(piece)))
            changed += cursor.rowcount
            done += size
    return changed


@lru_cache(maxsize=256)
def _text(statement: str, width: int, size: int) -> str:
    row = "?" if width == 1 else f"({', '.join('?' * width)})"
    return statement.replace("{rows}", ", ".join([row] * size))
