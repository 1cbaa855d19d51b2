"""Only one process builds at a time: of two that make the same index, each waits for the other, and both are undone.

Who waits asks again and again, in transactions of a moment: an index is not finished before a statement that waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from windlass.store.postgres.link import Links

#: The advisory lock of who builds ("WNBU").
_LOCK: Final = 0x574E4255
#: Seconds between two questions whether the other one has ended.
_PAUSE: Final = 1.0


@asynccontextmanager
async def alone(links: Links, connection: Any) -> AsyncIterator[None]:
    """Wait until nobody else builds, and keep others from it meanwhile; who dies keeps nobody.

    `connection` is the one to build on, without a transaction. It keeps the lock itself, unless connections are shared:
    there one more does, in a transaction that has seen nothing, so that neither indexes nor vacuum wait for it.
    """
    if not links.pooled:
        while not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):  # noqa: ASYNC110 - not ours to set
            await asyncio.sleep(_PAUSE)
        yield
        await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")
        return
    guard = await links.dial(endless=True)
    try:
        while not await _begun(guard):
            await guard.execute("ROLLBACK")
            await asyncio.sleep(_PAUSE)
        yield
        await guard.execute("ROLLBACK")
    finally:
        await guard.close(timeout=2)


async def _begun(guard: Any) -> bool:
    await guard.execute("BEGIN")
    locked = bool((await guard.fetch(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))[0][0])
    # A question is over for the server once the next one comes; until then indexes would wait for what it has seen.
    await guard.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    return locked
