"""Indexes that are missing or were never finished are made while everybody works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import asyncpg
import pytest

from tests.fixtures.pgbouncer import Bouncer
from tests.fixtures.postgres import PORT, ROLE, PostgresServer
from windlass.clock import ManualClock
from windlass.errors import Unavailable
from windlass.store.check import check
from windlass.store.columns import ROOM
from windlass.store.open import open_store
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("H07")
#: The process that waits while it makes an index.
WAITS = (
    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock' "
    "AND datname = current_database()"
)


def drop(*indexes: str) -> object:
    def unit(tx: Transaction) -> None:
        for name in indexes:
            tx.cursor.execute(f"DROP INDEX {name}")

    return unit


async def test_what_is_missing_is_made_and_what_was_cut_off_is_made_anew(postgres_store: PostgresStore) -> None:
    store = postgres_store
    assert await store.tend() == []
    await store.run(drop("ix_queue_wake", "ix_events_run", "ix_tasks_dead"))  # type: ignore[arg-type]
    unfinished = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_queue_held'::regclass"
    await store.run(lambda tx: tx.cursor.execute(unfinished))
    assert len((await check(store)).problems) == 4
    assert set(await store.tend()) == {
        f"made the index {name}" for name in ("ix_queue_wake", "ix_events_run", "ix_tasks_dead", "ix_queue_held")
    }
    assert (await check(store)).problems == ()
    assert await store.tend() == []
    room = "SELECT reloptions FROM pg_class WHERE relname = 'ix_events_run'"
    assert await store.read(lambda tx: tx.cursor.execute(room).fetchone()[0]) == [f"fillfactor={ROOM['ix_events_run']}"]


async def test_a_unique_one_that_rows_forbid_keeps_back_no_other(postgres_store: PostgresStore) -> None:
    store = postgres_store
    await store.run(drop("uq_jobs_live_alias", "ix_queue_wake"))  # type: ignore[arg-type]

    def twice(tx: Transaction) -> None:
        for job_id in (b"a" * 16, b"b" * 16):
            tx.cursor.execute(
                "INSERT INTO jobs (id, project, alias, revision, labels, created_at, updated_at) "
                "VALUES (?, 'p', 'same', 1, '{}', 1, 1)",
                (job_id,),
            )

    await store.run(twice)
    done = await store.tend()
    assert "made the index ix_queue_wake" in done
    assert any(one.startswith("could not make the index uq_jobs_live_alias: could not create unique") for one in done)
    assert any("uq_jobs_live_alias" in one for one in (await check(store)).problems)


def reached(postgres: PostgresServer, name: str, way: str) -> Iterator[str]:
    """Yield the URL of a database, directly or through PgBouncer."""
    if way == "direct":
        yield postgres.direct_url(name)
        return
    with Bouncer(postgres.folder, PORT, ROLE, pool=10) as bouncer:
        yield bouncer.url(name)


@pytest.mark.parametrize("way", ["direct", "shared"])
async def test_of_several_who_build_one_does_and_the_others_wait(postgres: PostgresServer, way: str) -> None:
    name = await postgres.made()
    clock = ManualClock()
    with contextmanager(reached)(postgres, name, way) as url:
        async with AsyncExitStack() as stack:
            stores = [
                (await stack.enter_async_context(await open_store(url, version="0", clock=clock))).store
                for _ in range(3)
            ]
            foreign, watching = await dialled(stack, postgres, name), await dialled(stack, postgres, name)
            await foreign.execute("DROP INDEX ix_idempotency_keys_expires_at; DROP INDEX ix_tasks_dead")
            await foreign.execute("BEGIN; LOCK TABLE idempotency_keys IN ROW EXCLUSIVE MODE")
            await foreign.execute("LOCK TABLE tasks_rest IN ROW EXCLUSIVE MODE")  # what is made waits for it
            tending = [asyncio.create_task(store.tend()) for store in stores]
            # One makes the index, and each of the others waits in whatever way it does.
            others = (
                "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND query ~ 'INDEX CONCURRENTLY|pg_try_advisory|ROLLBACK'"
            )
            while not await watching.fetchval(WAITS) or await watching.fetchval(others) < len(stores):
                assert not any(one.done() for one in tending)
            await foreign.execute("ROLLBACK")
            done = sorted([await one for one in tending])
            made = {"made the index ix_idempotency_keys_expires_at", "made the index ix_tasks_dead"}
            assert (done[:2], set(done[2])) == ([[], []], made)
            assert (await check(stores[0])).problems == ()
    await postgres.drop(name)


@pytest.mark.parametrize(
    ("index", "table", "columns"),
    [("ix_queue_wake", "queue", "wake_at"), ("tasks_rest_tasks_dead", "tasks_rest", "run_id, task")],
)
async def test_one_that_somebody_makes_now_is_left_to_them(
    postgres: PostgresServer, clock: ManualClock, index: str, table: str, columns: str
) -> None:
    name = await postgres.made()
    async with await open_store(postgres.url(name), version="0", clock=clock) as opened, AsyncExitStack() as stack:
        store = opened.store
        holder, maker, watching = [await dialled(stack, postgres, name) for _ in range(3)]
        await holder.execute("DROP INDEX ix_queue_wake; DROP INDEX ix_tasks_dead")
        await store.tend()
        await holder.execute("DROP INDEX ix_tasks_dead" if table == "tasks_rest" else "DROP INDEX ix_queue_wake")
        await holder.execute(f"BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        making = asyncio.create_task(maker.execute(f"CREATE INDEX CONCURRENTLY {index} ON {table} ({columns})"))
        while not await watching.fetchval(WAITS):
            assert not making.done()
        assert await store.tend() == [f"left the index {index} to whoever makes it now"]
        await holder.execute("ROLLBACK")
        await making
        assert not any("never finished" in one for one in (await check(store)).problems)
    await postgres.drop(name)


async def dialled(stack: AsyncExitStack, postgres: PostgresServer, name: str) -> Any:
    """Return a connection of somebody else's, closed with `stack`."""
    connection = await asyncpg.connect(postgres.direct_url(name))
    stack.push_async_callback(connection.close)
    return connection


async def test_one_that_is_killed_in_the_middle_is_made_by_the_next(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    store = postgres_store
    await store.run(drop("ix_runs_job"))  # type: ignore[arg-type]
    foreign = await asyncpg.connect(postgres_url)
    transaction = foreign.transaction()
    await transaction.start()
    await foreign.execute("INSERT INTO store_info VALUES ('foreign', 'x')")
    await foreign.execute("LOCK TABLE runs IN ROW EXCLUSIVE MODE")  # as who has written a row: it is waited for
    tending = asyncio.create_task(store.tend())
    watching = await asyncpg.connect(postgres_url)
    while (pid := await watching.fetchval(WAITS)) is None:
        assert not tending.done()
    await store.run(lambda tx: tx.cursor.execute("DELETE FROM runs"))  # nobody else waits
    await watching.execute(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(Unavailable):
        await tending
    await transaction.rollback()
    await foreign.close()
    await watching.close()
    found = await check(store)
    assert any("ix_runs_job" in one for one in found.problems)
    assert await store.tend() == ["made the index ix_runs_job"]
    assert (await check(store)).problems == ()
