"""The oracle over a store in PostgreSQL: all its rows in one view, put into a copy that is looked at as any other.

It reads by the driver alone, not by the store that is under test; that store may go on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

from tests.oracle.beside import check_folders
from tests.oracle.examination import examine
from tests.oracle.ledger import Ledger
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from windlass.store.migrations import HEAD
from windlass.store.sqlite import SqliteStore
from windlass.store.tables import metadata
from windlass.store.upgrade import upgrade

#: Rows that are fetched at once.
_PORTION: Final = 2000
#: O9: what PostgreSQL itself can tell of tables and indexes that are not whole. TOAST tables come with their own.
_TABLES: Final = (
    "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' ORDER BY 1"
)
_INDEXES: Final = (
    "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam "
    "WHERE n.nspname = current_schema() AND c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid ORDER BY 1"
)
_INVALID: Final = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready"


def problems_of(
    url: str,
    homes: Sequence[Path],
    folder: Path,
    told: Told | list[bytes],
    ledger: Ledger,
    *,
    at_rest: bool = False,
    seen: Seen | None = None,
) -> list[str]:
    """Return what the oracle finds in the database at `url`, of which files lie in `homes`.

    `folder` is where copies are made; nothing is left of them.
    """
    told = told if isinstance(told, Told) else Told(told)
    copy = folder / "copy"
    copy.mkdir(mode=0o700)
    try:
        gather_files(homes, copy)
        found = asyncio.run(_problems(url, copy, told, ledger, seen or Seen(), at_rest=at_rest))
    finally:
        shutil.rmtree(copy)
    for home in homes:
        found += check_folders(home, at_rest=at_rest)
    return [*found, *ledger.problems()]


async def _problems(url: str, copy: Path, told: Told, ledger: Ledger, seen: Seen, *, at_rest: bool) -> list[str]:
    found = await damage(url)
    effects = len(ledger.read())  # what is said from now on need not be in the database yet
    path = copy / "windlass.db"
    found += await copy_rows(url, path)
    # Transactions beside each other bear the times of their beginnings: order there is within a task, and no further.
    return found + await examine(path, copy, told, ledger, seen=seen, at_rest=at_rest, until=effects, in_turn=False)


async def damage(url: str) -> list[str]:
    """Return what PostgreSQL finds wrong with its own tables and indexes (O9)."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        found = [f"O9 the index {row[0]} is not valid" for row in await connection.fetch(_INVALID)]
        for row in await connection.fetch(_TABLES):
            wrong = await connection.fetch("SELECT blkno, msg FROM verify_heapam($1::regclass)", row["name"])
            found += [f"O9 {row['name']}, page {one['blkno']}: {one['msg']}" for one in wrong]
        for row in await connection.fetch(_INDEXES):
            try:
                await connection.execute(f"SELECT bt_index_check('{row['name']}'::regclass, true)")
            except asyncpg.PostgresError as error:
                found.append(f"O9 {row['name']}: {error}")
        return found
    finally:
        await connection.close()


async def copy_rows(url: str, path: Path) -> list[str]:
    """Put all rows of the database at `url` into a new store in the file `path`; return what of them does not fit.

    All rows are those of one moment. Of a schema of another version only what both know is copied.
    """
    store = SqliteStore(str(path))
    upgrade(store)
    connection = await asyncpg.connect(url, timeout=30)
    found: list[str] = []
    raw = store.connection
    raw.exec_driver_sql("PRAGMA foreign_keys = OFF")  # in effect between transactions alone
    try:
        raw.exec_driver_sql("BEGIN IMMEDIATE")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for table in reversed(metadata.sorted_tables):
                raw.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608 - a name of ours: what a new store has
            for table in metadata.sorted_tables:
                there = await connection.fetch(
                    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 "
                    "AND NOT attisdropped",
                    table.name,
                )
                if not there:
                    found.append(f"O9 the table {table.name} of version {HEAD} is not there")
                    continue
                names = [one.name for one in table.columns if one.name in {row[0] for row in there}]
                listed = ", ".join(f'"{name}"' for name in names)
                marks = ", ".join("?" * len(names))
                insert = f"INSERT INTO {table.name} ({listed}) VALUES ({marks})"  # noqa: S608 - names of ours
                rows = await connection.cursor(f'SELECT {listed} FROM "{table.name}"')  # noqa: S608 - names of ours
                while portion := await rows.fetch(_PORTION):
                    raw.exec_driver_sql(insert, [tuple(map(_plain, row)) for row in portion])
        raw.exec_driver_sql("COMMIT")
    finally:
        await connection.close()
        await store.close()
    return found


def _plain(value: Any) -> Any:
    """Return a value as the copy keeps it."""
    if isinstance(value, bool):
        return int(value)
    return value if value is None or isinstance(value, int | float | str | bytes) else str(value)


def gather_files(homes: Iterable[Path], copy: Path) -> None:
    """Let `copy` have the kept files of all homes under their names, as links."""
    for home in homes:
        for kind in ("artifacts",):
            for source in (home / kind).rglob("*"):
                target = copy / source.relative_to(home)
                if source.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                elif not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(source, target)
