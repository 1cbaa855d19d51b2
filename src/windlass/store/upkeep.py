"""The database's own state: pages that hold nothing, indexes that are not there, times that lie ahead."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import inspect

from windlass.store.archive_tables import archived_runs
from windlass.store.tables import metadata, runs
from windlass.store.transaction import Transaction
from windlass.store.upgrade import store_id

#: Ids in one statement: databases take a limited number of values.
_CHUNK = 500
_FINISHED = (
    "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
    "WHERE x.indisvalid AND i.relnamespace = CAST(current_schema() AS regnamespace)"
)


class Pages(NamedTuple):
    """How large the file is, and how much of it holds nothing; in bytes."""

    free: int
    size: int


def pages(tx: Transaction) -> Pages | None:
    """Return the size of the file; None where the database looks after that itself."""
    if tx.connection.dialect.name != "sqlite":
        return None
    free, total, size = (
        int(tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("freelist_count", "page_count", "page_size")
    )
    return Pages(free * size, total * size)


def give_back(tx: Transaction, count: int) -> bool:
    """Give up to `count` empty pages back to the disk; say whether there are more."""
    if tx.connection.dialect.name != "sqlite":
        return False
    before = int(tx.connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
    tx.cursor.execute(f"PRAGMA incremental_vacuum({count:d})").fetchall()
    after = int(tx.connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
    return 0 < after < before  # a database that was not made to shrink stays as it is


def missing_indexes(tx: Transaction) -> list[str]:
    """Return the names of the indexes that the schema has and the database lacks, or never finished."""
    if tx.dialect != "sqlite":
        there = {row[0] for row in tx.cursor.execute(_FINISHED)}
        return sorted({str(index.name) for table in metadata.tables.values() for index in table.indexes} - there)
    inspector = inspect(tx.connection)
    found: list[str] = []
    for name, table in metadata.tables.items():
        there = {index["name"] for index in inspector.get_indexes(name)}
        found += [str(index.name) for index in table.indexes if index.name not in there]
    return sorted(found)


def make_indexes(tx: Transaction) -> list[str]:
    """Make the indexes that are missing; return their names. Takes seconds for each million rows.

    Where others work on the store they are made beside them instead, by `Store.tend`.
    """
    if tx.dialect != "sqlite":
        return []
    wanted = set(missing_indexes(tx))
    for table in metadata.tables.values():
        for index in table.indexes:
            if index.name in wanted:
                index.create(tx.connection)
    return sorted(wanted)


def newest_event_at(tx: Transaction) -> int | None:
    """Return when the newest event was written; None where there is none."""
    row = tx.cursor.execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def store_identity(tx: Transaction) -> str:
    """Return the id of this store."""
    return store_id(tx.connection)


def unknown_runs(tx: Transaction, run_ids: list[bytes]) -> list[bytes]:
    """Return which of `run_ids` are neither runs nor archived ones."""
    known: set[bytes] = set()
    for start in range(0, len(run_ids), _CHUNK):
        part = run_ids[start : start + _CHUNK]
        for column in (runs.c.id, archived_runs.c.run_id):
            known.update(
                tx.connection.execute(column.table.select().with_only_columns(column).where(column.in_(part))).scalars()
            )
    return [run_id for run_id in run_ids if run_id not in known]
