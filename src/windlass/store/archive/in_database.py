"""The archive that lies in the database itself: compressed pieces in a table of their own."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from windlass.errors import CorruptStore
from windlass.store.archive.archive import Kept, Piece
from windlass.store.store import Store
from windlass.store.transaction import Transaction

URL: Final = "database:"


class DatabaseArchive:
    """See `Archive`."""

    url = URL

    def __init__(self, store: Store) -> None:
        """Keep documents in `store`."""
        self._store = store
        self._sizes: dict[bytes, int] = {}

    async def probe(self) -> None:
        """Do nothing: who asks has just read from the store."""

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take pieces; see `Archive.write`."""
        packed = [(piece.run_id, piece.number, zlib.compress(piece.data)) for piece in pieces]
        await self._store.run(_write, packed)
        for run_id, number, data in packed:
            self._sizes[run_id] = len(data) + (self._sizes.get(run_id, 0) if number else 0)

    async def seal(self) -> Mapping[bytes, Kept]:
        """Return what was written: each unit of work was flushed."""
        sizes, self._sizes = self._sizes, {}
        return {run_id: Kept("", size) for run_id, size in sizes.items()}

    async def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - the contract's
        """Yield the document of a run; see `Archive.read`."""
        number = 0
        while (data := await self._store.read(_read, run_id, number)) is not None:
            yield unpacked(data)
            number += 1

    async def remove(self, runs: Sequence[tuple[bytes, str]]) -> None:
        """Forget runs."""
        await self._store.run(_remove, [run_id for run_id, _ in runs])

    async def tidy(self, known: Collection[str]) -> int:  # noqa: ARG002 - the contract's
        """Remove pieces of runs that the catalogue does not know; see `Archive.tidy`."""
        return await self._store.run(_tidy, self.url)


def unpacked(data: bytes) -> bytes:
    """Return a compressed piece as it was. Raises CorruptStore where it is damaged."""
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise CorruptStore(f"The archived run is damaged: {error}.") from error


def _write(tx: Transaction, packed: Sequence[tuple[bytes, int, bytes]]) -> None:
    tx.cursor.executemany(
        "DELETE FROM archive_parts WHERE run_id = ?", [(run_id,) for run_id, number, _ in packed if number == 0]
    )
    tx.cursor.executemany(
        "INSERT INTO archive_parts (run_id, number, data) VALUES (?, ?, ?) "
        "ON CONFLICT (run_id, number) DO UPDATE SET data = excluded.data",
        packed,
    )


def _read(tx: Transaction, run_id: bytes, number: int) -> bytes | None:
    row = tx.cursor.execute(
        "SELECT data FROM archive_parts WHERE run_id = ? AND number = ?", (run_id, number)
    ).fetchone()
    return None if row is None else bytes(row[0])


def _remove(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    tx.cursor.executemany("DELETE FROM archive_parts WHERE run_id = ?", [(run_id,) for run_id in run_ids])


def _tidy(tx: Transaction, url: str) -> int:
    tx.cursor.execute(
        "DELETE FROM archive_parts WHERE run_id IN (SELECT p.run_id FROM archive_parts p WHERE p.number = 0 "
        "AND NOT EXISTS (SELECT 1 FROM archived_runs a WHERE a.run_id = p.run_id AND a.archive = ?) LIMIT 500)",
        (url,),
    )
    return tx.cursor.rowcount
