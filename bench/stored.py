"""A store with a long history, written in bulk: runs that were really worked off, again and again at other times.

What the engine wrote of a few runs is copied under new ids, with all times shifted; so every row is one that the engine
could have written, and `windlass db check` finds nothing.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from windlass.ids import first_of

Row = dict[str, Any]

#: Columns that hold a time, of whatever table.
_TIMES: Final = frozenset(
    {"created_at", "queued_at", "started_at", "finished_at", "deadline", "first_started_at", "ended_at", "at"}
)
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
#: What is kept of a run: tables, columns, and by which it is found.
TABLES: Final = (
    ("runs", "*", "id"),
    ("tasks", "*", "run_id"),
    ("attempts", "*", "run_id"),
    ("run_labels", "*", "run_id"),
    ("events", "types, run_id, task, at, data", "run_id"),
)
#: Runs written in one transaction.
BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """All rows of one run, by table."""

    run_id: bytes
    #: Microseconds.
    created_at: int
    rows: dict[str, list[Row]]

    def again(self, table: str, run_id: bytes, created_at: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table as another run of that time has them."""
        for row in self.rows[table]:
            yield tuple(self._value(name, value, run_id, created_at) for name, value in row.items())

    def _value(self, name: str, value: Any, run_id: bytes, created_at: int) -> Any:
        if value == self.run_id:
            return run_id
        if name in _TIMES and value is not None:
            return value - self.created_at + created_at
        return value


def patterns(path: Path, run_ids: Sequence[bytes]) -> list[Pattern]:
    """Read what the engine wrote of runs that have ended; nobody may own the store meanwhile."""
    with sqlite3.connect(path) as store:
        store.row_factory = lambda cursor, row: dict(zip((one[0] for one in cursor.description), row, strict=True))
        found = []
        for run_id in run_ids:
            rows = {
                table: store.execute(f"SELECT {what} FROM {table} WHERE {key} = ?", (run_id,)).fetchall()  # noqa: S608 - constants
                for table, what, key in TABLES
            }
            found.append(Pattern(run_id, rows["runs"][0]["created_at"], rows))
    store.close()
    return found


def fill(path: Path, known: Sequence[Pattern], count: int, *, first: int, last: int) -> None:
    """Write `count` runs that were accepted between two times, in milliseconds, patterns in turn."""
    dice = random.Random(first)  # noqa: S311 - a history that can be written again
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA cache_size = -262144")
    times = iter(range(count))
    while batch := list(islice(times, BATCH)):
        store.execute("BEGIN")
        made = [
            (known[number % len(known)], millis, new_id(millis, number, dice))
            for number in batch
            for millis in (first + (last - first) * number // count,)
        ]
        for table in known[0].rows:
            names = next((list(one.rows[table][0]) for one in known if one.rows[table]), None)
            if names is not None:
                marks = ", ".join("?" * len(names))
                store.executemany(
                    f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - constants
                    (row for one, millis, run_id in made for row in one.again(table, run_id, millis * 1000)),
                )
        store.execute("COMMIT")
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def new_id(millis: int, number: int, dice: random.Random) -> bytes:
    """Return an id of that time, in milliseconds; within a millisecond those with greater numbers are greater."""
    low = (number & 0xFFFFFFF) << 34 | dice.getrandbits(34)
    return (int.from_bytes(first_of(millis)) | _VERSION | _VARIANT | low).to_bytes(16)
