"""The home of this process as others know it, where files of runs lie in homes: what it calls itself, and whose turn.

A store that several processes share, and that has no folder for files in common, has files in as many homes as there
are. Only who works in a home can do anything with what lies there.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.own_folders import note_database
from windlass.errors import Unavailable
from windlass.store.file_homes import see_home
from windlass.store.lockfile import LockFile
from windlass.store.place import store_place
from windlass.store.transaction import Transaction, beside_others
from windlass.store.upkeep import store_identity

#: The file whose text is what the home of a folder with files of runs calls itself.
MARK: Final = ".windlass-home"
_LOCK: Final = ".windlass-home.lock"
_BYTES: Final = 8
_NAME: Final = re.compile(r"[0-9a-f]{16}")
#: Seconds between two tries to get the turn in a home.
_AGAIN: Final = 0.05


async def settle_home(engine: Engine) -> None:
    """Let the home of this process have its name, given when it is first used, and be known to the store.

    Raises Unavailable where the name cannot be written or read.
    """
    server = store_place(engine.settings.database_url).server
    database = "postgresql" if server is None else f"postgresql-{server.mark}"
    store = await engine.store.read(store_identity)
    engine.home = await asyncio.to_thread(_name_of, engine.settings.files / "artifacts", database, store)
    await be_seen(engine, engine.home)


async def be_seen(engine: Engine, home: str) -> None:
    """Tell the store that somebody works in this home."""
    folder = str(engine.settings.files.resolve())
    await engine.store.run(_seen, home, socket.gethostname(), folder)


# Beside others: one row, which only those change who work in that home, and each of them says the same.
@beside_others
def _seen(tx: Transaction, home: str, host: str, folder: str) -> None:
    see_home(tx, home, host, folder)


@asynccontextmanager
async def turn_at_home(engine: Engine, *, wait: bool = True) -> AsyncIterator[bool]:
    """Do something with the files of this home that nobody else of it does meanwhile; say whether it is our turn.

    Without `wait` it is not where another process, or this one elsewhere, is at it. Raises as `LockFile` does.
    """
    lock = LockFile(engine.settings.files / "artifacts" / _LOCK)
    try:
        ours = lock.take()
        while wait and not ours:
            await asyncio.sleep(_AGAIN)  # the kernel tells nobody that a lock is free without holding a thread
            ours = lock.take()
        yield ours
    finally:
        lock.close()


def _name_of(folder: Path, database: str, store: str) -> str:
    mark = folder / MARK
    try:
        if not mark.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # another process of the home was quicker
                _write(mark, secrets.token_hex(_BYTES))
        note_database(folder, database, store)
        found = mark.read_text().strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Unavailable(f"The name of the home cannot be kept in {mark}: {why}.") from error
    if not _NAME.fullmatch(found):
        raise Unavailable(f"What stands in {mark} is no name of a home: bring it back from a backup, or remove it.")
    return found


def _write(mark: Path, name: str) -> None:
    """Make the mark, whole or not at all. Raises FileExistsError where there is one."""
    new = mark.with_name(f"{MARK}-{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        with new.open("x") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(new, mark)
    finally:
        new.unlink(missing_ok=True)
