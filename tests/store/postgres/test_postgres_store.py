"""What the store on PostgreSQL promises beside what every store does: others, lost connections, lost answers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.fixtures.postgres import PostgresServer
from windlass.errors import Unavailable
from windlass.store.open import open_store
from windlass.store.postgres.lane import STORE_LOCK
from windlass.store.postgres.store import PostgresStore
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction, apart, beside_others, by_itself

#: Seconds within which what must happen has to.
DEADLINE = 20


def put(tx: Transaction, key: str, value: str = "1") -> str:
    tx.connection.execute(insert(store_info), {"key": key, "value": value})
    return value


@beside_others
def put_beside(tx: Transaction, key: str) -> None:
    put(tx, key)


def keys(tx: Transaction) -> set[str]:
    return set(tx.connection.execute(select(store_info.c.key)).scalars()) - {"id", "created_at", "floor"}


async def kill_backends(postgres: PostgresServer) -> None:
    await postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'windlass'")


async def test_a_connection_that_was_lost_between_units_is_not_noticed(
    postgres_store: PostgresStore, postgres: PostgresServer
) -> None:
    await postgres_store.run(put, "a")
    await postgres_store.read(keys)
    await kill_backends(postgres)
    await postgres_store.run(put, "b")
    await kill_backends(postgres)
    assert await postgres_store.read(keys) == {"a", "b"}


async def test_a_connection_that_is_lost_within_a_unit_makes_it_run_again(
    postgres_store: PostgresStore, postgres: PostgresServer
) -> None:
    entered, go, runs = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def lose(tx: Transaction) -> None:
        runs.append(put(tx, "before"))
        if len(runs) == 1:
            loop.call_soon_threadsafe(entered.set)
            go.wait(DEADLINE)
        put(tx, "after")

    losing = asyncio.create_task(postgres_store.run(lose))
    await asyncio.wait_for(entered.wait(), DEADLINE)
    await kill_backends(postgres)
    go.set()
    await losing
    assert len(runs) == 2
    assert await postgres_store.read(keys) == {"before", "after"}


@pytest.mark.parametrize("arrived", [True, False])
async def test_what_came_of_a_commit_whose_answer_was_lost_is_found_out(
    postgres_store: PostgresStore, monkeypatch: pytest.MonkeyPatch, *, arrived: bool
) -> None:
    await postgres_store.run(put, "first")
    runs: list[str] = []

    def once(tx: Transaction) -> None:
        raw = tx.cursor._connection  # type: ignore[attr-defined]
        execute = raw.execute

        async def cut(sql: str) -> Any:
            if "COMMIT" in sql:
                if arrived:
                    await execute(sql)
                raw.terminate()
            return await execute(sql)

        runs.append(put(tx, "a"))
        if len(runs) == 1:
            monkeypatch.setattr(type(raw), "execute", lambda _, sql: cut(sql) if _ is raw else execute_of(_, sql))

    from asyncpg.connection import Connection  # noqa: PLC0415 - of this test alone

    execute_of = Connection.execute
    await postgres_store.run(once)
    assert len(runs) == (1 if arrived else 2)
    assert await postgres_store.read(keys) == {"first", "a"}


async def test_units_run_alone_unless_they_are_marked(postgres_url: str) -> None:
    async with (
        await open_store(postgres_url, version="0") as one,
        await open_store(postgres_url, version="0") as other,
    ):
        entered, go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold(tx: Transaction) -> None:
            put(tx, "held")
            loop.call_soon_threadsafe(entered.set)
            go.wait(DEADLINE)

        holding = asyncio.create_task(one.store.run(beside_others(hold)))
        await asyncio.wait_for(entered.wait(), DEADLINE)
        await other.store.run(put_beside, "beside")
        alone = asyncio.create_task(other.store.run(keys))
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await one.store.read(lambda tx: tx.cursor.execute(locks).fetchone()[0]):
            assert not alone.done()
        go.set()
        await holding
        assert await alone == {"held", "beside"}


async def test_two_that_insert_the_same_beside_each_other_are_told_apart(postgres_url: str) -> None:
    """The second one runs again, alone, and sees the row of the first."""
    async with (
        await open_store(postgres_url, version="0") as one,
        await open_store(postgres_url, version="0") as other,
    ):
        looked = threading.Barrier(2, timeout=DEADLINE)
        runs: list[int] = []

        @beside_others
        def ensure(tx: Transaction, number: int) -> bool:
            there = "a" in keys(tx)
            runs.append(number)
            if runs.count(number) == 1:
                looked.wait()
            if not there:
                put(tx, "a")
            return not there

        assert sorted(await asyncio.gather(one.store.run(ensure, 1), other.store.run(ensure, 2))) == [False, True]
        with pytest.raises(IntegrityError):
            await one.store.run(put_beside, "a")


async def test_a_deadlock_between_two_is_resolved(postgres_url: str) -> None:
    async with (
        await open_store(postgres_url, version="0") as one,
        await open_store(postgres_url, version="0") as other,
    ):
        for key in ("a", "b"):
            await one.store.run(put, key)
        met = threading.Barrier(2, timeout=DEADLINE)
        first: list[str] = []

        @beside_others
        def both(tx: Transaction, *order: str) -> None:
            for key in order:
                tx.cursor.execute("UPDATE store_info SET value = value || 'x' WHERE key = ?", (key,))
                if len(first) < 2:
                    first.append(key)
                    met.wait()

        await asyncio.gather(one.store.run(both, "a", "b"), other.store.run(both, "b", "a"))
        values = "SELECT value FROM store_info WHERE key IN ('a', 'b')"
        assert await one.store.read(lambda tx: tx.cursor.execute(values).fetchall()) == [("1xx",), ("1xx",)]


async def test_a_refused_statement_within_apart_leaves_the_rest(postgres_store: PostgresStore) -> None:
    def unit(tx: Transaction) -> list[type[Exception] | None]:
        put(tx, "a")
        found = [apart(tx, lambda: void(put(tx, "a"))), apart(tx, lambda: void(put(tx, "b")))]
        found.append(apart(tx, lambda: void(tx.cursor.execute("SELECT no_such_column FROM runs"))))
        return [None if error is None else type(error) for error in found]

    kinds = await postgres_store.run(unit)
    assert kinds[:2] == [IntegrityError, None]
    assert kinds[2] is not None
    assert await postgres_store.read(keys) == {"a", "b"}


def void(_: object) -> None:
    """Take what nobody asks for."""


async def test_a_unit_that_hides_a_failed_statement_is_told_that_nothing_was_kept(
    postgres_store: PostgresStore,
) -> None:
    def hide(tx: Transaction) -> None:
        put(tx, "a")
        with pytest.raises(IntegrityError):
            put(tx, "a")

    with pytest.raises(Unavailable, match="nothing was changed"):
        await postgres_store.run(hide)
    assert await postgres_store.read(keys) == set()


async def test_without_a_clock_of_its_own_the_time_is_the_databases(postgres_url: str) -> None:
    clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    async with await open_store(postgres_url, version="0") as opened:
        for work in (opened.store.run, opened.store.read):
            before, after = await work(lambda tx: (tx.now, tx.cursor.execute(clock).fetchone()[0]))
            assert 0 <= after - before < DEADLINE * 1_000_000


async def test_hints_reach_other_processes_and_their_own_once(postgres_url: str) -> None:
    async with (
        await open_store(postgres_url, version="0") as one,
        await open_store(postgres_url, version="0") as other,
    ):
        heard, own = asyncio.Event(), []
        other.store.on_hint("ready", heard.set)
        listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
        while not await one.store.read(lambda tx: tx.cursor.execute(listening).fetchone()[0]):
            heard.clear()
        one.store.on_hint("ready", lambda: own.append(1))
        await one.store.run(lambda tx: tx.hints.add("ready"))
        await asyncio.wait_for(heard.wait(), DEADLINE)
        assert own


async def test_heartbeats_go_on_while_units_hold_every_other_connection(postgres_store: PostgresStore) -> None:
    go = threading.Event()
    holding = [asyncio.create_task(postgres_store.run(beside_others(lambda _: go.wait(DEADLINE)))) for _ in range(4)]
    beat = by_itself(lambda tx: put(tx, "beat"))
    await asyncio.wait_for(asyncio.to_thread(postgres_store.run_blocking, beat), DEADLINE)
    go.set()
    await asyncio.gather(*holding)
    assert await postgres_store.read(keys) == {"beat"}


async def test_nothing_stays_locked_or_open_behind_a_store(postgres: PostgresServer, postgres_url: str) -> None:
    async with await open_store(postgres_url, version="0") as opened:
        opened.store.on_hint("ready", lambda: None)
        await opened.store.run(put, "a")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'windlass'"
    connection = await postgres.connect("postgres")
    try:
        while await connection.fetchval(sessions):
            await connection.fetchval("SELECT pg_stat_clear_snapshot()")
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1"
        assert await connection.fetchval(held, STORE_LOCK) == 0
    finally:
        await connection.close()


async def test_behind_a_pooler_nothing_is_kept_on_a_connection(postgres: PostgresServer, postgres_url: str) -> None:
    async with await open_store(f"{postgres_url}&pgbouncer=true", version="0") as opened:
        await opened.store.run(put, "a")
        assert await opened.store.read(keys) == {"a"}
        said = "SELECT current_setting('statement_timeout'), (SELECT count(*) FROM pg_prepared_statements)"
        assert await opened.store.run(lambda tx: tx.cursor.execute(said).fetchone()) == ("1min", 0)
    connection = await postgres.connect("postgres")
    assert await connection.fetchval("SELECT current_setting('statement_timeout')") == "0"
    await connection.close()


async def test_what_is_to_be_spared_is_let_go_at_once_and_opened_again_when_it_is_needed(
    postgres: PostgresServer, postgres_url: str
) -> None:
    heard = asyncio.Event()
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    connection = await postgres.connect("postgres")

    async def until_there_are(wanted: int) -> None:
        found, count = -1, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        async with asyncio.timeout(DEADLINE):
            while found != wanted:
                found = await connection.fetchval(count, name)

    async with await open_store(f"{postgres_url}&connections=2", version="0") as opened:
        store = opened.store
        assert isinstance(store, PostgresStore)
        store.on_hint("news", heard.set)
        await store.run(put, "a")
        await until_there_are(3)  # for a change, for a look, for hints
        store.spare(linger=0.0, listens=False)
        await until_there_are(0)
        await store.run(put, "b")
        assert await store.read(keys) == {"a", "b"}
        await until_there_are(0)
        store.spare(linger=60.0, listens=True)
        await until_there_are(1)
        async with asyncio.timeout(DEADLINE):
            while not heard.is_set():  # hints may be lost while nobody listens yet
                async with await open_store(postgres_url, version="0") as other:
                    await other.store.run(tell_news)
    await connection.close()


def tell_news(tx: Transaction) -> None:
    tx.hints.add("news")
