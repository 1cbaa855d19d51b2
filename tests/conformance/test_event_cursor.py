"""Cursors of the event table: who goes on with the cursor that he got misses nothing and reads nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.world import embedded_worlds
from tests.oracle.world import World
from windlass.errors import UserError
from windlass.model.event import end_of_fact
from windlass.store.event_cursor import BEGINNING, cursor_behind, following, given_cursor, newest_cursor
from windlass.store.events import events_after, told_outside
from windlass.store.tables import events
from windlass.store.transaction import Transaction


async def tell(world: World, count: int) -> None:
    """Keep so many events from outside."""

    def unit(tx: Transaction) -> None:
        for _ in range(count):
            told_outside(tx, "x.y", '{"project":"default","source":"","data":{}}')

    await world.engine.store.run(unit)


async def forget(world: World, first: int, last: int) -> None:
    """Delete facts, as runs that leave do."""
    await world.engine.store.run(
        lambda tx: tx.cursor.execute("DELETE FROM events WHERE seq BETWEEN ? AND ?", (first, last))
    )


def numbers(tx: Transaction, cursor: str, most: int | None) -> tuple[list[int], Any]:
    """Return the facts that follow a cursor, by text and by expression, and where a reader stands then."""
    span = following(tx, cursor, most)
    where, values = span.sql("e.")
    by_text = [row[0] for row in tx.cursor.execute(f"SELECT seq FROM events e WHERE {where} ORDER BY seq", values)]  # noqa: S608 - constants
    by_clause = list(tx.connection.execute(select(events.c.seq).where(span.clause()).order_by(events.c.seq)).scalars())
    assert by_clause == by_text
    return by_text, span


# How it is on PostgreSQL, where a cursor is a snapshot: tests/store/postgres/test_event_cursor.py.
@embedded_worlds
@pytest.mark.parametrize("most", [None, 1, 2, 3, 7, 100])
async def test_pages_hold_everything_once_whatever_left_in_between(world: World, most: int | None) -> None:
    store = world.engine.store
    await tell(world, 30)
    await forget(world, 1, 4)
    await forget(world, 9, 25)
    seen: list[int] = []
    cursor, left = BEGINNING, 1
    while left:
        found, span = await store.read(numbers, cursor, most)
        assert found
        assert most is None or len(found) <= most
        seen += found
        cursor, left = span.cursor, span.left
        assert end_of_fact(found[-1]) <= span.settled < end_of_fact(30) + 1
    assert seen == [5, 6, 7, 8, 26, 27, 28, 29, 30]
    found, span = await store.read(numbers, cursor, most)
    assert (found, span.empty, span.left, span.cursor) == ([], True, 0, cursor)
    assert await store.read(newest_cursor) == cursor
    await tell(world, 2)
    assert (await store.read(numbers, cursor, None))[0] == [31, 32]


async def test_an_empty_store_has_a_beginning(world: World) -> None:
    found, span = await world.engine.store.read(numbers, BEGINNING, 5)
    assert (found, span.empty, span.left) == ([], True, 0)
    cursor = await world.engine.store.read(newest_cursor)
    for begin in (BEGINNING, span.cursor, cursor):
        assert await world.engine.store.read(events_after, begin) == []
    await tell(world, 1)
    for begin in (BEGINNING, span.cursor, cursor):
        assert len(await world.engine.store.read(events_after, begin)) == 1


async def test_each_event_says_where_a_reader_goes_on(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    await (await world.worker()).work()
    for which in (None, run_id):
        whole = await world.events(which)
        assert len(whole) > 8
        for number, event in enumerate(whole):
            assert await world.engine.store.read(given_cursor, event.cursor) == event.cursor
            assert await world.events(which, event.cursor) == whole[number + 1 :]
            assert await world.events(which, cursor_behind(event.seq)) == whole[number + 1 :]


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "٣", " 1", "9" * 20, "1;2", "0x1"])
async def test_what_is_no_cursor_is_said_so(world: World, text: str) -> None:
    for look in (given_cursor, following):
        with pytest.raises(UserError, match="is no cursor of this store"):
            await world.engine.store.read(look, text)


@embedded_worlds
async def test_a_cursor_ahead_of_everything_waits(world: World) -> None:
    await tell(world, 3)
    ahead = cursor_behind(end_of_fact(10))
    found, span = await world.engine.store.read(numbers, ahead, 5)
    assert (found, span.empty, span.cursor) == ([], True, ahead)
