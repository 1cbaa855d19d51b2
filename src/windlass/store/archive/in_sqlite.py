"""The archive in a SQLite database of its own, which may lie on another disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.archive import Entry, Kept, Piece
from windlass.store.archive.in_database import unpacked
from windlass.store.archive.private import make_private
from windlass.store.archive.trying import exists, try_folder

Result = TypeVar("Result")

_APPLICATION_ID: Final = 0x574E4441
_WAIT: Final = 5.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS archive_parts "
    "(run_id BLOB NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, store TEXT NOT NULL, "
    "PRIMARY KEY (run_id, number))"
)

_MARKS: Final = "CREATE TABLE IF NOT EXISTS archive_marks (store TEXT PRIMARY KEY, mark TEXT NOT NULL)"
_MARK: Final = "SELECT mark FROM archive_marks WHERE store = ?"
_RUNS: Final = "SELECT DISTINCT run_id, 0 FROM archive_parts WHERE store = ? ORDER BY run_id"
_SIZE: Final = "SELECT NULL, sum(length(data)) FROM archive_parts WHERE store = ? AND run_id = ?"
_ANY: Final = "SELECT 1 FROM archive_parts WHERE store = ? LIMIT 1"


class SqliteArchive:
    """See `Archive`. Several stores may share the file: each run says whose it is."""

    def __init__(self, url: str, path: Path, store: str) -> None:
        """Keep documents of the store with the id `store` in the file at `path`: made when first needed."""
        self.url = url
        self._path = path
        self._store = store
        self._sizes: dict[bytes, int] = {}

    async def probe(self) -> None:
        """Lock the file for writing, or try its folder where it is not made yet; see `Archive.probe`."""
        await asyncio.to_thread(self._probe)

    def plan(self, runs: Sequence[tuple[bytes, int]]) -> list[str]:
        """Return the ids of the runs; see `Archive.plan`."""
        return [run_id.hex() for run_id, _ in runs]

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take pieces; see `Archive.write`."""

        def write(connection: sqlite3.Connection) -> None:
            packed = [(piece.run_id, piece.number, zlib.compress(piece.data), self._store) for piece in pieces]
            fresh = [(piece.run_id,) for piece in pieces if piece.number == 0]
            connection.executemany("DELETE FROM archive_parts WHERE run_id = ?", fresh)
            connection.executemany("INSERT OR REPLACE INTO archive_parts VALUES (?, ?, ?, ?)", packed)
            for run_id, number, data, _ in packed:
                self._sizes[run_id] = len(data) + (self._sizes.get(run_id, 0) if number else 0)

        await asyncio.to_thread(self._changed, write)

    async def seal(self) -> Mapping[bytes, Kept]:
        """Return what was written: each transaction was flushed."""
        sizes, self._sizes = self._sizes, {}
        return {run_id: Kept("", size) for run_id, size in sizes.items()}

    async def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - the contract's
        """Yield the document of a run; see `Archive.read`."""
        number = 0
        while (data := await asyncio.to_thread(self._piece, run_id, number)) is not None:
            yield unpacked(data)
            number += 1

    async def discard(self, names: Collection[str]) -> None:
        """Remove the documents of runs."""
        ids = [bytes.fromhex(name) for name in names]
        if await asyncio.to_thread(exists, self._path):
            await asyncio.to_thread(self._changed, partial(_drop, self._store, ids))

    async def mark(self) -> str:
        """Return what stands beside the documents; see `Archive.mark`."""
        return await asyncio.to_thread(self._mark)

    async def set_mark(self, mark: str) -> None:
        """Write it beside the documents; see `Archive.set_mark`."""
        there = await asyncio.to_thread(exists, self._path)
        if mark or there:
            await asyncio.to_thread(self._changed, partial(_set_mark, self._store, mark))

    async def is_empty(self) -> bool:
        """Say whether no document of this store is there."""
        return not await asyncio.to_thread(self._holds)

    async def names(self) -> list[str]:
        """Return the ids of the runs of this store; see `Archive.names`."""
        return [run_id.hex() for run_id, _ in await asyncio.to_thread(self._rows, _RUNS)]

    async def entries(self, name: str) -> list[Entry]:
        """Return the one document of a run; see `Archive.entries`."""
        run_id = bytes.fromhex(name)
        ((_, size),) = await asyncio.to_thread(self._rows, _SIZE, run_id)
        return [Entry(run_id, "", size)] if size else []

    def _rows(self, query: str, *values: bytes) -> list[tuple[bytes, int]]:
        if not exists(self._path):
            return []
        return self._changed(lambda connection: connection.execute(query, (self._store, *values)).fetchall())

    def _mark(self) -> str:
        if not exists(self._path):
            return ""
        row = self._changed(lambda connection: connection.execute(_MARK, (self._store,)).fetchone())
        return "" if row is None else str(row[0])

    def _holds(self) -> bool:
        if not exists(self._path):
            return False
        return self._changed(lambda connection: connection.execute(_ANY, (self._store,)).fetchone()) is not None

    def _probe(self) -> None:
        if exists(self._path):
            self._changed(lambda connection: connection.execute("BEGIN IMMEDIATE"))
        else:
            try_folder(self._path.parent)

    def _piece(self, run_id: bytes, number: int) -> bytes | None:
        if not exists(self._path):
            return None
        row = self._changed(
            lambda connection: connection.execute(
                "SELECT data FROM archive_parts WHERE run_id = ? AND number = ?", (run_id, number)
            ).fetchone()
        )
        return None if row is None else bytes(row[0])

    def _changed(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do work in a transaction. Raises Unavailable where the file cannot be used, CorruptStore where it is bad."""
        try:
            make_private(self._path.parent)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(self._path, timeout=_WAIT)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                self._prepare(connection)
                with connection:
                    return work(connection)
        except OSError as error:
            raise Unavailable(f"The archive {self._path} cannot be used: {error.strerror}.") from error
        except sqlite3.OperationalError as error:
            raise Unavailable(f"The archive {self._path} did not answer: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise CorruptStore(f"The archive {self._path} is damaged: {error}.") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        if found == _APPLICATION_ID:
            connection.execute(_MARKS)  # which an earlier version did not make
            return
        if found or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise CorruptStore(f"The file {self._path} belongs to another program; name another one for the archive.")
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(_TABLE)
        connection.execute(_MARKS)


def _set_mark(store: str, mark: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM archive_marks WHERE store = ?", (store,))
    if mark:
        connection.execute("INSERT INTO archive_marks (store, mark) VALUES (?, ?)", (store, mark))


def _drop(store: str, run_ids: Sequence[bytes], connection: sqlite3.Connection) -> None:
    """Remove the documents of runs of one store."""
    connection.execute("PRAGMA secure_delete = ON")
    connection.executemany(
        "DELETE FROM archive_parts WHERE run_id = ? AND store = ?", [(run_id, store) for run_id in run_ids]
    )
