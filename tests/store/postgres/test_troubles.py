"""What others do to a store on PostgreSQL: limits of time in the middle, locks, deadlocks, no connection left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select

from tests.fixtures.postgres import ROLE, PostgresServer
from windlass.engine.readable import readable
from windlass.errors import Unavailable
from windlass.store.open import open_store
from windlass.store.postgres import lane, link
from windlass.store.postgres.cursor import PostgresCursor
from windlass.store.postgres.store import PostgresStore
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction, apart, beside_others

#: Seconds within which what must happen has to.
DEADLINE = 30
#: How one finds somebody who waits for a lock.
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def put(tx: Transaction, key: str) -> None:
    tx.connection.execute(insert(store_info), {"key": key, "value": ""})


@beside_others
def put_beside(tx: Transaction, key: str) -> None:
    put(tx, key)


def keys(tx: Transaction) -> set[str]:
    return set(tx.connection.execute(select(store_info.c.key)).scalars()) - {"id", "created_at", "floor"}


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Any]:
    """Give a session of another program in the same database."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


def limit(monkeypatch: pytest.MonkeyPatch, name: str, milliseconds: int) -> None:
    """Let a limit of time of sessions that begin from now on be shorter than usual."""
    monkeypatch.setitem(link._LIMITS, name, str(milliseconds))


@pytest.mark.fault("F20")
@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
async def test_a_statement_that_takes_too_long_undoes_its_unit_and_nobody_elses(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, pooled: bool
) -> None:
    limit(monkeypatch, "statement_timeout", 300)

    def slow(tx: Transaction) -> None:
        put(tx, "slow")
        tx.cursor.execute(f"SELECT pg_sleep({DEADLINE})")

    url = postgres_url + "&pgbouncer=true" * pooled
    async with await open_store(url, version="0") as opened:
        with pytest.raises(Unavailable, match="canceling statement due to statement timeout"):
            await opened.store.run(slow)
        with pytest.raises(Unavailable, match="statement timeout"):
            await opened.store.read(lambda tx: tx.cursor.execute(f"SELECT pg_sleep({DEADLINE})").fetchone())
        await opened.store.run(put, "quick")
        assert await opened.store.read(keys) == {"quick"}


@pytest.mark.fault("F21")
@pytest.mark.parametrize("unit", [put, put_beside], ids=["alone", "beside others"])
async def test_a_lock_that_another_program_holds_is_waited_for_again_and_again(
    postgres_url: str, other: Any, monkeypatch: pytest.MonkeyPatch, unit: Callable[..., None]
) -> None:
    limit(monkeypatch, "lock_timeout", 50)
    runs: list[str] = []
    tried = threading.Event()

    def counted(tx: Transaction, key: str) -> None:
        runs.append(key)
        if len(runs) == 4:
            tried.set()
        unit(tx, key)

    async with await open_store(postgres_url, version="0") as opened:
        held = other.transaction()
        await held.start()
        await other.execute("LOCK TABLE store_info IN SHARE MODE")
        work = asyncio.create_task(opened.store.run(beside_others(counted) if unit is put_beside else counted, "a"))
        assert await asyncio.to_thread(tried.wait, DEADLINE)
        await held.rollback()
        await asyncio.wait_for(work, DEADLINE)
        assert len(runs) >= 4
        assert await opened.store.read(keys) == {"a"}


@pytest.mark.fault("F21")
async def test_a_lock_that_is_never_given_back_is_told_of_and_holds_nobody_up_who_does_not_need_it(
    postgres_url: str, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, "lock_timeout", 20)
    monkeypatch.setattr(lane, "_PATIENCE", 0.3)
    async with await open_store(postgres_url, version="0") as opened:
        held = other.transaction()
        await held.start()
        await other.execute("LOCK TABLE store_info IN SHARE MODE")
        with pytest.raises(Unavailable, match="Others held for too long what this needed"):
            await opened.store.run(put_beside, "a")
        assert await opened.store.read(keys) == set()
        await opened.store.run(beside_others(lambda tx: tx.cursor.execute("SELECT 1 FROM runs FOR UPDATE")))
        await held.rollback()
        await opened.store.run(put_beside, "a")
        assert await opened.store.read(keys) == {"a"}


@pytest.mark.fault("F21")
async def test_the_victim_of_a_deadlock_with_another_program_runs_again(postgres_store: PostgresStore) -> None:
    """The other program begins to wait last, with more patience: so PostgreSQL chooses ours."""
    url = postgres_store.place.dsn
    for key in ("a", "b"):
        await postgres_store.run(put, key)
    other = await asyncpg.connect(url, server_settings={"deadlock_timeout": "60s"})
    held = other.transaction()
    await held.start()
    update = "UPDATE store_info SET value = value || '{}' WHERE key = '{}'"
    await other.execute(update.format("o", "b"))
    loop = asyncio.get_running_loop()
    has_first, go, runs = asyncio.Event(), threading.Event(), []

    @beside_others
    def both(tx: Transaction) -> None:
        runs.append(1)
        tx.cursor.execute(update.format("u", "a"))
        if len(runs) == 1:
            loop.call_soon_threadsafe(has_first.set)
            go.wait(DEADLINE)
        tx.cursor.execute(update.format("u", "b"))

    ours = asyncio.create_task(postgres_store.run(both))
    await asyncio.wait_for(has_first.wait(), DEADLINE)
    theirs = asyncio.create_task(other.execute(update.format("o", "a")))
    watcher = await asyncpg.connect(url)
    while not await watcher.fetchval(WAITS):
        assert not theirs.done()
    go.set()
    await asyncio.wait_for(theirs, DEADLINE)
    await held.commit()
    await asyncio.wait_for(ours, DEADLINE)
    assert len(runs) == 2
    values = "SELECT value FROM store_info WHERE key IN ('a', 'b')"
    assert await postgres_store.read(lambda tx: tx.cursor.execute(values).fetchall()) == [("ou",), ("ou",)]
    await watcher.close()
    await other.close()


async def test_a_unit_that_sleeps_over_the_limit_of_its_transaction_runs_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session of whoever does nothing in a transaction: others may wait for its locks."""
    limit(monkeypatch, "idle_in_transaction_session_timeout", 100)
    runs: list[int] = []

    def asleep(tx: Transaction) -> None:
        put(tx, "a")
        runs.append(1)
        if len(runs) == 1:
            watcher = asyncio.run_coroutine_threadsafe(gone(), loop)
            watcher.result(DEADLINE)
        put(tx, "b")

    async def gone() -> None:
        connection = await asyncpg.connect(postgres_url)
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        while await connection.fetchval(idle):
            await connection.fetchval("SELECT pg_sleep(0.01)")
        await connection.close()

    loop = asyncio.get_running_loop()
    async with await open_store(postgres_url, version="0") as opened:
        await opened.store.run(asleep)
        assert len(runs) == 2
        assert await opened.store.read(keys) == {"a", "b"}


@pytest.mark.fault("F4")
@pytest.mark.parametrize(
    "lost",
    [
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(104, "Connection reset by peer"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("within", ["read", "change"])
async def test_a_connection_that_is_lost_is_no_fault_of_the_object_that_was_looked_at(
    postgres_store: PostgresStore, monkeypatch: pytest.MonkeyPatch, lost: Exception, within: str
) -> None:
    """Else a run would be set aside, or a limit not be seen, for a trouble of the way to the database."""
    run, runs = PostgresCursor.run, []

    async def run_once_lost(cursor: PostgresCursor, sql: str, parameters: Any = ()) -> Any:
        if sql == "SELECT 7" and len(runs) == 1:
            raise lost
        return await run(cursor, sql, parameters)

    def unit(tx: Transaction) -> Any:
        runs.append(1)
        if within == "read":
            return readable("It", lambda: tx.cursor.execute("SELECT 7").fetchone())
        return apart(tx, lambda: void(tx.cursor.execute("SELECT 7")))

    monkeypatch.setattr(PostgresCursor, "run", run_once_lost)
    assert await postgres_store.run(unit) == ((7,) if within == "read" else None)
    assert len(runs) == 2


def void(_: object) -> None:
    """Take what nobody asks for."""


@pytest.fixture
async def poor_url(postgres: PostgresServer, postgres_url: str) -> AsyncIterator[str]:
    """Give the URL of the database for a user who may have three connections at one time."""
    connection = await postgres.connect(_name(postgres_url))
    await connection.execute("CREATE ROLE poor LOGIN CONNECTION LIMIT 3")
    for what in ("TABLES", "SEQUENCES"):
        await connection.execute(f"GRANT ALL ON ALL {what} IN SCHEMA public TO poor")
    yield postgres.direct_url(_name(postgres_url)).replace(f"//{ROLE}@", "//poor@")
    await connection.execute("DROP OWNED BY poor; DROP ROLE poor")
    await connection.close()


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


@pytest.mark.fault("F20")
async def test_where_no_connection_is_left_work_waits_for_one(poor_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()
    passes = lane.passes

    def noted(error: BaseException) -> bool:
        if lane.sqlstate(error) == "53300":
            refused.set()
        return passes(error)

    monkeypatch.setattr(lane, "passes", noted)
    async with await open_store(poor_url, version="0") as opened:
        await opened.store.run(put, "before")
        connection = await asyncpg.connect(poor_url.replace("//poor@", f"//{ROLE}@"))
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'poor'")
        greedy = []
        while len(greedy) < 3:
            try:
                greedy.append(await asyncpg.connect(poor_url))
            except asyncpg.TooManyConnectionsError:
                await connection.fetchval("SELECT pg_sleep(0.01)")
        work = [asyncio.create_task(opened.store.run(put, f"k{number}")) for number in range(20)]
        assert await asyncio.to_thread(refused.wait, DEADLINE)
        for one in greedy:
            await one.close()
        await asyncio.wait_for(asyncio.gather(*work), DEADLINE)
        assert len(await opened.store.read(keys)) == 21
        await connection.close()


@pytest.mark.fault("F20")
async def test_where_no_connection_comes_free_it_is_said_in_one_sentence(
    poor_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_PATIENCE", 0.3)
    greedy = [await asyncpg.connect(poor_url) for _ in range(3)]
    with pytest.raises(Unavailable, match=r"too many connections for role \"poor\""):
        await open_store(poor_url, version="0")
    for one in greedy:
        await one.close()
