"""Where runs are: in the store, in the archive, or nowhere, and each of them in one place alone and whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.oracle.seen import HISTORY
from tests.oracle.told import Told
from windlass.errors import CorruptStore
from windlass.ids import id_text, parse_id
from windlass.store.archive.document import read_rows
from windlass.store.archive.open import open_archive, open_depot
from windlass.store.sqlite import SqliteStore
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction

_OF_LIVE: Final = {"queue": "run_id", "run_labels": "run_id", "event_waits": "run_id"}


async def bring_together(store: SqliteStore, home: Path) -> tuple[list[str], dict[bytes, Path]]:
    """Put archived runs back into a copy of a store, so that all its history can be looked at as one.

    Returns what is wrong with where runs are, and the folder with the files of each run that was away.
    """
    found = await store.read(torn_apart)
    away: dict[bytes, Path] = {}
    for run_id, url, place, digest, hot, doomed in await store.read(_entries):
        if url and not doomed:
            archive = await open_archive(url, store)
            try:
                document = b"".join([data async for data in archive.read(run_id, place)])
            except CorruptStore as error:
                found.append(f"O1 run {id_text(run_id)}: its archive is damaged: {error}")
                continue
            if hashlib.sha256(document).hexdigest() != digest:
                found.append(f"O1 run {id_text(run_id)}: the archive {url} does not give back what it was given")
                continue
        if hot:
            continue
        rows = list(read_rows(document)) if url else []
        await store.run(_put_back, run_id, rows)
        if url:
            away[run_id] = (await open_depot(url, store, home / "artifacts")).folder
    return found, away


def _entries(tx: Transaction) -> list[tuple[bytes, str, str, str, int, int]]:
    """Return what the archive has; of runs that are there too and about to be deleted it may have lost its copy."""
    return tx.cursor.execute(
        "SELECT a.run_id, a.archive, a.place, a.digest, r.id IS NOT NULL, coalesce(r.deleting, 0) "
        "FROM archived_runs a LEFT JOIN runs r ON r.id = a.run_id"
    ).fetchall()


def torn_apart(tx: Transaction) -> list[str]:
    """Return runs that are in two places, and rows of runs that are in none."""
    found = []
    for table, column in (HISTORY | _OF_LIVE).items():
        rows = tx.cursor.execute(
            f"SELECT DISTINCT t.{column}, a.removed, a.restored_at FROM {table} t "  # noqa: S608 - constants
            f"LEFT JOIN runs r ON r.id = t.{column} LEFT JOIN archived_runs a ON a.run_id = t.{column} "
            f"WHERE t.{column} IS NOT NULL AND (r.id IS NULL OR a.run_id IS NOT NULL)"
        ).fetchall()
        for run_id, removed, restored_at in rows:
            if removed is None:
                found.append(f"O1 run {id_text(run_id)} is gone and has left rows in {table}")
            elif removed and restored_at is None:
                found.append(f"O1 run {id_text(run_id)} is in the archive and in {table}")
    found += [
        f"O1 run {id_text(row[0])} was brought back and is not there"
        for row in tx.cursor.execute(
            "SELECT run_id FROM archived_runs a WHERE restored_at IS NOT NULL AND removed = 1 "
            "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = a.run_id)"
        )
    ]
    return found


def _put_back(tx: Transaction, run_id: bytes, rows: list[tuple[str, dict[str, Any]]]) -> None:
    for table, column in HISTORY.items():
        tx.cursor.execute(f"DELETE FROM {table} WHERE {column} = ?", (run_id,))  # noqa: S608 - constants
    for table, values in rows:
        marks = ", ".join("?" * len(values))
        tx.cursor.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names of columns


def traces(tx: Transaction, told: Told, home: Path, *, at_rest: bool) -> list[str]:
    """Return what there still is of runs that users were told to be deleted."""
    found = []
    gone = told.gone | (told.promised if at_rest else set())
    columns = [
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.c
        if column.name in {"run_id", "parent_id", "root_id"} or (table.name, column.name) == ("runs", "id")
    ]
    for table, column in columns:
        values = {row[0] for row in tx.cursor.execute(f"SELECT DISTINCT {column} FROM {table}")}  # noqa: S608 - names of columns
        found += [f"O1 run {id_text(one)} was deleted and is in {table}.{column}" for one in sorted(gone & values)]
    found += [
        f"O1 run {id_text(one)} was deleted and its files are there"
        for one in sorted(gone)
        if (home / "artifacts" / id_text(one)).exists()
    ]
    return found


def left_files(tx: Transaction, home: Path, away: dict[bytes, Path]) -> Iterator[str]:
    """Yield the files of runs at rest that are not where those runs are."""
    there = {row[0] for row in tx.cursor.execute("SELECT id FROM runs")} - away.keys()
    for path in (home / "artifacts").glob("[!.]*-*"):
        if parse_id(path.name) not in there:
            yield f"O8 the folder {path.name} with files of a run that has left is still there: {list(path.iterdir())}"
    known = {row[0] for row in tx.cursor.execute("SELECT sha256 FROM archived_files")}
    for folder in set(away.values()):
        for path in folder.glob("*"):
            if path.name not in known:
                yield f"O8 the file {path} of the archive belongs to no run"
