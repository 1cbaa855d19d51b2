"""The step cache kept small: results whose time is over, those over the bounds, and files that none of them needs.

Where the disk is short, no file is kept for later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from windlass.engine.engine import Engine
from windlass.engine.step_cache import cache_folder
from windlass.steps.kept_files import GRACE, drop_files
from windlass.store import step_cache as stored
from windlass.store.transaction import Transaction


async def tidy_cache(engine: Engine) -> int:
    """Remove what has no more use; return how many results those are."""
    removed = 0
    short = engine.room.shortage() is not None
    while portion := await engine.store.run(_tidied, engine, short=short):
        removed += portion
        await asyncio.sleep(0)
    folder = cache_folder(engine)
    if folder.is_dir():
        needed = await engine.store.read(stored.kept_files)
        await asyncio.to_thread(drop_files, folder, needed, age=0.0 if short else GRACE)
    return removed


async def drop_cached(engine: Engine, files: Collection[str]) -> None:
    """Remove files by their hashes that no result has any more; who keeps one of them just now works for it anew."""
    if files:
        await asyncio.to_thread(_unlink, cache_folder(engine), files)


def _unlink(folder: Path, names: Collection[str]) -> None:
    for name in names:
        with suppress(OSError):
            (folder / name).unlink()


def _tidied(tx: Transaction, engine: Engine, *, short: bool) -> int:
    largest = 0 if short else engine.settings.cache_size
    return stored.drop_expired(tx) or stored.make_room(tx, most=engine.settings.cache_entries, largest=largest)
