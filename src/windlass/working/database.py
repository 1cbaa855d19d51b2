"""The start of a server or a worker whose database is not there yet."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.settings import Settings
    from windlass.store.place import ServerPlace

_log = logging.getLogger(__name__)


async def database_answers(server: ServerPlace, settings: Settings, asked: asyncio.Event) -> bool:
    """Wait for a database as long as the settings say; False where this was asked to end before.

    Raises Unavailable where it does not come, or where waiting does not help.
    """
    from windlass.store.postgres.awaiting import until_it_answers  # noqa: PLC0415 - costs what no other store needs

    def tell(why: str) -> None:
        _log.warning("Waiting up to %g s (WINDLASS_DATABASE_WAIT) for the database: %s", settings.database_wait, why)

    waiting = asyncio.create_task(until_it_answers(server, settings.database_wait, tell))
    ending = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait([waiting, ending], return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            await waiting
    finally:
        for one in (waiting, ending):
            one.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)
    return not asked.is_set()
