"""What is asked of the home of this process, done: files of runs removed, kept for an archive, brought back from there.

Everything here may be cut off anywhere and done again. Two who are at it in one home take turns (`turn_at_home`).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from typing import Final

from windlass.engine.archive_owner import begin_change, require_own, still_own
from windlass.engine.engine import Engine
from windlass.engine.forgetting import TROUBLE, tidy_files
from windlass.engine.homes import turn_at_home
from windlass.engine.moving import moving_runs
from windlass.engine.moving_files import artifact_folder, depot_of
from windlass.errors import CorruptStore, Unavailable
from windlass.ids import id_text
from windlass.store.archive.archived_files import Content, files_of
from windlass.store.archive.depot import Depot
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.open import is_there, open_archive
from windlass.store.archive.traces import note_traces
from windlass.store.file_errands import Answer, Errand, open_errands, say_done, say_kept, say_trouble
from windlass.store.file_homes import home_address
from windlass.store.file_places import placed_contents
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Runs whose files are seen to together.
_PAGE: Final = 50


async def run_errands(engine: Engine, only: Sequence[bytes] | None = None, *, moving: bool = False) -> None:
    """Do what is asked of our home, or what is asked about `only` these runs; what cannot be done now is told and left.

    `moving` says that we have the right to move runs, and waits for our turn in the home.
    """
    home = engine.home
    if home is None:
        return
    async with turn_at_home(engine, wait=moving) as ours:
        if not ours:
            return
        after = b""
        while found := await engine.store.read(open_errands, home, after, _PAGE, only):
            for errand in found:
                if errand.what != "archive":
                    await _move(engine, home, errand)
            for archive in sorted({errand.archive or "" for errand in found if errand.what == "archive"}):
                theirs = [errand for errand in found if errand.what == "archive" and errand.archive == archive]
                await _try_to_keep(engine, home, archive, theirs, moving=moving)
            after = found[-1].run_id
        if only is None:
            await tidy_files(engine, home_address(home))


async def _move(engine: Engine, home: str, errand: Errand) -> None:
    try:
        if errand.what == "remove":
            await _remove(engine, errand.run_id)
        else:
            await _return(engine, home, errand.run_id)
        await engine.store.run(say_done, home, errand)
    except TROUBLE as error:
        await engine.store.run(say_trouble, home, errand.run_id, str(error))


async def _remove(engine: Engine, run_id: bytes) -> None:
    folder = artifact_folder(engine, run_id)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    if await asyncio.to_thread(folder.exists):
        raise Unavailable(f"Not all files of run {id_text(run_id)} could be removed from {folder}.")


async def _return(engine: Engine, home: str, run_id: bytes) -> None:
    address = home_address(home)
    contents = [one for one in await engine.store.read(files_of, run_id) if one.place == address]
    depot, folder = await depot_of(engine, address), artifact_folder(engine, run_id)
    for content in contents:
        await asyncio.to_thread(depot.check, content.sha256)
        await asyncio.to_thread(depot.give, content.sha256, folder / content.sha256)
    if contents:
        await asyncio.to_thread(Depot(folder).settle)


async def _try_to_keep(engine: Engine, home: str, url: str, errands: Sequence[Errand], *, moving: bool) -> None:
    """Keep files of runs; what is in the way is told, and holds up nothing else but who moves these runs just now."""
    try:
        await _keep_all(engine, home, url, errands, moving=moving)
    except TROUBLE as error:
        if moving:
            raise
        for errand in errands:
            await engine.store.run(say_trouble, home, errand.run_id, str(error))


async def _keep_all(engine: Engine, home: str, url: str, errands: Sequence[Errand], *, moving: bool) -> None:
    """Keep files of runs for an archive: in its own folder where that can be reached from here, else in our home."""
    if url == DATABASE:
        await _keep(engine, home, home_address(home), errands)
    elif moving:  # documents of runs are about to go there too
        await _keep_there(engine, home, url, errands)
    elif not await _is_ours(engine, url):
        await _keep(engine, home, home_address(home), errands)
    else:
        async with moving_runs(engine, wait=False) as ours:
            if ours:
                await _keep_there(engine, home, url, errands)


async def _is_ours(engine: Engine, url: str) -> bool:
    """Say whether an archive is there, on this machine, and this store's."""
    try:
        if not await is_there(url, engine.store):
            return False
        return bool(await require_own(engine, await open_archive(url, engine.store)))
    except TROUBLE as error:
        _log.warning("Files of runs stay in this home, and do not go to their archive: %s", error)
        return False


async def _keep_there(engine: Engine, home: str, url: str, errands: Sequence[Errand]) -> None:
    archive = await open_archive(url, engine.store)
    wanted = await engine.store.read(placed_contents, [errand.run_id for errand in errands])
    names = {content.sha256 for by_home in wanted.values() for content in by_home.get(home, ())}
    await begin_change(engine, archive, (), sorted(names))
    await _keep(engine, home, url, errands)
    await still_own(engine, archive)


async def _keep(engine: Engine, home: str, place: str, errands: Sequence[Errand]) -> None:
    ids = [errand.run_id for errand in errands]
    wanted = await engine.store.run(_note, home, place, ids)
    depot = await depot_of(engine, place)
    for errand in errands:
        contents = wanted.get(errand.run_id, [])
        try:
            answer = await asyncio.to_thread(_taken, engine, depot, place, errand.run_id, contents)
            await engine.store.run(say_kept, home, errand, answer)
        except CorruptStore as error:
            _log.error("%s Its run stays where it is", error)
            await engine.store.run(say_trouble, home, errand.run_id, str(error))


def _note(tx: Transaction, home: str, place: str, run_ids: Sequence[bytes]) -> dict[bytes, list[Content]]:
    """Note what is about to be kept, so that it goes again where its run does not leave; return it."""
    found = {run_id: by_home.get(home, []) for run_id, by_home in placed_contents(tx, run_ids).items()}
    note_traces(tx, place, "file", [content.sha256 for contents in found.values() for content in contents])
    return found


def _taken(engine: Engine, depot: Depot, place: str, run_id: bytes, contents: Sequence[Content]) -> Answer:
    folder = artifact_folder(engine, run_id)
    kept = {content.sha256 for content in contents if depot.take(folder / content.sha256, content.sha256)}
    gone = {content.sha256 for content in contents} - kept
    for sha256 in sorted(gone):
        _log.warning("The kept file %s is gone; its run is archived without it", folder / sha256)
    depot.settle()
    return Answer(place, frozenset(kept), frozenset(gone))
