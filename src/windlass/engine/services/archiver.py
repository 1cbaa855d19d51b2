"""Lets final runs leave when their time has come, and keeps the database small.

Two archivers do no harm: whoever moves runs, a sweep or a return from the archive, holds the right to do so besides
(`engine.moving`), and a run leaves only as it was when its copy was verified.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from windlass.engine.archiving import sweep
from windlass.engine.engine import Engine
from windlass.store.upgrade import has_newer_schema

_log = logging.getLogger(__name__)

#: Seconds between two sweeps of a store in memory.
_MEMORY_INTERVAL: Final = 60.0
#: Seconds before the first sweep: a command that runs one job here and now does not wait for it.
_FIRST: Final = 5.0
_SHORTEST: Final = 1.0


@dataclass(slots=True)
class Archiver:
    """The duty of everything with an age."""

    engine: Engine
    name: str = "archiver"
    _begun: bool = False

    async def turn(self) -> float:
        """Sweep, but for the first time; return the seconds until the next sweep."""
        interval = max(self.engine.settings.cleanup_interval, _SHORTEST)
        if not self._begun:
            self._begun = True
            return min(interval, _FIRST)
        if await self.engine.store.read(has_newer_schema):
            return interval  # what newer programs write into rows would be lost on the way: they archive
        swept = await sweep(self.engine)
        if swept.archived or swept.deleted or swept.ended:
            told = "%d runs went to the archive (%d bytes), %d were deleted, %d left the archive"
            _log.info(told, swept.archived, swept.size, swept.deleted, swept.ended)
        return min(interval, _MEMORY_INTERVAL) if self.engine.store.kind == "memory" else interval
