"""Removing what archives have of runs that somebody, or a policy, wants deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from windlass.engine.engine import Engine
from windlass.engine.moving_files import depot_of
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.store.archive.archived_files import unknown_contents
from windlass.store.archive.catalogue import Copy
from windlass.store.archive.open import open_archive

_log = logging.getLogger(__name__)


async def forget_copies(engine: Engine, copies: Sequence[Copy]) -> None:
    """Remove copies of which the catalogue knows no more.

    What cannot be removed now goes with a sweep: an archive that is not there, and files while others are on their way.
    """
    by_url: dict[str, list[Copy]] = {}
    for copy in copies:
        by_url.setdefault(copy.archive, []).append(copy)
    for url, found in by_url.items():
        try:
            archive = await open_archive(url, engine.store)
            await archive.remove([(copy.run_id, copy.place) for copy in found])
        except (Unavailable, CorruptStore, UserError) as error:
            _log.warning("%s What is there of %d deleted runs goes with a later clean-up", error, len(found))


async def forget_contents(engine: Engine, copies: Sequence[Copy]) -> None:
    """Remove the files of copies of which the catalogue knows no more, unless a sweep is about to do so anyway.

    The archiver must stand still: it keeps contents before the catalogue knows of them.
    """
    if engine.archiving.locked():
        return
    async with engine.archiving:
        for copy in copies:
            if copy.contents:
                names = await engine.store.read(unknown_contents, copy.archive, sorted(copy.contents))
                depot = await depot_of(engine, copy.archive)
                await asyncio.to_thread(depot.remove, names)
