"""Counts what a store takes of its disk, where it has a quota, and tells the log when nothing new is taken.

Each process has its own: it looks at the disks that this process writes to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.moving_files import artifacts_folder
from windlass.engine.step_cache import cache_folder
from windlass.store import upkeep

_log = logging.getLogger(__name__)

#: Seconds between two counts, and how many times as long as counting took.
PERIOD: Final = 5.0
_SHARE: Final = 20
#: Bytes of a block, as POSIX counts them in `st_blocks`.
_BLOCK: Final = 512


@dataclass(slots=True)
class Storekeeper:
    """The duty of knowing how large a store is, and whether it has room."""

    engine: Engine
    name: str = "storekeeper"
    #: What was short when it was last looked at, and told.
    _told: str | None = field(default=None)

    async def turn(self) -> float:
        """Look once; return the seconds until the next look."""
        begun = time.monotonic()
        if self.engine.room.quota is not None:
            await count(self.engine)
        short = await asyncio.to_thread(self.engine.room.shortage)
        what = None if short is None else short.what
        if what != self._told:
            self._told = what
            if short is None:
                _log.warning("There is room again: new runs are taken")
            else:
                _log.error("%s", short.sentence)
        return max(PERIOD, _SHARE * (time.monotonic() - begun))


async def count(engine: Engine) -> None:
    """Note how many bytes the database, without what is empty in it, and the files of runs take."""
    pages = await engine.store.read(upkeep.pages)
    files = await asyncio.to_thread(_taken, (artifacts_folder(engine), cache_folder(engine)))
    engine.room.used = files + (0 if pages is None else pages.size - pages.free)


def _taken(folders: Sequence[Path]) -> int:
    """Return the bytes that all files below folders take of their disks; what is removed meanwhile counts nothing.

    A file with several names, as the cache and the archive give them, counts once.
    """
    found: dict[tuple[int, int], int] = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):
                    file = Path(place, name).lstat()
                    found[file.st_dev, file.st_ino] = file.st_blocks * _BLOCK
    return sum(found.values())
