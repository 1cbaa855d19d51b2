"""A home looked over: files of which nobody has said that they lie here, and those that belong to no run any more.

Programs of an earlier schema say nothing of homes, and a process may be cut off between keeping a file and telling so.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from windlass.engine.engine import Engine
from windlass.engine.homes import turn_at_home
from windlass.engine.moving_files import artifact_folder, artifacts_folder, depot_of
from windlass.engine.own_folders import is_ours, run_folders
from windlass.store import upkeep
from windlass.store.archive.archived_files import move_contents
from windlass.store.archive.depot import UNFINISHED
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.file_homes import home_address
from windlass.store.file_places import Unplaced, place_files, unplaced_files

#: Runs, and contents, that are looked at together.
_PAGE: Final = 200
_Thing = TypeVar("_Thing")


async def look_over(engine: Engine) -> None:
    """Say of what lies in our home that it does, and remove what belongs to no run, where that is only this store's."""
    home = engine.home
    if home is None:
        return
    async with turn_at_home(engine, wait=False) as ours:
        if not ours:
            return
        store = await engine.store.read(upkeep.store_identity)
        alone = await asyncio.to_thread(is_ours, artifacts_folder(engine), store)
        for page in _pages(await asyncio.to_thread(run_folders, artifacts_folder(engine))):
            await place_own(engine, page)
            if alone:
                orphans = await engine.store.read(upkeep.unknown_runs, list(page))
                await asyncio.to_thread(_drop, [artifact_folder(engine, run_id) for run_id in orphans])
        depot = await depot_of(engine, home_address(home))
        names = [name for name in await asyncio.to_thread(depot.names) if not name.startswith(UNFINISHED)]
        for some in _pages(names):
            await engine.store.run(move_contents, DATABASE, home_address(home), some)


async def place_own(engine: Engine, run_ids: Sequence[bytes]) -> None:
    """Say of files of runs of which nobody knows where they lie that they lie in our home, where they do."""
    files = await engine.store.read(unplaced_files, run_ids)
    if files and engine.home is not None:
        here = await asyncio.to_thread(_those_in, artifacts_folder(engine), files)
        await engine.store.run(place_files, engine.home, here)


def _those_in(folder: Path, files: Iterable[Unplaced]) -> list[Unplaced]:
    found = []
    for file in files:
        path = folder / file.path
        if path.is_file() and not path.is_symlink() and path.stat().st_size == file.size:
            found.append(file)
    return found


def _drop(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _pages(things: Sequence[_Thing]) -> Iterable[Sequence[_Thing]]:
    return (things[start : start + _PAGE] for start in range(0, len(things), _PAGE))
