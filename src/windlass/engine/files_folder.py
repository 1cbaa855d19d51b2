"""The folder in which runs keep files, where settings name one: whether it is there, and this store's.

Servers and workers of one store on several machines find each other's files where all of them have that folder. It
bears the mark of its store, so that a folder that is not mounted, or another store's, is found out before anything is
written to it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.homes import settle_home
from windlass.errors import Unavailable
from windlass.store.artifacts import files_are_shared, share_files
from windlass.store.upkeep import store_identity

#: The file whose text is the id of the store that a folder belongs to.
MARK: Final = ".windlass-store"


async def settle_files(engine: Engine) -> None:
    """Make sure that files go where those of the store are, before the first one does.

    Raises Unavailable where the settings name no folder although the store has one, and where the folder that they name
    is another store's, or none that was used before, although there is one.
    """
    shared = await engine.store.read(files_are_shared)
    if engine.settings.files_url is None:
        if shared:
            raise Unavailable(
                "The files that runs of this store keep lie in a folder that its servers and workers share: set "
                "WINDLASS_FILES_URL to file:// and its path on this machine."
            )
        if not engine.alone:
            await settle_home(engine)
        return
    store = await engine.store.read(store_identity)
    await asyncio.to_thread(_settle, engine.settings.files, store, shared=shared)
    if not shared:
        await engine.store.run(share_files)


def _settle(folder: Path, store: str, *, shared: bool) -> None:
    mark = folder / MARK
    try:
        if not shared:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                _write(mark, store)
        found = mark.read_text().strip()
    except FileNotFoundError:
        raise Unavailable(
            f"{folder} is not the folder with the files of this store: it bears no mark ({MARK}). Is it mounted?"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its mark is no text"
        raise Unavailable(f"The folder {folder} for files of runs cannot be used: {why}.") from error
    if found != store:
        raise Unavailable(
            f"The folder {folder} holds the files of another store: set WINDLASS_FILES_URL to a folder of this one."
        )


def _write(mark: Path, store: str) -> None:
    """Make the mark, whole or not at all."""
    new = mark.with_name(f"{MARK}-{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        with new.open("x") as file:
            file.write(f"{store}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(new, mark)
    finally:
        new.unlink(missing_ok=True)
