"""Waiting for a database that is not there yet: a machine starts in no order of its own choice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from windlass.store.place import ServerPlace
from windlass.store.postgres.link import Links
from windlass.store.postgres.troubles import is_drivers, is_lost, passes, refusal

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0


async def until_it_answers(place: ServerPlace, patience: float, tell: Callable[[str], None]) -> None:
    """Return once the database at `place` lets us in; `tell` is told once what is waited for.

    Raises Unavailable where that has not come about within `patience` seconds, or where no time will bring it about: a
    user that is refused, a database that does not exist.
    """
    links = Links(place)
    end, pause, told = time.monotonic() + patience, _FIRST_PAUSE, False
    while True:
        try:
            raw = await links.dial()
        except Exception as error:
            if not is_drivers(error) and not is_lost(error):
                raise
            why = refusal(error, place.shown)
            if not passes(error) or time.monotonic() + pause > end:
                raise why from error
            if not told:
                tell(str(why))
                told = True
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads processes that start together
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            with suppress(Exception):
                await raw.close(timeout=2)
            return
