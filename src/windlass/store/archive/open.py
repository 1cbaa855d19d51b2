"""Open an archive by its address."""

from __future__ import annotations

from pathlib import Path

from windlass.errors import Unavailable
from windlass.store.archive.archive import Archive
from windlass.store.archive.in_database import URL, DatabaseArchive
from windlass.store.archive.in_files import FileArchive
from windlass.store.archive.in_sqlite import SqliteArchive
from windlass.store.store import Store
from windlass.store.transaction import Transaction
from windlass.store.upgrade import store_id


async def open_archive(url: str, store: Store) -> Archive:
    """Return the archive of `store` that an address names.

    Raises Unavailable where this program knows no such archive.
    """
    if url == URL:
        return DatabaseArchive(store)
    scheme, _, rest = url.partition("://")
    if scheme not in {"sqlite", "file"} or not rest.startswith("/"):
        raise Unavailable(f"This program cannot open the archive {url}.")
    identity = await store.read(_id)
    if scheme == "sqlite":
        return SqliteArchive(url, Path(rest[1:]), identity)
    return FileArchive(url, Path(rest), identity)


def _id(tx: Transaction) -> str:
    return store_id(tx.connection)
