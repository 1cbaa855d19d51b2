"""Open an archive by its address."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from windlass.errors import Unavailable, UserError
from windlass.store.archive.archive import Archive
from windlass.store.archive.catalogue import held_by
from windlass.store.archive.depot import Depot
from windlass.store.archive.in_database import URL, DatabaseArchive
from windlass.store.archive.in_files import FileArchive
from windlass.store.archive.in_sqlite import SqliteArchive
from windlass.store.archive.trying import exists
from windlass.store.file_homes import home_at
from windlass.store.store import Store
from windlass.store.transaction import Transaction
from windlass.store.upgrade import store_id

PARQUET: Final = "parquet"
#: What brings the library for it, in the environment of this program.
INSTALL: Final = "pip install 'pyarrow>=26'"
#: The folder among those of runs with the files of archived ones.
ARCHIVED: Final = "archived"


async def open_archive(url: str, store: Store) -> Archive:
    """Return the archive of `store` that an address names.

    Raises Unavailable where this program knows no such archive, UserError where it lacks what that one needs.
    """
    if url == URL:
        return DatabaseArchive(store)
    scheme, _, rest = url.partition("://")
    if scheme not in {"sqlite", "file", PARQUET} or not rest.startswith("/"):
        raise Unavailable(f"This program cannot open the archive {url}.")
    identity = await store.read(_id)
    if scheme == "sqlite":
        return SqliteArchive(url, Path(rest[1:]), identity)
    if scheme == PARQUET:
        require_parquet(url)
        from windlass.store.archive.in_parquet import ParquetArchive  # noqa: PLC0415 - an extra, and 100 ms to import

        return ParquetArchive(url, Path(rest), identity)
    return FileArchive(url, Path(rest), identity)


def require_parquet(url: str) -> None:
    """Raise UserError where the archive with this address is in Parquet, and what writes that is not installed."""
    if url.startswith(f"{PARQUET}:") and find_spec("pyarrow") is None:
        raise UserError(
            f"The archive {url} needs pyarrow, which is not installed: run `{INSTALL}`, "
            "or set WINDLASS_ARCHIVE_URL to file:///FOLDER."
        )


async def refuse_missing(url: str, store: Store, until: str = "until then no run leaves") -> None:
    """Raise Unavailable where an archive outside of the database is gone although runs are in it.

    Its disk may not be mounted: another archive made in its place would part what belongs together. `until` ends the
    sentence, and says what that means for who asks.
    """
    if url == URL:
        return
    path = await _path(url, store)
    if await asyncio.to_thread(exists, path):
        return
    held = await store.read(held_by, url)
    if held:
        raise Unavailable(
            f"The archive {path} is gone although {held:,} runs are in it: mount its disk, or bring it back from a "
            f"backup; {until}."
        )


async def is_there(url: str, store: Store) -> bool:
    """Say whether there is anything where an archive outside of the database would be."""
    return await asyncio.to_thread(exists, await _path(url, store))


async def _path(url: str, store: Store) -> Path:
    scheme, _, rest = url.partition("://")
    return Path(rest[1:]) if scheme == "sqlite" else Path(rest) / await store.read(_id)


async def try_archive(url: str, store: Store) -> None:
    """See that runs could leave for the archive with this address now; leaves nothing there.

    Raises Unavailable, CorruptStore or UserError where they could not.
    """
    archive = await open_archive(url, store)
    await refuse_missing(url, store)
    await archive.probe()


async def open_depot(url: str, store: Store, artifacts: Path) -> Depot:
    """Return where the archive that an address names keeps the files of runs.

    `artifacts` is where those of the store are: the archive in the database keeps its files there too, and so does a
    home what it keeps for any archive.
    """
    if url == URL or home_at(url) is not None:
        return Depot(artifacts / ARCHIVED)
    scheme, _, rest = url.partition("://")
    identity = await store.read(_id)
    return Depot(Path(f"{rest[1:]}.files") / identity if scheme == "sqlite" else Path(rest) / identity / "files")


def _id(tx: Transaction) -> str:
    return store_id(tx.connection)
