"""What every store promises about units of work, whichever database it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.fixtures.begun import begun
from tests.fixtures.store import embedded_stores
from windlass.clock import ManualClock
from windlass.errors import Unavailable
from windlass.store.sqlite import SqliteStore
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction

#: Seconds within which what must happen has to.
DEADLINE = 20


class Mishap(Exception):
    """An error of a unit."""


def put(tx: Transaction, key: str, value: str = "1") -> str:
    tx.connection.execute(insert(store_info), {"key": key, "value": value})
    return value


def put_and_fail(tx: Transaction, key: str) -> None:
    put(tx, key)
    raise Mishap(key)


def keys(tx: Transaction) -> set[str]:
    return set(tx.connection.execute(select(store_info.c.key)).scalars()) - {"id", "created_at", "floor"}


@asynccontextmanager
async def held_writer(store: SqliteStore) -> AsyncIterator[None]:
    """Keep the writer busy meanwhile, so that the units which come in wait together."""
    entered, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(_: Transaction) -> None:
        loop.call_soon_threadsafe(entered.set)
        go.wait(DEADLINE)

    holding = asyncio.create_task(store.run(hold))
    try:
        await asyncio.wait_for(entered.wait(), DEADLINE)
        yield
    finally:
        go.set()
        await holding


async def test_a_unit_is_kept_and_its_result_returned(store: SqliteStore) -> None:
    assert await store.run(put, "a", value="2") == "2"
    assert await store.read(keys) == {"a"}
    assert await store.run(keys) == {"a"}


async def test_an_error_undoes_all_of_the_unit_and_is_raised(store: SqliteStore) -> None:
    with pytest.raises(Mishap, match="a"):
        await store.run(put_and_fail, "a")
    assert await store.read(keys) == set()
    await store.run(put, "a")
    assert await store.read(keys) == {"a"}


async def test_units_that_share_a_commit_fail_alone(store: SqliteStore) -> None:
    async with held_writer(store):
        waiting = [await begun(store.run(put_and_fail if n % 3 == 0 else put, f"k{n}")) for n in range(30)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    failed = {n for n, result in enumerate(results) if isinstance(result, Mishap)}
    assert failed == set(range(0, 30, 3))
    assert await store.read(keys) == {f"k{n}" for n in range(30) if n % 3}


async def test_a_refused_row_undoes_its_own_unit_within_a_shared_commit(store: SqliteStore) -> None:
    async with held_writer(store):
        waiting = [await begun(store.run(put, key)) for key in ("a", "b", "a", "c")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [str, str, IntegrityError, str]
    assert await store.read(keys) == {"a", "b", "c"}


async def test_more_units_than_one_commit_takes_are_all_kept_in_their_order(store: SqliteStore) -> None:
    order: list[int] = []

    def note(tx: Transaction, number: int) -> None:
        order.append(number)
        put(tx, f"k{number}")

    async with held_writer(store):
        waiting = [await begun(store.run(note, number)) for number in range(600)]
    await asyncio.gather(*waiting)
    assert order == list(range(600))
    assert len(await store.read(keys)) == 600


async def test_a_unit_sees_what_was_done_before_it_in_the_same_commit(store: SqliteStore) -> None:
    async with held_writer(store):
        putting, looking = await begun(store.run(put, "a")), await begun(store.run(keys))
    await putting
    assert await looking == {"a"}


async def test_a_reader_keeps_its_view_while_others_commit(store: SqliteStore) -> None:
    await store.run(put, "a")
    looked, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def look_twice(tx: Transaction) -> tuple[set[str], set[str]]:
        first = keys(tx)
        loop.call_soon_threadsafe(looked.set)
        go.wait(DEADLINE)
        return first, keys(tx)

    reading = asyncio.create_task(store.read(look_twice))
    await asyncio.wait_for(looked.wait(), DEADLINE)
    writing = asyncio.create_task(store.run(put, "b"))
    if store.kind != "memory":  # there readers and writers take turns
        await writing
    go.set()
    assert await reading == ({"a"}, {"a"})
    await writing
    assert await store.read(keys) == {"a", "b"}


async def test_a_reader_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(Unavailable):
        await store.read(put, "a")
    assert await store.read(keys) == set()
    await store.run(put, "a")
    assert await store.read(keys) == {"a"}


async def test_an_error_of_a_reader_is_raised_and_leaves_nothing_behind(store: SqliteStore) -> None:
    def fail(tx: Transaction) -> None:
        raise Mishap(str(keys(tx)))

    with pytest.raises(Mishap):
        await store.read(fail)
    await store.run(put, "a")
    assert await store.read(keys) == {"a"}


async def test_a_unit_has_the_time_of_the_stores_clock(store: SqliteStore, clock: ManualClock) -> None:
    assert await store.run(lambda tx: tx.now) == clock.now()
    clock.advance(60)
    assert await store.run(lambda tx: tx.now) == clock.now()
    assert await store.read(lambda tx: tx.now) == clock.now()


async def test_hints_are_given_after_the_commit_and_only_then(store: SqliteStore) -> None:
    heard = asyncio.Event()
    end = store.on_hint("ready", heard.set)

    def hint(tx: Transaction, key: str, *, fail: bool) -> None:
        put(tx, key)
        tx.hints.add("ready")
        if fail:
            raise Mishap

    with pytest.raises(Mishap):
        await store.run(hint, "a", fail=True)
    await store.run(put, "b")
    assert not heard.is_set()
    await store.run(hint, "c", fail=False)
    await asyncio.wait_for(heard.wait(), DEADLINE)
    assert "c" in await store.read(keys)
    end()
    heard.clear()
    await store.run(hint, "d", fail=False)
    await store.run(put, "e")
    assert not heard.is_set()


async def test_a_hint_reaches_only_those_who_listen_to_its_name(store: SqliteStore) -> None:
    ready, stop = asyncio.Event(), asyncio.Event()
    store.on_hint("ready", ready.set)
    store.on_hint("stop", stop.set)
    await store.run(lambda tx: tx.hints.add("stop"))
    await asyncio.wait_for(stop.wait(), DEADLINE)
    assert not ready.is_set()


async def test_a_caller_that_gives_up_disturbs_nobody(store: SqliteStore) -> None:
    async with held_writer(store):
        gone = await begun(store.run(put, "gone"))
        waiting = await begun(store.run(put, "a"))
        gone.cancel()
    await waiting
    assert "a" in await store.read(keys)


@embedded_stores
async def test_a_full_disk_refuses_and_recovers(store: SqliteStore) -> None:
    pages = store.connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(tx: Transaction, number: int) -> None:
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {number}")

    await store.run(limit, pages + 1)
    with pytest.raises(Unavailable, match="disk of the store is full: nothing was changed"):
        await store.run(put, "large", value="x" * 100_000)
    assert await store.read(keys) == set()
    await store.run(limit, 1_000_000)
    await store.run(put, "large", value="x" * 100_000)
    assert await store.read(keys) == {"large"}


async def test_closing_keeps_what_waits_and_refuses_what_comes_later(store: SqliteStore) -> None:
    async with held_writer(store):
        waiting = await begun(store.run(put, "a"))
        closing = await begun(store.close())
        with pytest.raises(Unavailable, match="closed"):
            await store.run(put, "late")
    assert await waiting == "1"
    await closing
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.run(put, "later")
    with pytest.raises(Unavailable, match="closed"):
        await store.read(keys)
