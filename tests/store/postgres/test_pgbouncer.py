"""A store behind a real PgBouncer, in its mode `transaction`: nothing stays behind, and its end costs nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import insert, select

from tests.fixtures.pgbouncer import ENDS, Bouncer, End
from tests.fixtures.postgres import PORT, ROLE, PostgresServer
from windlass.store.open import open_store
from windlass.store.postgres.partitions import WEEK, partition_of
from windlass.store.store import Store
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction, beside_others

#: Seconds within which what must happen has to.
DEADLINE = 20


@pytest.fixture
def bouncer(postgres: PostgresServer) -> Iterator[Bouncer]:
    with Bouncer(postgres.folder, PORT, ROLE, pool=2) as found:
        yield found
        print(found.log())  # noqa: T201 - shown where the test fails


@pytest.fixture
async def name(postgres: PostgresServer) -> AsyncIterator[str]:
    found = await postgres.made()
    yield found
    await postgres.drop(found)


@pytest.fixture
async def behind(bouncer: Bouncer, name: str) -> AsyncIterator[Store]:
    async with await open_store(bouncer.url(name), version="0") as opened:
        yield opened.store


def put(tx: Transaction, key: str) -> None:
    tx.connection.execute(insert(store_info), {"key": key, "value": ""})


@beside_others
def put_beside(tx: Transaction, key: str) -> None:
    put(tx, key)


def keys(tx: Transaction) -> set[str]:
    return set(tx.connection.execute(select(store_info.c.key)).scalars()) - {"id", "created_at", "floor"}


async def test_nothing_is_left_on_a_connection_for_whoever_gets_it_next(
    behind: Store, postgres: PostgresServer, bouncer: Bouncer, name: str
) -> None:
    def limits(tx: Transaction) -> tuple[str, ...]:
        said = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        return tuple(tx.cursor.execute(said).fetchone())

    assert await behind.run(limits) == ("1min", "20s")
    assert await behind.read(limits) == ("1min", "20s")
    await asyncio.gather(*(behind.run(put_beside, f"k{number}") for number in range(20)))
    # The same sessions of the server, as the next user of the pooler finds them.
    direct = bouncer.url(name).partition("?")[0]
    import asyncpg  # noqa: PLC0415 - of this test alone

    users = [await asyncpg.connect(direct, statement_cache_size=0) for _ in range(2)]
    try:
        for user in users:
            await user.execute("BEGIN")  # so that each holds one of the two
        for user in users:
            assert await user.fetchval("SHOW statement_timeout") == "0"
            assert await user.fetchval("SHOW enable_seqscan") == "on"
            assert await user.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
            assert await user.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
            await user.execute("ROLLBACK")
    finally:
        for user in users:
            await user.close()
    sessions = await postgres.connect(name)
    assert await sessions.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") == 3
    await sessions.close()


async def test_partitions_and_indexes_are_made_through_it(behind: Store) -> None:
    def take_away(tx: Transaction) -> str:
        found = partition_of("tasks", tx.now // 1000 + WEEK)
        tx.cursor.execute(f"DROP TABLE {found.name}")
        tx.cursor.execute("DROP INDEX ix_queue_wake")
        return found.name

    await behind.tend()  # the store was made at another time
    name = await behind.run(take_away)
    assert await behind.tend() == [f"made the partition {name}", "made the index ix_queue_wake"]
    assert await behind.tend() == []


async def test_more_who_want_a_connection_than_there_are_wait_for_each_other(bouncer: Bouncer, name: str) -> None:
    async with AsyncExitStack() as stack:
        stores = [
            (await stack.enter_async_context(await open_store(bouncer.url(name), version="0"))).store for _ in range(4)
        ]
        work = [
            store.run(put if number % 3 else put_beside, f"{at} {number}")
            for at, store in enumerate(stores)
            for number in range(12)
        ]
        async with asyncio.timeout(3 * DEADLINE):
            await asyncio.gather(*work, *(store.read(keys) for store in stores))
            assert len(await stores[0].read(keys)) == 48


@pytest.mark.fault("F4")
@pytest.mark.parametrize("how", ENDS)
async def test_a_unit_whose_pooler_ends_in_the_middle_runs_again(behind: Store, bouncer: Bouncer, how: End) -> None:
    entered, go, runs = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def lose(tx: Transaction) -> None:
        put(tx, "before")
        runs.append(1)
        if len(runs) == 1:
            loop.call_soon_threadsafe(entered.set)
            go.wait(DEADLINE)
        put(tx, "after")

    losing = asyncio.create_task(behind.run(lose))
    await asyncio.wait_for(entered.wait(), DEADLINE)
    await asyncio.to_thread(bouncer.restart, how)
    go.set()
    await losing
    assert len(runs) == 2
    assert await behind.read(keys) == {"before", "after"}


async def test_hints_come_by_a_way_of_their_own(postgres: PostgresServer, bouncer: Bouncer, name: str) -> None:
    """A socket of PostgreSQL cannot be named there, so PgBouncer in its mode `session` stands for the server."""
    with Bouncer(postgres.folder, PORT, ROLE, mode="session") as straight:
        url = bouncer.url(name, listen=f"127.0.0.1:{straight.port}")
        async with await open_store(url, version="0") as one, await open_store(url, version="0") as other:
            heard = asyncio.Event()
            other.store.on_hint("ready", heard.set)
            listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
            async with asyncio.timeout(DEADLINE):
                while not await one.store.read(lambda tx: tx.cursor.execute(listening).fetchone()[0]):
                    heard.clear()
                await one.store.run(lambda tx: tx.hints.add("ready"))
                await heard.wait()
