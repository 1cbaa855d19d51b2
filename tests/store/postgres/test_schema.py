"""The schema on PostgreSQL: made at once, migrated step by step, compared with what is declared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fixtures.older import make_older
from tests.fixtures.postgres import PostgresServer, PostgresServers
from windlass.errors import Unavailable
from windlass.store.check import check
from windlass.store.deviations import Deviations
from windlass.store.migrations import HEAD, VERSIONS
from windlass.store.open import open_store
from windlass.store.place import store_place
from windlass.store.postgres.drift import drift
from windlass.store.postgres.store import PostgresStore
from windlass.store.schema_facts import schema_facts
from windlass.store.transaction import Transaction
from windlass.store.upgrade import Upgrade, create_schema, has_newer_schema, migrate


@pytest.fixture(params=["15", "16", "18"])
def server(request: pytest.FixtureRequest, postgres_servers: PostgresServers) -> PostgresServer:
    """Return a server of each version that is supported."""
    return postgres_servers.of(request.param)


@pytest.fixture
async def empty(server: PostgresServer) -> AsyncIterator[str]:
    """Yield the URL of a database with nothing in it."""
    name = await server.empty()
    yield server.url(name)
    await server.drop(name)


async def facts_of(url: str, make: object) -> tuple[frozenset[str], Deviations]:
    place = store_place(url).server
    assert place is not None
    store = PostgresStore(place)
    try:
        await store.run(lambda tx: make(tx.connection))  # type: ignore[operator]
        await store.tend()  # indexes that an upgrade leaves for later
        return await store.read(lambda tx: (schema_facts(tx.connection), drift(tx.connection)))
    finally:
        await store.close()


async def test_the_migrations_give_what_is_declared_and_what_is_made_at_once(
    server: PostgresServer, empty: str
) -> None:
    migrated, drifted = await facts_of(empty, migrate)
    assert drifted.problems == ()
    other = await server.empty()
    made, _ = await facts_of(server.url(other), create_schema)
    await server.drop(other)
    assert migrated == made
    assert any(fact.startswith("index ix_queue_ready of queue on (route_id, rank, id) where") for fact in made)
    assert 'column runs.project TEXT COLLATE "C" NOT NULL' in made


async def test_a_new_database_gets_its_schema_once_whoever_comes_first(empty: str) -> None:
    opened = await asyncio.gather(*(open_store(empty, version="0") for _ in range(4)))
    assert len({one.id for one in opened}) == 1
    assert any(one.upgrade.before is None for one in opened)
    for one in opened:
        await one.close()
    async with await open_store(empty, version="0") as again:
        assert (again.id, again.upgrade) == (opened[0].id, Upgrade(HEAD, HEAD))


async def test_an_older_schema_is_brought_up_and_a_newer_one_is_left_alone(empty: str) -> None:
    await make_older(empty, VERSIONS[0])
    async with await open_store(empty, version="0") as opened:
        assert opened.upgrade == Upgrade(VERSIONS[0], HEAD)
        await opened.store.tend()
        assert (await check(opened.store)).problems == ()
        await opened.store.run(lambda tx: tx.cursor.execute("UPDATE alembic_version SET version_num = '9999'"))
    async with await open_store(empty, version="0") as opened:
        assert opened.upgrade == Upgrade("9999", "9999"), "whoever upgraded it said that this program can use it"
        found = await check(opened.store)
        assert found.problems == ()
        assert any("of a newer Windlass" in note for note in found.notes)
        assert await opened.store.read(has_newer_schema)
        await opened.store.run(lambda tx: tx.cursor.execute("UPDATE store_info SET value = '9999' WHERE key = 'floor'"))
    with pytest.raises(Unavailable, match="written by a newer Windlass"):
        await open_store(empty, version="0")


async def test_a_check_sees_how_a_schema_drifted(postgres_store: PostgresStore) -> None:
    found = await check(postgres_store)
    assert (found.version, found.problems) == (HEAD, ())
    assert any("fsync = off" in note for note in found.notes)

    def drift_away(tx: Transaction) -> None:
        tx.cursor.execute("ALTER TABLE runs ALTER COLUMN note SET NOT NULL")
        tx.cursor.execute("DROP INDEX ix_queue_wake")
        tx.cursor.execute("ALTER TABLE queue ALTER COLUMN fence DROP DEFAULT")
        tx.cursor.execute("ALTER TABLE queue ADD COLUMN colour TEXT")
        tx.cursor.execute("CREATE TABLE of_others (id int)")
        tx.cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_queue_held'::regclass")

    await postgres_store.run(drift_away)
    found = await check(postgres_store)
    assert found.problems == (
        "The column queue.fence is INTEGER NOT NULL and should be INTEGER NOT NULL DEFAULT: restore a backup.",
        'The column runs.note is TEXT COLLATE "C" NOT NULL and should be TEXT COLLATE "C": restore a backup.',
        "The schema lacks: index ix_queue_wake of queue on (wake_at) where ...; `windlass doctor --repair` makes it.",
        "The index ix_queue_held of queue was never finished; `windlass doctor --repair` makes it anew.",
    )
    assert "The schema has besides: column queue.colour TEXT; it is left alone." in found.notes


async def test_tables_of_others_are_left_alone(postgres: PostgresServer) -> None:
    name = await postgres.empty()
    connection = await postgres.connect(name)
    await connection.execute("CREATE TABLE cars (id int)")
    async with await open_store(postgres.url(name), version="0"):
        pass
    assert await connection.fetchval("SELECT count(*) FROM cars") == 0
    other = await postgres.empty()
    theirs = await postgres.connect(other)
    await theirs.execute("CREATE TABLE jobs (id int)")
    with pytest.raises(Unavailable, match="has a table jobs that is not of Windlass; nothing was changed"):
        await open_store(postgres.url(other), version="0")
    assert await theirs.fetchval("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == 1
    for one in (connection, theirs):
        await one.close()
