"""The steps' lock as a new owner of a store sees it: held while an earlier owner's processes may still run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from windlass.supervisor.holding import is_held

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds between two looks; the kernel tells nobody when a lock becomes free.
_PACE: Final = 0.02


def lock_is_held(path: Path) -> bool:
    """Tell whether a supervisor holds the lock at `path`."""
    return is_held(path)


async def wait_released(path: Path) -> None:
    """Return once nobody holds the lock at `path`."""
    while is_held(path):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(_PACE)
