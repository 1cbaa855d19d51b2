"""Files of runs on their way to the archive and back: verified there before they are removed here."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from windlass.engine.engine import Engine
from windlass.engine.homes import turn_at_home
from windlass.errors import CorruptStore
from windlass.ids import id_text
from windlass.store.archive.archived_files import Content, files_of, files_to_move
from windlass.store.archive.depot import Depot
from windlass.store.archive.open import open_depot
from windlass.store.file_answers import gathered
from windlass.store.file_errands import ask, drop_asked
from windlass.store.file_homes import home_at, homes
from windlass.store.file_places import placed_contents
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)


def artifacts_folder(engine: Engine) -> Path:
    """Return where the files of all runs are."""
    return engine.settings.files / "artifacts"


def artifact_folder(engine: Engine, run_id: bytes) -> Path:
    """Return where the files of a run are."""
    return artifacts_folder(engine) / id_text(run_id)


async def remove_files(engine: Engine, run_id: bytes) -> bool:
    """Remove the files of a run; False where some of them stay: `windlass doctor --repair` tries it again."""
    folder = artifact_folder(engine, run_id)

    def remove() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    gone = await asyncio.to_thread(remove)
    if not gone:
        _log.warning("Not all files of run %s could be removed from %s", id_text(run_id), folder)
    return gone


async def remove_strays(engine: Engine, run_ids: Sequence[bytes]) -> None:
    """Remove the files of final runs that have none by their rows: left by attempts that were lost before their end."""
    kept = await engine.store.read(files_to_move, run_ids)
    folders = [artifact_folder(engine, run_id) for run_id in run_ids if run_id not in kept]

    def remove() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    await asyncio.to_thread(remove)


async def depot_of(engine: Engine, url: str) -> Depot:
    """Return where the archive with this address keeps files."""
    return await open_depot(url, engine.store, artifacts_folder(engine))


async def copy_files(engine: Engine, url: str, run_ids: Sequence[bytes]) -> dict[bytes, list[Content] | None]:
    """Copy the files of runs to an archive, each content once; return what it has of each run that has any.

    None stands for a run with a file that is not what it was, or whose copy is not: it must stay. A file that is gone
    is left out. Where files lie in homes they have been kept before, and nothing is copied here.
    Raises Unavailable where the archive takes no file.
    """
    if engine.home is not None:
        return await engine.store.read(gathered, run_ids)
    wanted = await engine.store.read(files_to_move, run_ids)
    if not wanted:
        return {}
    depot = await depot_of(engine, url)
    found: dict[bytes, list[Content] | None] = {}
    for run_id, contents in wanted.items():
        found[run_id] = await asyncio.to_thread(_take, depot, artifact_folder(engine, run_id), contents)
    await asyncio.to_thread(depot.settle)
    return found


def _take(depot: Depot, folder: Path, contents: Iterable[Content]) -> list[Content] | None:
    taken: list[Content] = []
    try:
        for content in contents:
            if depot.take(folder / content.sha256, content.sha256):
                taken.append(content)
            else:
                _log.warning("The kept file %s is gone; its run is archived without it", folder / content.sha256)
    except CorruptStore as error:
        _log.error("%s Its run stays where it is", error)
        return None
    return taken


async def bring_files_back(engine: Engine, run_id: bytes) -> dict[str, str | None]:
    """Write the files that an archive has of a run to where they were; return the home in which each content is then.

    What other homes have kept they are asked to bring back. Raises Unavailable where that cannot be done here.
    """
    contents = await engine.store.read(files_of, run_id)
    away = {home for content in contents if (home := _other_home(engine, content)) is not None}
    if engine.home is not None:
        await engine.store.run(_ask_return, engine.home, run_id, away)
    if any(_other_home(engine, content) is None for content in contents):
        async with turn_at_home(engine) if engine.home is not None else nullcontext():
            await _give_back(engine, run_id, contents)
    return {content.sha256: _other_home(engine, content) or engine.home for content in contents}


async def _give_back(engine: Engine, run_id: bytes, contents: Sequence[Content]) -> None:
    folder = artifact_folder(engine, run_id)
    for content in contents:
        if _other_home(engine, content) is None:
            depot = await depot_of(engine, content.place)
            await asyncio.to_thread(depot.give, content.sha256, folder / content.sha256)
    await asyncio.to_thread(Depot(folder).settle)


def _ask_return(tx: Transaction, own: str, run_id: bytes, away: Collection[str]) -> None:
    drop_asked(tx, [run_id], own)
    for home in sorted(away):
        ask(tx, home, run_id, "return")


async def check_files(engine: Engine, run_id: bytes) -> None:
    """Raise CorruptStore where a file that an archive has of a run is damaged or gone.

    What other homes keep they look at themselves when they bring it back.
    """
    for content in await engine.store.read(files_of, run_id):
        if _other_home(engine, content) is None:
            depot = await depot_of(engine, content.place)
            await asyncio.to_thread(depot.check, content.sha256)


def _other_home(engine: Engine, content: Content) -> str | None:
    """Return the home that keeps a content where that is another than ours."""
    home = home_at(content.place)
    return None if home is None or engine.home is None or home == engine.home else home


async def drop_moved(engine: Engine, run_id: bytes, *, archived: bool) -> None:
    """Remove the files of a run that has left; those of an archived one only where the archive has them.

    What lies in homes of others their owners are asked to remove.
    """
    kept = not archived or bool(await engine.store.read(files_of, run_id))
    if kept:
        if engine.home is not None:
            await engine.store.run(ask_removal, engine.home, [run_id])
        await remove_files(engine, run_id)


def ask_removal(tx: Transaction, own: str, run_ids: Sequence[bytes]) -> None:
    """Ask the owners of all homes but our `own` to remove the files of runs, in place of all that was asked before.

    Of a home that was forgotten nothing is asked: should it come back, it is looked over.
    """
    placed = placed_contents(tx, run_ids)
    known = homes(tx)
    drop_asked(tx, run_ids)
    for run_id in run_ids:
        for home in placed.get(run_id, ()):
            if home not in {None, own} and not (home in known and known[home].forgotten_at is not None):
                ask(tx, home, run_id, "remove")
