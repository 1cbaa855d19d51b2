"""Whether a database is sound: its pages, its references, its schema."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from sqlalchemy import create_engine

from windlass.store.migrations import HEAD
from windlass.store.schema_facts import schema_facts
from windlass.store.store import Store
from windlass.store.transaction import Transaction
from windlass.store.upgrade import create_schema, schema_version

#: Findings of one kind that are listed; a damaged file has thousands.
_LISTED: Final = 20
#: Releases of SQLite in which two writing connections can corrupt a write-ahead log: from, up to; and mended series.
_WAL_RESET: Final = ((3, 7, 0), (3, 51, 3))
_MENDED_FROM: Final = {(3, 44): 6, (3, 50): 7}


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found, each finding one sentence."""

    #: Version of the schema.
    version: str | None
    problems: tuple[str, ...]
    #: Worth knowing, and harmless.
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.problems


async def check(store: Store) -> Check:
    """Read the whole database and say what is wrong with it; takes seconds for each gigabyte and changes nothing."""
    return await store.read(check_now)


def check_now(tx: Transaction) -> Check:
    """Check in a running transaction."""
    version = schema_version(tx.connection)
    problems = [*_damaged_pages(tx), *_dangling(tx), *(_schema(tx) if version == HEAD else ())]
    if version != HEAD:
        problems.append(f"The schema is {version}, this program needs {HEAD}: run `windlass db upgrade`.")
    return Check(version, tuple(problems), tuple(_notes(sqlite3.sqlite_version_info)))


def _damaged_pages(tx: Transaction) -> list[str]:
    rows = [str(row[0]) for row in tx.connection.exec_driver_sql(f"PRAGMA integrity_check({_LISTED})")]
    return [f"The file is damaged: {line}." for line in rows if line != "ok"]


def _dangling(tx: Transaction) -> list[str]:
    rows = tx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_LISTED)
    return [f"A row of {row[0]} (rowid {row[1]}) points at a row of {row[2]} that is not there." for row in rows]


def _schema(tx: Transaction) -> list[str]:
    engine = create_engine("sqlite://")
    with engine.connect() as fresh:
        create_schema(fresh)
        wanted = schema_facts(fresh)
    engine.dispose()
    found = schema_facts(tx.connection)
    return [f"The schema lacks: {fact}." for fact in sorted(wanted - found)] + [
        f"The schema has what it should not have: {fact}." for fact in sorted(found - wanted)
    ]


def _notes(version: tuple[int, ...]) -> list[str]:
    first, mended = _WAL_RESET
    if not first <= version < mended or version[2] >= _MENDED_FROM.get((version[0], version[1]), 1_000):
        return []
    note = (
        f"SQLite {'.'.join(map(str, version[:3]))} can corrupt a write-ahead log that two connections write at once; "
        "Windlass writes with one. Let no other program write to this file."
    )
    return [note]
