"""What an attempt does when its work is done, where the machine has no descriptor or memory for it: it waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from windlass.supervisor.contract import SHORTAGES

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

#: Seconds that are waited in all, and between two tries.
PATIENCE: Final = 600.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0


def is_wanting(error: BaseException | None) -> bool:
    """Say whether an error says nothing of what was asked for, only that the machine has too little left to do it."""
    return isinstance(error, OSError) and error.errno in SHORTAGES


async def when_possible(call: Callable[[], Awaitable[_Result]], what: str) -> _Result:
    """Return what `call` gives; it is asked again for as long as the machine has too little left for it.

    `what` is told in the log of the program, once. Raises what `call` raises; the shortage itself after ten minutes.
    """
    loop = asyncio.get_running_loop()
    end, pause, told = loop.time() + PATIENCE, FIRST_PAUSE, False
    while True:
        try:
            return await call()
        except OSError as error:
            if not is_wanting(error) or loop.time() + pause > end:
                raise
            if not told:
                _log.warning("%s until it can be done: %s", what, error.strerror)
                told = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
