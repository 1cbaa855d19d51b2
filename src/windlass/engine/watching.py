"""Reading events as they come: a cursor over the event table that waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

from windlass.engine.engine import Engine
from windlass.model.event import Event
from windlass.store import event_cursor
from windlass.store.event_cursor import BEGINNING
from windlass.store.events import before_last, read_events

#: Seconds between looks when no hint comes.
POLL = 1.0


async def newest_cursor(engine: Engine) -> str:
    """Return a cursor after which only events of the future come."""
    return await engine.store.read(event_cursor.newest_cursor)


async def given_cursor(engine: Engine, text: str) -> str:
    """Return a cursor that somebody gave. Raises UserError where it is none that this store gives."""
    return await engine.store.read(event_cursor.given_cursor, text)


async def cursor_before_last(
    engine: Engine, count: int, types: Collection[str] = (), *, project: str | None = None, job: str | None = None
) -> str:
    """Return a cursor after which the last `count` events of a kind come, and a few more; see `before_last`."""
    return await engine.store.read(before_last, count, types, project=project, job=job)


async def events(
    engine: Engine,
    cursor: str = BEGINNING,
    *,
    run_id: bytes | None = None,
    types: Collection[str] = (),
    follow: bool = True,
) -> AsyncIterator[Event]:
    """Yield events that follow a cursor, those of one run or of all, of `types` or of every type.

    Without `follow` it ends at the newest event; with it, it waits for more, and ends only when it is closed.
    """
    async for page in event_pages(engine, cursor, run_id=run_id, types=types, follow=follow):
        for event in page:
            yield event


async def event_pages(
    engine: Engine,
    cursor: str = BEGINNING,
    *,
    run_id: bytes | None = None,
    types: Collection[str] = (),
    follow: bool = True,
) -> AsyncIterator[list[Event]]:
    """Yield what `events` does, as many at a time as were read at once."""
    changed = asyncio.Event()
    forget = engine.store.on_hint("events", changed.set)
    try:
        while True:
            changed.clear()
            found, cursor = await engine.store.read(read_events, cursor, run_id=run_id)
            if page := [event for event in found if not types or event.type in types]:
                yield page
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
