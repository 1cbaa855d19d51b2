"""Files of runs on their way to the archive and back: verified there before they are removed here."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from windlass.engine.engine import Engine
from windlass.errors import CorruptStore
from windlass.ids import id_text
from windlass.store.archive.archived_files import Content, files_of, files_to_move
from windlass.store.archive.depot import Depot
from windlass.store.archive.open import open_depot

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
    is left out. Raises Unavailable where the archive takes no file.
    """
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


async def bring_files_back(engine: Engine, url: str, run_id: bytes) -> None:
    """Write the files that an archive has of a run to where they were. Raises Unavailable where that cannot be done."""
    contents = await engine.store.read(files_of, run_id)
    depot = await depot_of(engine, url)
    folder = artifact_folder(engine, run_id)
    for content in contents:
        await asyncio.to_thread(depot.give, content.sha256, folder / content.sha256)
    if contents:
        await asyncio.to_thread(Depot(folder).settle)


async def check_files(engine: Engine, url: str, run_id: bytes) -> None:
    """Raise CorruptStore where a file that an archive has of a run is damaged or gone."""
    contents = await engine.store.read(files_of, run_id)
    depot = await depot_of(engine, url)
    for content in contents:
        await asyncio.to_thread(depot.check, content.sha256)


async def drop_moved(engine: Engine, run_id: bytes, *, archived: bool) -> None:
    """Remove the files of a run that has left; those of an archived one only where the archive has them."""
    kept = not archived or bool(await engine.store.read(files_of, run_id))
    if kept:
        await remove_files(engine, run_id)
