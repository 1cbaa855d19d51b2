"""Readers of the events on PostgreSQL miss nothing, although transactions commit out of order; nobody holds them up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.postgres import PostgresServer
from windlass.errors import UserError
from windlass.model.event import end_of_fact
from windlass.store.event_cursor import (
    BEGINNING,
    Following,
    Snapshot,
    cursor_behind,
    following,
    given_cursor,
    newest_cursor,
)
from windlass.store.events import read_events, told_outside
from windlass.store.postgres.store import PostgresStore
from windlass.store.tables import events
from windlass.store.transaction import Transaction

Connect = Callable[[], Any]
_TELL = "INSERT INTO events (types, at) VALUES ($1, 0) RETURNING seq"


@pytest.fixture
async def connect(postgres_url: str) -> AsyncIterator[Connect]:
    """Return a function that connects to the database of the store as another program does."""
    import asyncpg  # noqa: PLC0415 - as in the fixtures

    async with AsyncExitStack() as stack:

        async def make() -> Any:
            connection = await asyncpg.connect(postgres_url)
            stack.push_async_callback(connection.close)
            return connection

        yield make


def numbers(tx: Transaction, cursor: str, most: int | None = None) -> tuple[list[int], Following]:
    """Return the facts that follow a cursor, by text and by expression, and where a reader stands then."""
    span = following(tx, cursor, most)
    where, values = span.sql("e.")
    found = [row[0] for row in tx.cursor.execute(f"SELECT seq FROM events e WHERE {where} ORDER BY seq", values)]  # noqa: S608 - constants
    by_clause = select(events.c.seq).where(span.clause()).order_by(events.c.seq)
    assert list(tx.connection.execute(by_clause).scalars()) == found
    assert span.empty == (not found) or most is None
    return found, span


async def tell(store: PostgresStore, count: int = 1) -> None:
    def unit(tx: Transaction) -> None:
        for _ in range(count):
            told_outside(tx, "x.y", "{}")

    await store.run(unit)


async def test_what_is_committed_late_follows_although_its_number_is_lower(
    postgres_store: PostgresStore, connect: Connect
) -> None:
    slow = await connect()
    held = slow.transaction()
    await held.start()
    low = await slow.fetchval(_TELL, "slow")
    await tell(postgres_store, 2)
    found, span = await postgres_store.read(numbers, BEGINNING)
    assert found == [low + 1, low + 2]
    assert span.settled == 0, "nobody can say that all up to the newest was seen"
    assert (await postgres_store.read(numbers, span.cursor))[0] == []
    await tell(postgres_store)
    found, later = await postgres_store.read(numbers, span.cursor)
    assert found == [low + 3], "it waits for nobody"
    await held.commit()
    found, last = await postgres_store.read(numbers, later.cursor, 100)
    assert found == [low]
    while not last.settled:  # the upkeep of PostgreSQL itself may be under way as well
        _, last = await postgres_store.read(numbers, later.cursor, 100)
    assert last.settled == end_of_fact(low + 3)
    assert (await postgres_store.read(numbers, last.cursor))[0] == []
    assert (await postgres_store.read(numbers, span.cursor))[0] == [low, low + 3]


async def test_what_is_undone_never_follows(postgres_store: PostgresStore, connect: Connect) -> None:
    cursor = await postgres_store.read(newest_cursor)
    slow = await connect()
    held = slow.transaction()
    await held.start()
    await slow.fetchval(_TELL, "slow")
    await tell(postgres_store)
    found, span = await postgres_store.read(numbers, cursor)
    assert len(found) == 1
    await held.rollback()
    assert (await postgres_store.read(numbers, span.cursor))[0] == []


async def test_a_transaction_in_another_database_holds_nobody_up(
    postgres_store: PostgresStore, postgres: PostgresServer
) -> None:
    other = await postgres.connect("postgres")
    try:
        held = other.transaction(isolation="repeatable_read")
        await held.start()
        await other.fetchval("SELECT pg_current_xact_id()")
        cursor = await postgres_store.read(newest_cursor)
        for _ in range(20):
            await tell(postgres_store, 3)
            found, span = await postgres_store.read(numbers, cursor)
            assert len(found) == 3
            cursor = span.cursor
    finally:
        await other.close()


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_a_page_ends_in_the_middle_and_the_next_one_goes_on_there(
    postgres_store: PostgresStore, connect: Connect, most: int
) -> None:
    slow = await connect()
    held = slow.transaction()
    await held.start()
    low = await slow.fetchval(_TELL, "slow")
    await tell(postgres_store, 10)
    found, span = await postgres_store.read(numbers, BEGINNING, most)
    await held.commit()  # in the middle of the pages, below all of them
    await tell(postgres_store, 2)
    seen, cursor = found, span.cursor
    while found:
        found, span = await postgres_store.read(numbers, cursor, most)
        assert len(found) <= most
        seen, cursor = seen + found, span.cursor
    assert sorted(seen) == list(range(low, low + 13))
    assert len(seen) == 13
    assert seen[:10] == list(range(low + 1, low + 11)), "each view in the order of its numbers"


async def write(connect: Connect, plans: list[tuple[int, int, bool]]) -> list[int]:
    """Tell so many events in each transaction, with pauses in between; return those that were kept."""
    connection, written = await connect(), []
    for count, turns, keeps in plans:
        transaction = connection.transaction()
        await transaction.start()
        new = []
        for _ in range(count):
            new.append(await connection.fetchval(_TELL, "w"))
            for _ in range(turns):
                await asyncio.sleep(0)  # the others' turn: what is told now is committed after theirs
        await (transaction.commit() if keeps else transaction.rollback())
        written += new if keeps else []
    return written


async def test_many_writers_and_readers_see_everything_once(postgres_store: PostgresStore, connect: Connect) -> None:
    rng = random.Random(7)  # noqa: S311 - a test
    done = asyncio.Event()

    async def follow(most: int) -> list[int]:
        seen: list[int] = []
        cursor, ending = BEGINNING, False
        while True:
            found, span = await postgres_store.read(numbers, cursor, most)
            seen, cursor = seen + found, span.cursor
            if not found and ending:
                return seen
            ending = done.is_set()

    async def writers() -> list[int]:
        plans = [
            [(rng.randint(1, 4), rng.choice([0, 0, 3, 30]), rng.random() < 0.85) for _ in range(25)] for _ in range(6)
        ]
        written = await asyncio.gather(*(write(connect, plan) for plan in plans))
        done.set()
        return [seq for one in written for seq in one]

    written, *readers = await asyncio.gather(writers(), follow(1), follow(5), follow(1000))
    for seen in readers:
        assert len(seen) == len(set(seen))
        assert sorted(seen) == sorted(written)


async def test_events_say_where_a_reader_goes_on_and_within_the_store_a_number_does_too(
    postgres_store: PostgresStore,
) -> None:
    await tell(postgres_store, 5)
    whole, cursor = await postgres_store.read(read_events, BEGINNING)
    assert (await postgres_store.read(read_events, cursor))[0] == []
    for number, event in enumerate(whole):
        assert await postgres_store.read(given_cursor, event.cursor) == event.cursor
        for behind in (event.cursor, cursor_behind(event.seq)):
            assert (await postgres_store.read(read_events, behind))[0] == whole[number + 1 :]
    await tell(postgres_store)
    assert len((await postgres_store.read(read_events, cursor))[0]) == 1


async def test_rows_of_old_are_no_news(postgres_store: PostgresStore) -> None:
    cursor = await postgres_store.read(newest_cursor)
    await postgres_store.run(
        lambda tx: tx.cursor.execute("INSERT INTO events (types, at, writer) VALUES ('x.old', 0, NULL)")
    )
    assert (await postgres_store.read(numbers, cursor))[0] == []
    assert len((await postgres_store.read(numbers, BEGINNING))[0]) == 1


@pytest.mark.parametrize("text", ["1:2", "1:2:3,", "/1:2:/", "1:2:/3", "a:b:c", "1:2:3/1:2:3", "1:2:\n"])
async def test_what_is_no_cursor_is_said_so(postgres_store: PostgresStore, text: str) -> None:
    for look in (given_cursor, following):
        with pytest.raises(UserError, match="is no cursor of this store"):
            await postgres_store.read(look, text)


async def test_a_number_alone_is_no_cursor_that_anybody_gives(postgres_store: PostgresStore) -> None:
    assert await postgres_store.read(given_cursor, BEGINNING) == BEGINNING
    with pytest.raises(UserError, match=r'"17" is the `seq` of an event, .*: give the `cursor` of that event, or 0'):
        await postgres_store.read(given_cursor, "17")


@pytest.mark.parametrize("text", ["10:20:", "10:20:10,14,15"])
def test_a_snapshot_is_read_as_it_is_written(text: str) -> None:
    assert str(Snapshot.read(text)) == text
