"""Counts what a store takes of its disk, where it has a quota."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.moving_files import artifacts_folder
from windlass.engine.step_cache import cache_folder
from windlass.store import upkeep

#: Seconds between two counts, and how many times as long as counting took.
PERIOD: Final = 5.0
_SHARE: Final = 20


@dataclass(slots=True)
class Storekeeper:
    """The duty of knowing how large a store is."""

    engine: Engine
    name: str = "storekeeper"

    async def turn(self) -> float:
        """Count once; return the seconds until the next count."""
        begun = time.monotonic()
        await count(self.engine)
        return max(PERIOD, _SHARE * (time.monotonic() - begun))


async def count(engine: Engine) -> None:
    """Note how many bytes the database, without what is empty in it, and the files of runs take."""
    pages = await engine.store.read(upkeep.pages)
    files = await asyncio.to_thread(
        lambda: sum(_sizes(artifacts_folder(engine))) + sum(_sizes(cache_folder(engine), alone=True))
    )
    engine.room.used = files + (0 if pages is None else pages.size - pages.free)


def _sizes(folder: Path, *, alone: bool = False) -> Iterator[int]:
    """Yield the sizes of all files below a folder; what is removed meanwhile counts nothing.

    `alone` leaves out files that have another name elsewhere.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = Path(place, name).lstat()
            except OSError:
                continue
            if not alone or found.st_nlink == 1:
                yield found.st_size
