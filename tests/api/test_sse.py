"""Streams of events: kept alive, resumable, and clear about how they broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from windlass.api.sse import Sent, server_sent
from windlass.client.events import ServerEvent, server_events
from windlass.errors import Unavailable


async def events_of(source: AsyncIterator[Sent], **more: float) -> list[ServerEvent]:
    return list(server_events([chunk async for chunk in server_sent(source, **more)]))


async def two() -> AsyncIterator[Sent]:
    yield Sent("run.started", {"text": "a\nb"}, "1")
    yield Sent("run.completed", [1])


async def test_events_arrive_as_they_were_sent() -> None:
    assert await events_of(two()) == [
        ServerEvent("run.started", '{"text":"a\\nb"}', "1"),
        ServerEvent("run.completed", "[1]"),
    ]


async def test_an_error_is_the_last_event() -> None:
    async def broken() -> AsyncIterator[Sent]:
        yield Sent("a", 1)
        raise Unavailable("The store is closed.")

    last = (await events_of(broken()))[-1]
    assert (last.type, last.json()["detail"]) == ("problem", "The store is closed.")


async def test_an_unforeseen_error_shows_nothing_of_itself() -> None:
    async def broken() -> AsyncIterator[Sent]:
        yield Sent("a", 1)
        raise ZeroDivisionError("secret")

    last = (await events_of(broken()))[-1]
    assert last.type == "problem"
    assert "secret" not in last.data


async def test_silence_is_filled_and_loses_no_event() -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[Sent]:
        await go_on.wait()
        yield Sent("late", 1)

    seen: list[bytes] = []
    async for chunk in server_sent(slow(), keep_alive=0.001):
        seen.append(chunk)
        if seen.count(b": alive\n\n") == 3:
            go_on.set()
    assert seen[0] == b": begin\n\n"
    assert seen[-1] == b"event: late\ndata: 1\n\n"


async def test_closing_a_stream_closes_what_stands_behind_it() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[Sent]:
        try:
            yield Sent("a", 1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = server_sent(endless(), keep_alive=0.001)
    async for chunk in stream:
        if chunk == b": alive\n\n":
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert closed.is_set()
