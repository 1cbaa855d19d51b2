"""Ready tasks are looked for behind what is gone and cannot be removed; what comes before it is found all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.oracle.world import World
from windlass import Windlass, job
from windlass.engine.queues import store as queues
from windlass.store import floor, hot
from windlass.store.floor import LONGEST, LOWEST, Floor
from windlass.store.store import Store
from windlass.store.transaction import Transaction
from windlass.store.workers import register

pytestmark = pytest.mark.timeout(120)


@job
async def nothing() -> None:
    """Do nothing; nobody asks for it."""


def ranks(tx: Transaction, least: int = LOWEST) -> list[int]:
    routes = [row[0] for row in tx.cursor.execute("SELECT id FROM routes", ())]
    return [row.rank for row in hot.ready(tx, routes, 10, least)]


def forget(tx: Transaction, rank: int) -> None:
    """Take a task away, and have it counted as gone at once."""
    tx.cursor.execute("DELETE FROM queue WHERE rank = ?", (rank,))
    tx.cursor.execute("SELECT pg_stat_force_next_flush()", ())


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Yield a store with three tasks that are ready."""
    async with Windlass(postgres_url, workers=0) as app:
        for _ in range(3):
            await app.submit(nothing)
        yield app._backend._engine.store  # type: ignore[union-attr]


@pytest.fixture
async def world(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[World]:
    name = in_a_loop(postgres.made())
    found = World(postgres.url(name), tmp_path)
    yield found
    await found.assert_sound()
    await found.close()
    in_a_loop(postgres.drop(name))


@pytest.fixture(params=["whose jobs it knows", "whose jobs it looks at first"])
def much_gone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have floors count a million rows that are gone, and workers meet jobs in each of the two ways."""
    monkeypatch.setattr(floor, "_COUNT", "SELECT 1000000, count(*) + 1 FROM workers WHERE pool = ?")
    if request.param == "whose jobs it looks at first":
        monkeypatch.setattr(queues, "is_plain", lambda *_: False)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the time that floors go by, to be set."""
    times = SimpleNamespace(at=100.0)
    monkeypatch.setattr(floor, "time", SimpleNamespace(monotonic=lambda: times.at))
    return times


async def test_what_is_below_a_floor_is_not_looked_for(store: Store) -> None:
    first, second, third = await store.run(ranks)
    assert await store.run(ranks, second) == [second, third]
    assert await store.run(ranks, third + 1) == []
    assert first < second


async def test_every_look_is_whole_while_little_is_gone(store: Store, now: SimpleNamespace) -> None:
    seen = Floor("default", 0)
    for _ in range(3):
        assert await store.run(seen.begin) == LOWEST
        (first, *_) = await store.run(ranks)
        await store.run(seen.end, first)
        now.at += 0.001


async def test_while_much_is_gone_looks_begin_where_the_last_one_found_something(
    store: Store, now: SimpleNamespace, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "MANY", 1)
    first, second, third = await store.run(ranks)
    older = await asyncpg.connect(postgres_url)
    async with older.transaction(isolation="repeatable_read"):
        await older.execute("SELECT pg_current_xact_id()")
        await store.run(forget, first)
        seen = Floor("default", 0)
        assert await store.run(seen.begin) == LOWEST
        await store.run(seen.end, second)
        assert await store.run(seen.begin) == second
        await store.run(seen.end, third)
        assert await store.run(seen.begin) == third
        now.at += 1
        assert await store.run(seen.begin) == LOWEST
    await older.close()


async def test_a_floor_counts_the_workers_of_its_own_pool_and_is_never_long(
    store: Store, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "MANY", 1)
    monkeypatch.setattr(floor, "_FOR_EACH", 0.5)
    (first, *_) = await store.run(ranks)
    await store.run(forget, first)
    for pool in ("mine", "mine", *["others"] * 10):
        await store.run(
            partial(register, name="w", host="h", pid=1, pool=pool, labels={}, queues=["*"], slots=1, version="x")
        )
    for pool, pause in (("mine", 1.0), ("others", LONGEST)):
        seen = Floor(pool, 0)
        assert await store.run(seen.begin) == LOWEST
        await store.run(seen.end, first)
        assert await store.run(seen.begin) == first
        assert seen.again(first) == pause
        now.at += pause
        assert await store.run(seen.begin) == LOWEST
        assert seen.again(LOWEST) is None


@pytest.mark.usefixtures("now", "much_gone")
async def test_a_worker_that_found_nothing_sees_what_is_accepted_from_now_on(world: World) -> None:
    worker = await world.worker()
    job = await world.define("short", steps={"a": {}})
    await world.submit(job)
    assert await worker.work() == ["a"]
    for _ in range(3):
        world.clock.advance(60)
        assert (await worker.exchange(capacity=5)).again == LONGEST  # for it did not look from the beginning
        await world.submit(job)
        assert await worker.work() == ["a"]


@pytest.mark.usefixtures("much_gone")
async def test_it_looks_again_soon_for_what_is_older_or_more_urgent_than_all_that_it_found(
    world: World, now: SimpleNamespace
) -> None:
    worker = await world.worker()
    job = await world.define("short", steps={"a": {}})
    await world.submit(job)
    assert await worker.work() == ["a"]
    await world.submit(job, priority=15)
    now.at += 1
    exchange = await worker.exchange(capacity=5)
    assert (exchange.claims, exchange.again) == ([], 1)
    now.at += 1
    assert await worker.work() == ["a"]
    await world.submit(job, priority=15)  # others like it are found at once from then on
    assert await worker.work() == ["a"]
