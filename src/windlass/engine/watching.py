"""Reading events as they come: a cursor over the event table that waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

from windlass.engine.engine import Engine
from windlass.model.event import Event
from windlass.store.events import before_last, events_after, newest

#: Seconds between looks when no hint comes.
POLL = 1.0


async def newest_cursor(engine: Engine) -> int:
    """Return a cursor after which only events of the future come."""
    return await engine.store.read(newest)


async def cursor_before_last(
    engine: Engine, count: int, types: Collection[str] = (), *, project: str | None = None, job: str | None = None
) -> int:
    """Return a cursor after which the last `count` events of a kind come, and a few more; see `before_last`."""
    return await engine.store.read(before_last, count, types, project=project, job=job)


async def events(
    engine: Engine, after: int, *, run_id: bytes | None = None, types: Collection[str] = (), follow: bool = True
) -> AsyncIterator[Event]:
    """Yield events after the cursor, those of one run or of all, of `types` or of every type.

    Without `follow` it ends at the newest event; with it, it waits for more, and ends only when it is closed.
    """
    changed = asyncio.Event()
    forget = engine.store.on_hint("events", changed.set)
    try:
        while True:
            changed.clear()
            found = await engine.store.read(events_after, after, run_id=run_id)
            for event in found:
                after = event.seq
                if not types or event.type in types:
                    yield event
            if not found:
                if not follow:
                    return
                await _wait(changed)
    finally:
        forget()


async def _wait(changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL):
            await changed.wait()
    except TimeoutError:
        return
