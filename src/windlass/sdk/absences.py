"""Following through the absence of the store: told once, waited for, and gone on with what came after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

from windlass.errors import ServerGone, Unavailable, UserError

_log = logging.getLogger(__name__)

#: Seconds that an absence may last, unless the application says otherwise.
RECONNECT: Final = 60.0
#: Seconds between two looks whether the store is back.
_PAUSE: Final = 0.1

Items = AsyncIterator[dict[str, Any]]


class Reachable(Protocol):
    """What of a backend is needed here."""

    closed: bool

    def newest(self) -> Awaitable[str]:
        """Look at the store. Raises Unavailable."""
        ...


def checked(seconds: Any) -> float:
    """Return how long to wait for a store that is away. Raises UserError where that is no number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise UserError(f"reconnect is how many seconds a store that is away is waited for, not {seconds!r:.80}.")
    return float(seconds)


async def through_absences(begin: Callable[[], Items], backend: Reachable, reconnect: float) -> Items:
    """Yield what `begin` gives; after an absence of the store it is called again, to go on behind what was yielded.

    Raises Unavailable where an absence lasts longer than `reconnect` seconds, or the application is closed.
    """
    while True:
        try:
            async with aclosing(begin()) as items:  # type: ignore[type-var]
                async for item in items:
                    yield item
                return
        except Unavailable as error:
            if backend.closed or not reconnect or type(error) not in {Unavailable, ServerGone}:
                raise
            away = error
        await _until_back(backend, away, reconnect)


async def _until_back(backend: Reachable, error: Unavailable, reconnect: float) -> None:
    _log.warning("The store cannot be reached, tried again for %g s: %s", reconnect, error)
    loop = asyncio.get_running_loop()
    end = loop.time() + reconnect
    while loop.time() < end:
        await asyncio.sleep(_PAUSE)
        try:
            await backend.newest()
        except Unavailable:
            if backend.closed:
                raise
        else:
            _log.warning("The store can be reached again")
            return
    raise Unavailable(f"The store did not come back within {reconnect:g} s: {error}") from error
