# ruff: noqa: S608 - the only texts put together here are names of our own tables
"""History in partitions: made ahead, dropped once their runs have left, and nobody waits for any of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from tests.fixtures.postgres import PostgresServer, PostgresServers
from windlass.clock import ManualClock
from windlass.ids import SequentialIds, first_of
from windlass.store.check import check
from windlass.store.columns import partitioned_tables
from windlass.store.open import open_store
from windlass.store.place import store_place
from windlass.store.postgres import partitions
from windlass.store.postgres.late_indexes import make_indexes
from windlass.store.postgres.partitions import AHEAD, WEEK, partition_of
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction
from windlass.store.upgrade import found_store

pytestmark = pytest.mark.promise("H04")
TABLES = sorted(partitioned_tables())


def at(tx: Transaction, table: str, run_id: bytes) -> str | None:
    """Return the partition in which the rows of a run stand."""
    row = tx.cursor.execute(f"SELECT tableoid::regclass::text FROM {table} WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else str(row[0])


def names(tx: Transaction) -> set[str]:
    """Return the names of all partitions."""
    return {row[0] for row in tx.cursor.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")}


def keep(tx: Transaction, run_id: bytes, *, run: bool = True) -> None:
    """Write rows of a run that has ended."""
    if run:
        tx.cursor.execute(
            "INSERT INTO runs (id, project, job_id, revision_id, state, priority, queue, parameters, created_at, "
            "finished_at, deadline) VALUES (?, 'default', ?, 1, 'completed', 50, 'default', '{}', 1, 1, 1)",
            (run_id, run_id),
        )
    tx.cursor.execute(
        "INSERT INTO tasks (run_id, task, state, attempt, ended_at) VALUES (?, 0, 'completed', 1, 1)", (run_id,)
    )
    tx.cursor.execute("INSERT INTO attempts (run_id, task, number, outcome) VALUES (?, 0, 1, 'failed')", (run_id,))
    tx.cursor.execute(
        "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, 0, 1, 'stdout', 'x')",
        (run_id,),
    )


def go(tx: Transaction, run_id: bytes) -> None:
    """Remove a run, and leave what it left behind to the partitions."""
    tx.cursor.execute("DELETE FROM runs WHERE id = ?", (run_id,))


def of(millis: int) -> set[str]:
    """Return the names of the partitions for a time."""
    return {partition_of(table, millis).name for table in TABLES}


def proofs(tx: Transaction) -> set[str]:
    """Return the names of what keeps rows out of the rest."""
    return {row[0] for row in tx.cursor.execute("SELECT conname FROM pg_constraint WHERE conname LIKE '%_apart'")}


#: Microseconds since the epoch; no week begins soon.
TUESDAY = 1_750_000_000_000_000 + 2 * 86_400_000_000
RESTS = {f"{table}_rest" for table in TABLES}


@pytest.fixture(params=["15", "16", "18"])
async def url(request: pytest.FixtureRequest, postgres_servers: PostgresServers) -> AsyncIterator[str]:
    """Yield the URL of an empty database on each version of the server."""
    server = postgres_servers.of(request.param)
    name = await server.empty()
    yield server.url(name)
    await server.drop(name)


async def test_rows_stand_in_the_week_of_their_run_and_go_with_it(url: str) -> None:
    clock = ManualClock()
    now = clock.now() // 1000
    async with await open_store(url, version="0", clock=clock) as opened:
        store = opened.store
        weeks = [now + week * WEEK for week in range(AHEAD + 1)]
        assert await store.read(names) == RESTS.union(*map(of, weeks))
        mine, other = first_of(now + 1), first_of(now + WEEK)
        for run_id in (mine, other):
            await store.run(keep, run_id)
        for table in TABLES:
            assert await store.read(at, table, mine) == partition_of(table, now).name
            assert await store.read(at, table, other) == partition_of(table, now + WEEK).name
        assert await store.tend() == []

        clock.advance(4 * 7 * 86_400)  # four weeks on: one week has ended whole, and nobody has left it
        done = await store.tend()
        assert sum(one.startswith("made") for one in done) == 4 * len(TABLES)
        assert not any(f"dropped the partition {name}" in done for name in of(now) | of(now + WEEK))
        assert sum(one.startswith("dropped") for one in done) == len(TABLES), "of the week in which there was nothing"
        await store.run(go, mine)
        assert {f"dropped the partition {name}" for name in of(now)} == set(await store.tend())
        assert await store.read(names) & of(now) == set()
        assert await store.read(at, "tasks", other) is not None

        await store.run(keep, mine)  # as what comes back from an archive
        assert {await store.read(at, table, mine) for table in TABLES} == RESTS
        assert await store.tend() == []


async def test_a_run_that_is_leaving_or_coming_back_keeps_its_partition(postgres_store: PostgresStore) -> None:
    def mark(tx: Transaction, run_id: bytes, removed: int) -> None:
        tx.cursor.execute("DELETE FROM archived_runs")
        columns = {
            row[0]: "''" if row[1] == "text" else "'\\x00'" if row[1] == "bytea" else "1"
            for row in tx.cursor.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'archived_runs' "
                "AND is_nullable = 'NO' AND column_name NOT IN ('run_id', 'removed', 'state')"
            ).fetchall()
        }
        tx.cursor.execute(
            f"INSERT INTO archived_runs (run_id, removed, state, {', '.join(columns)}) "
            f"VALUES (?, ?, 'completed', {', '.join(columns.values())})",
            (run_id, removed),
        )

    store = postgres_store
    now = await store.read(lambda tx: tx.now // 1000)
    long_ago = now - 60 * 7 * 86_400_000
    run_id = first_of(long_ago)

    def make(tx: Transaction) -> None:
        for table in TABLES:
            one = partition_of(table, long_ago)
            tx.cursor.execute(f"CREATE TABLE {one.name} PARTITION OF {table} {one.values}")
        keep(tx, run_id, run=False)
        mark(tx, run_id, 0)

    await store.run(make)
    assert await store.tend() == []
    assert await store.read(at, "log_chunks", run_id) == partition_of("log_chunks", long_ago).name
    await store.run(mark, run_id, 1)
    assert len(await store.tend()) == len(TABLES)
    assert await store.read(names) & of(long_ago) == set()


async def older(url: str, clock: ManualClock, rows: list[bytes]) -> None:
    """Make a store as it was before there were partitions, with rows in it."""

    def make(tx: Transaction) -> None:
        config = Config()
        config.set_main_option("script_location", "windlass:store/migrations")
        config.attributes["connection"] = tx.connection
        command.upgrade(config, "0020")
        found_store(tx.connection, clock, SequentialIds())
        for run_id in rows:
            keep(tx, run_id)

    place = partitions_place(url)
    store = PostgresStore(place, clock=clock)
    await store.run(make)
    await store.close()


async def indexed(url: str) -> None:
    """Make the indexes that came since, as upkeep does before long: what is looked at here are the partitions."""
    connection = await asyncpg.connect(url)
    await make_indexes(connection)
    await connection.close()


def partitions_place(url: str) -> Any:
    """Return where a store is."""
    return store_place(url).server


@pytest.mark.parametrize("large", [False, True])
async def test_a_store_of_before_keeps_its_rows_and_gets_partitions_for_the_time_to_come(
    url: str, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(partitions, "_SMALL", 0)
    clock = ManualClock(TUESDAY)
    now = clock.now() // 1000
    old, this = first_of(now - 20 * WEEK), first_of(now)
    await older(url, clock, [old, this])
    async with await open_store(url, version="0", clock=clock) as opened:
        store = opened.store
        assert await store.read(names) == RESTS
        await indexed(url)
        done = await store.tend()
        made = set().union(*(of(now + week * WEEK) for week in range(1, AHEAD + 1)))
        assert set(done) == {f"made the partition {name}" for name in made}, "this week has rows where they were"
        found = await check(store)
        assert found.problems == ()
        later = first_of(now + WEEK)
        await store.run(keep, later)
        assert await store.read(at, "tasks", later) == partition_of("tasks", now + WEEK).name
        assert {await store.read(at, table, run_id) for table in TABLES for run_id in (old, this)} == RESTS
        assert await store.read(proofs) == set()

        def leave(tx: Transaction) -> None:
            for table in TABLES:
                tx.cursor.execute(f"DELETE FROM {table} WHERE run_id = ANY(?)", ([old, this],))

        await store.run(leave)
        emptied = {f"emptied {name}" for name in RESTS}
        if large:
            assert set(await store.tend()) == emptied
            monkeypatch.undo()
        assert {f"made the partition {name}" for name in of(now)} == set(await store.tend())


async def test_what_was_cut_off_is_gone_on_with(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_SMALL", 0)
    clock = ManualClock()
    async with await open_store(postgres_url, version="0", clock=clock) as opened:
        store = opened.store
        clock.advance(7 * 86_400)
        wanted = partition_of("tasks", clock.now() // 1000 + AHEAD * WEEK)

        def half(tx: Transaction) -> None:
            tx.cursor.execute(
                f"ALTER TABLE tasks_rest ADD CONSTRAINT ck_{wanted.name}_apart CHECK (NOT ({wanted.bounds})) NOT VALID"
            )

        await store.run(half)
        assert f"made the partition {wanted.name}" in await store.tend()
        assert (await check(store)).problems == ()


async def test_who_uses_a_table_keeps_it_and_nobody_waits_behind(postgres_url: str) -> None:
    clock = ManualClock()
    foreign = await asyncpg.connect(postgres_url)
    async with await open_store(postgres_url, version="0", clock=clock) as opened:
        store = opened.store
        now = clock.now() // 1000
        clock.advance(6 * 7 * 86_400)
        await store.tend()
        run_id = first_of(clock.now() // 1000)
        old = now + 3 * WEEK
        await store.run(lambda tx: [tx.cursor.execute(f"CREATE TABLE {one.name} PARTITION OF {one.table} {one.values}")
                                    for one in (partition_of(table, old) for table in TABLES)])  # fmt: skip
        transaction = foreign.transaction()
        await transaction.start()
        for table in TABLES:
            await foreign.fetch(f"SELECT * FROM {table}")  # a dump holds them like this
        tending = asyncio.create_task(store.tend())
        while not tending.done():
            await store.run(keep, run_id)
            await store.run(lambda tx: [tx.cursor.execute(f"DELETE FROM {table}") for table in (*TABLES, "runs")])
        assert await tending == []
        assert of(old) <= await store.read(names)
        await transaction.rollback()
        assert {f"dropped the partition {name}" for name in of(old)} == set(await store.tend())
    await foreign.close()


async def test_rows_of_this_week_are_taken_while_what_is_there_is_looked_through(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody begins to use the tables after the proof was begun, and stays."""
    monkeypatch.setattr(partitions, "_SMALL", 0)
    clock = ManualClock(TUESDAY)
    now = clock.now() // 1000
    run_id = first_of(now)
    name = await postgres.empty()
    # Whoever looks through the rest waits at first, with no lock on it, as if there were much to look through.
    foreign = await asyncpg.connect(postgres.direct_url(name))
    await foreign.execute(
        "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_query() LIKE '%VALIDATE%' THEN PERFORM pg_advisory_xact_lock(77); END IF; END $$; "
        "CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION wait()"
    )
    reader = await asyncpg.connect(postgres.direct_url(name))
    await older(postgres.url(name), clock, [first_of(now - 20 * WEEK)])
    async with await open_store(postgres.url(name), version="0", clock=clock) as opened:
        store = opened.store
        await indexed(postgres.direct_url(name))
        await foreign.execute("SELECT pg_advisory_lock(77)")
        tending = asyncio.create_task(store.tend())
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
        while not await foreign.fetchval(waits):
            assert not tending.done()
        transaction = reader.transaction()
        await transaction.start()
        for table in TABLES:
            await reader.fetch(f"SELECT * FROM {table}_rest")
        await store.run(keep, run_id)
        await foreign.execute("SELECT pg_advisory_unlock(77)")
        assert await tending == []
        assert await store.read(proofs), "the time to come may stay proven"
        await store.run(keep, first_of(now + 1))
        assert {await store.read(at, table, run_id) for table in TABLES} == RESTS
        assert (await check(store)).problems == ()
        await transaction.rollback()
        made = set().union(*(of(now + week * WEEK) for week in range(1, AHEAD + 1)))
        assert set(await store.tend()) == {f"made the partition {name}" for name in made}
        assert await store.read(proofs) == set()
    await reader.close()
    await foreign.close()
    await postgres.drop(name)


async def test_a_proof_whose_week_has_come_is_let_go_of_first(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_SMALL", 0)
    clock = ManualClock(TUESDAY)
    async with await open_store(postgres_url, version="0", clock=clock) as opened:
        store = opened.store
        clock.advance((AHEAD + 1) * 7 * 86_400)
        run_id = first_of(clock.now() // 1000)

        def prove(tx: Transaction) -> None:
            for table in TABLES:
                one = partition_of(table, clock.now() // 1000)
                tx.cursor.execute(
                    f"ALTER TABLE {table}_rest ADD CONSTRAINT ck_{one.name}_apart CHECK (NOT ({one.bounds}))"
                )

        await store.run(prove)
        with pytest.raises(asyncpg.CheckViolationError):
            await store.run(keep, run_id)
        await store.tend()
        assert await store.read(proofs) == set()
        await store.run(keep, run_id)
        assert {await store.read(at, table, run_id) for table in TABLES} == RESTS


async def test_a_check_names_a_proof_that_refuses_rows(postgres_store: PostgresStore) -> None:
    def prove(tx: Transaction) -> None:
        millis = tx.cursor.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint").fetchone()[0]
        one = partition_of("tasks", millis)
        tx.cursor.execute(f"ALTER TABLE tasks_rest ADD CONSTRAINT ck_{one.name}_apart CHECK (NOT ({one.bounds}))")

    await postgres_store.run(prove)
    (problem,) = (await check(postgres_store)).problems
    assert problem.startswith("The table tasks_rest refuses rows of this time by ck_tasks_")
    command = problem.split("`")[1]
    await postgres_store.run(lambda tx: tx.cursor.execute(command))
    assert (await check(postgres_store)).problems == ()


async def test_a_check_names_what_is_missing(postgres_store: PostgresStore) -> None:
    def break_off(tx: Transaction) -> None:
        tx.cursor.execute("ALTER TABLE tasks DETACH PARTITION tasks_rest")

    await postgres_store.run(break_off)
    found = await check(postgres_store)
    assert found.problems == (
        (
            "The table tasks has no partition for what belongs to no other one: have it back with "
            "`ALTER TABLE tasks ATTACH PARTITION tasks_rest DEFAULT`."
        ),
    )
    assert any("has no partition log_chunks_" in note and "for next week" in note for note in found.notes), (
        "the test's clock is not the server's"
    )
