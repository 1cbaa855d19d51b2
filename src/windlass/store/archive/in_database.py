"""The archive that lies in the database itself: compressed pieces in a table of their own."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from windlass.errors import CorruptStore
from windlass.store.archive.archive import Entry, Kept, Piece
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

    def plan(self, runs: Sequence[tuple[bytes, int]]) -> list[str]:
        """Return the ids of the runs; see `Archive.plan`."""
        return [run_id.hex() for run_id, _ in runs]

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

    async def discard(self, names: Collection[str]) -> None:
        """Remove the documents of runs."""
        await self._store.run(_remove, [bytes.fromhex(name) for name in names])

    async def mark(self) -> str:
        """Return nothing: who has the database has the archive; see `Archive.mark`."""
        return ""

    async def set_mark(self, mark: str) -> None:
        """Do nothing."""

    async def is_empty(self) -> bool:
        """Say whether no document is there."""
        return await self._store.read(_is_empty)

    async def names(self) -> list[str]:
        """Return nothing: all that is there was noted before it was written."""
        return []

    async def entries(self, name: str) -> list[Entry]:  # noqa: ARG002 - the contract's
        """Return nothing, see `names`."""
        return []


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


def _is_empty(tx: Transaction) -> bool:
    return tx.cursor.execute("SELECT 1 FROM archive_parts LIMIT 1").fetchone() is None
