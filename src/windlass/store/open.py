"""Open a store by its URL: owned, looked at, made or upgraded."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sqlalchemy.exc import DBAPIError

from windlass.clock import Clock
from windlass.errors import Conflict, Unavailable
from windlass.store.moved import move_of
from windlass.store.owner import WAIT, Ownership, own
from windlass.store.place import SchemaUse, ServerPlace, store_place
from windlass.store.soundness import examine
from windlass.store.sqlite import NEW_PRAGMAS, SqliteStore
from windlass.store.store import Store
from windlass.store.upgrade import APPLICATION_ID, Upgrade, store_id, upgrade
from windlass.uninterrupted import uninterrupted

#: Bytes up to which a database is checked page by page before each use: some ten milliseconds at most.
_CHECKED_ALWAYS: Final = 8 << 20
#: Free bytes without which SQLite cannot open a database.
_ROOM: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store and the right to use it; an async context manager that closes both."""

    store: Store
    #: Stays the same from one opening to the next.
    id: str
    #: None where the store is in memory, or others use it at the same time.
    ownership: Ownership | None
    #: What opening it did to its schema.
    upgrade: Upgrade
    #: True where other processes work on the store at the same time; what is owned is the place of files then.
    shared: bool = False

    @property
    def alone(self) -> bool:
        """True where no other process can be on the store: its file is owned, or it is in memory."""
        return not self.shared

    def require_here(self) -> None:
        """Raise Conflict where the store goes on in another database: nobody may work on it here."""
        if self.store.moved is not None:
            raise Conflict(self.store.moved)

    async def close(self) -> None:
        """Close the store and let go of the database; closing twice is fine."""
        if self.ownership is None:
            await self.store.close()
            return
        try:
            self.ownership.closing()
            await self.store.close()
        finally:
            self.ownership.release()

    async def __aenter__(self) -> Self:
        """Return this."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()


async def open_store(
    url: str,
    *,
    version: str,
    wait: float = WAIT,
    clock: Clock | None = None,
    verify: bool = False,
    schema: SchemaUse = "brought up",
) -> OpenStore:
    """Open the store that `url` names, with its schema as `schema` says; see `open_owned` for `verify`.

    Raises UserError where the URL is wrong, Unavailable where another process holds the store for longer than `wait`
    seconds, and what `open_owned` raises.
    """
    place = store_place(url)
    if place.server is not None:
        return await open_shared(place.server, clock=clock, schema=schema)
    if place.path is None:
        store = SqliteStore(":memory:", clock=clock)
        done = upgrade(store)
        return OpenStore(store, store_id(store.connection), None, done)
    ownership = await own(place.path, version=version, wait=wait, clock=clock)
    return await open_owned(ownership, clock=clock, verify=verify)


async def open_shared(
    place: ServerPlace,
    ownership: Ownership | None = None,
    *,
    clock: Clock | None = None,
    schema: SchemaUse = "brought up",
) -> OpenStore:
    """Open the store in a database server; with `ownership` of `node_path` also to work on it and to be reached.

    Raises Unavailable where it cannot be opened, Refused where its user lacks a right; the ownership is released then.
    """
    from windlass.store.postgres.opening import open_server  # noqa: PLC0415 - costs what no other store needs

    try:
        store, identity, done = await open_server(place, clock=clock, schema=schema)
    except BaseException:
        if ownership is not None:
            ownership.release()
        raise
    if ownership is not None:
        ownership.opened(identity)
    return OpenStore(store, identity, ownership, done, shared=True)


async def open_owned(ownership: Ownership, *, clock: Clock | None = None, verify: bool = False) -> OpenStore:
    """Open the database that `ownership` holds; `verify` reads every page of it first, however large it is.

    Raises CorruptStore where it is damaged or another program's, Unavailable where it cannot be read or is of a newer
    program. It is left as it was then, and the ownership is released.
    """
    try:
        await uninterrupted(asyncio.to_thread(_prepare, ownership, verify=verify))
        store = SqliteStore(str(ownership.database), clock=clock)
        try:
            done = await uninterrupted(asyncio.to_thread(upgrade, store))
            identity = store_id(store.connection)
            move = move_of(store.connection)
            store.moved = None if move is None else move.sentence
            ownership.opened(identity)
        except BaseException:
            await store.close()
            raise
    except (sqlite3.Error, DBAPIError) as error:
        ownership.release()
        raise _not_opened(ownership.database, error) from error
    except Unavailable as error:
        ownership.release()
        cause = getattr(error.__cause__, "orig", error.__cause__)
        if isinstance(cause, sqlite3.OperationalError) and _is_full(ownership.database, cause):
            raise _not_opened(ownership.database, cause) from error
        raise
    except BaseException:
        ownership.release()
        raise
    return OpenStore(store, identity, ownership, done)


def _prepare(ownership: Ownership, *, verify: bool) -> None:
    path = ownership.database
    pages = verify or (path.exists() and path.stat().st_size <= _CHECKED_ALWAYS)
    new = examine(path, ownership.note, pages=pages)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        if new:
            _mark(path)
    except (OSError, sqlite3.Error) as error:
        raise _not_opened(path, error) from error


def _not_opened(path: Path, error: Exception) -> Unavailable:
    """Return what to say of a database that cannot be opened: SQLite calls a full disk an I/O error then."""
    cause = getattr(error, "orig", error)
    if _is_full(path, cause):
        return Unavailable(
            f"The disk of the database {path} is full: nothing was changed; free some space and try again."
        )
    return Unavailable(f"The database {path} cannot be written: {cause}.")


def _is_full(path: Path, cause: Exception) -> bool:
    if isinstance(cause, OSError):
        return cause.errno in {errno.ENOSPC, errno.EDQUOT}
    return "full" in str(cause) or ("I/O" in str(cause) and shutil.disk_usage(path.parent).free < _ROOM)


def _mark(path: Path) -> None:
    """Write our mark into an empty database, so that it is known as ours before anything else stands in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in NEW_PRAGMAS:
            connection.execute(pragma)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
