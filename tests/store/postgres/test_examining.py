"""What `doctor` says of a PostgreSQL server: each thing brought about on a real one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from tests.fixtures.pgbouncer import Bouncer
from tests.fixtures.postgres import PORT, ROLE, VERSION, PostgresServer, started
from windlass.store.findings import Finding
from windlass.store.open import open_store
from windlass.store.place import ServerPlace, store_place
from windlass.store.postgres.examining.activity import open_transactions, prepared_transactions, replication_slots
from windlass.store.postgres.examining.examine import examine_server
from windlass.store.postgres.examining.server import clocks, connections, flushing, upkeep_of_rows, which_server
from windlass.store.postgres.examining.space import dead_rows, free_disk
from windlass.store.postgres.examining.way import pooler
from windlass.store.postgres.partitions import WEEK, partition_of


def place_of(url: str) -> ServerPlace:
    place = store_place(url).server
    assert place is not None
    return place


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Yield a server of this module's own, set up as none should be."""
    settings = ("autovacuum=off", "synchronous_commit=off", "max_prepared_transactions=5", "wal_keep_size=64MB")
    with started(VERSION, *settings) as found:
        yield found


@pytest.fixture
async def url(server: PostgresServer) -> AsyncIterator[str]:
    name = await server.made()
    yield server.direct_url(name)
    await server.drop(name)


@pytest.fixture
async def raw(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[Any]:
    """Yield a connection of somebody else's program."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "reports"})
    yield connection
    connection.terminate()


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.level, one.message) for one in found]


async def test_the_server_is_named(raw: Any, url: str) -> None:
    ((level, message),) = told(await which_server(raw, place_of(url)))
    assert (level, message.startswith(f"PostgreSQL {VERSION}."), ": UTF8, " in message) == ("ok", True, True)


@pytest.mark.parametrize(("ahead", "said"), [(0, None), (3600, "3,600 s ahead of"), (-60, "60 s behind")])
async def test_a_clock_that_is_apart(raw: Any, url: str, ahead: int, said: str | None) -> None:
    found = told(await clocks(raw, place_of(url), wall=lambda: time.time() + ahead))
    assert bool(found) == bool(said)
    for level, message in found:
        assert (level, f"the clock of this machine is {said} the database's" in message) == ("warning", True)


async def test_connections_that_are_nearly_used_up(raw: Any, url: str, server: PostgresServer) -> None:
    place = place_of(url)
    ((level, message),) = told(await connections(raw, place))
    assert (level, message.endswith("are free, by max_connections of the server")) == ("ok", True)
    name = url.partition("?")[0].rpartition("/")[2]
    await server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 5")
    ((level, message),) = told(await connections(raw, place))
    assert level == "warning"
    assert f" of 5 are free, by the limit of the database {name}, and a server takes up to 6" in message
    assert f"`ALTER DATABASE {name} CONNECTION LIMIT -1` lifts it" in message
    await server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    assert (await connections(raw, place))[0].level == "ok"


async def test_commits_that_are_not_flushed(raw: Any, url: str) -> None:
    found = await flushing(raw, place_of(url))
    assert [one.message.partition(" is off: ")[0] for one in found] == [
        "fsync",
        "full_page_writes",
        "synchronous_commit",
    ]
    await raw.execute("SET synchronous_commit = on")
    assert len(await flushing(raw, place_of(url))) == 2


async def test_autovacuum_that_is_off(raw: Any, url: str) -> None:
    await raw.execute("ALTER TABLE queue SET (autovacuum_enabled = off)")
    found = told(await upkeep_of_rows(raw, place_of(url)))
    assert [message.partition(":")[0] for _, message in found] == [
        "autovacuum is off",
        "autovacuum is off for the table queue",
    ]
    await raw.execute(found[1][1].split("`")[1])
    assert len(await upkeep_of_rows(raw, place_of(url))) == 1


async def test_a_transaction_that_stays_open(raw: Any, url: str, other: Any) -> None:
    place = place_of(url)
    await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await other.execute("SELECT count(*) FROM runs")
    assert await open_transactions(raw, place) == []
    ((level, message),) = told(await open_transactions(raw, place, longer=0))
    pid = other.get_server_pid()
    assert level == "warning"
    assert message.startswith(f"process {pid} of reports (role {ROLE}) has had a transaction open for ")
    assert "now idle in transaction: no row that went since can be taken away" in message
    await raw.fetchval(message.split("`")[1])
    while await open_transactions(raw, place, longer=0):
        pass


async def test_a_role_that_does_not_see_others_is_told_so(
    server: PostgresServer, url: str, raw: Any, other: Any
) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    await server.execute(f"CREATE ROLE blind_{name} LOGIN")
    await other.execute("BEGIN; SELECT pg_current_xact_id()")
    theirs = await asyncpg.connect(url.replace(f"//{ROLE}@", f"//blind_{name}@"))
    try:
        ((level, message),) = told(await open_transactions(theirs, place_of(url), longer=0))
        assert (level, f"cannot be seen by blind_{name}" in message) == ("ok", True)
        await raw.execute(message.split("`")[1])
        found = told(await open_transactions(theirs, place_of(url), longer=0))
        assert [level for level, _ in found] == ["warning"]
        # Nothing else is beyond such a role.
        assert not [one for one in await examine_server(theirs, place_of(url)) if "could not be" in one.message]
    finally:
        await theirs.close()
        await server.execute(f"REVOKE pg_read_all_stats FROM blind_{name}; DROP ROLE blind_{name}")


async def test_a_transaction_that_was_prepared_and_forgotten(raw: Any, url: str, other: Any) -> None:
    place = place_of(url)
    await other.execute("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'of-reports'")
    assert await prepared_transactions(raw, place) == []
    ((level, message),) = told(await prepared_transactions(raw, place, longer=0))
    assert (level, f"the transaction 'of-reports' of {ROLE} was prepared" in message) == ("warning", True)
    await raw.execute("ROLLBACK PREPARED 'of-reports'")
    assert await prepared_transactions(raw, place, longer=0) == []


async def test_a_replication_slot_that_keeps_the_log(raw: Any, url: str) -> None:
    place = place_of(url)
    await raw.fetchval("SELECT pg_create_physical_replication_slot('gone', true)")
    try:
        await raw.execute("CREATE TABLE more AS SELECT repeat('x', 500) FROM generate_series(1, 20000)")
        assert await replication_slots(raw, place) == []
        ((level, message),) = told(await replication_slots(raw, place, more=1 << 20))
        assert level == "warning"
        assert message.startswith("the replication slot gone, whose reader is gone, keeps ")
    finally:
        await raw.fetchval("SELECT pg_drop_replication_slot('gone')")
    assert await replication_slots(raw, place, more=1) == []


async def test_rows_that_are_gone_and_stay(raw: Any, url: str, other: Any) -> None:
    place = place_of(url)
    await other.execute(
        "INSERT INTO store_info SELECT 'k' || n, '' FROM generate_series(1, 2000) n; DELETE FROM store_info WHERE "
        "key ~ '^k'"
    )
    await other.close()  # what it did is counted by then
    while not (found := told(await dead_rows(raw, place, many=1000))):
        await raw.execute("SELECT pg_stat_clear_snapshot()")
    ((level, message),) = found
    assert (level, message.startswith("2,000 rows of store_info are gone beside")) == ("warning", True)
    assert "(vacuumed: never)" in message
    await raw.execute(message.split("`")[1])
    while await dead_rows(raw, place, many=1000):
        await raw.execute("SELECT pg_stat_clear_snapshot()")


async def test_the_disk_of_a_server_on_this_machine(raw: Any, url: str, server: PostgresServer) -> None:
    place = place_of(url)
    ((level, message),) = told(await free_disk(raw, place))
    assert (level, message.endswith(f"MiB are free below {server.folder}/data")) == ("ok", True)
    assert (await free_disk(raw, place, scarce=1 << 60))[0].level == "warning"
    await raw.execute("CREATE ROLE nobody_much; SET ROLE nobody_much")
    ((level, message),) = told(await free_disk(raw, place))
    await raw.execute("RESET ROLE; DROP ROLE nobody_much")
    assert (level, "cannot be seen from here" in message) == ("ok", True)


async def test_a_pooler_that_the_url_does_not_tell_of(server: PostgresServer, raw: Any, url: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    with Bouncer(server.folder, PORT, ROLE, pool=2) as bouncer:
        said = bouncer.url(name)
        behind = await asyncpg.connect(said.partition("?")[0], statement_cache_size=0)
        try:
            assert (await pooler(behind, place_of(url)))[0].level == "warning"
            found = told(await pooler(behind, place_of(f"{url}&pgbouncer=true")))
            assert (found[0][0], "`listen=HOST:PORT`" in found[0][1]) == ("ok", True)
            found = told(await pooler(behind, place_of(f"{url}&pgbouncer=true&listen=db:5432")))
            assert found == [("ok", "PgBouncer, with hints from the server itself")]
        finally:
            await behind.close()
    ((level, message),) = told(await pooler(raw, place_of(f"{url}&pgbouncer=true")))
    assert (level, "no pooler is there" in message) == ("warning", True)
    assert await pooler(raw, place_of(url)) == []


async def test_indexes_and_partitions_that_are_not_as_they_should_be(raw: Any, url: str) -> None:
    async with await open_store(url, version="0") as opened:
        await opened.store.tend()
        before = {one.check for one in await opened.store.examine()}
        assert not before & {"indexes", "partitions"}
        await raw.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_queue_held'::regclass")
        millis = int(await raw.fetchval("SELECT extract(epoch FROM now()) * 1000"))
        late = partition_of("tasks", millis + WEEK).name
        await raw.execute(f"DROP TABLE {late}; ALTER TABLE attempts DETACH PARTITION attempts_rest")
        found = {(one.check, one.level): one.message for one in await opened.store.examine()}
        assert "the index ix_queue_held of queue was never finished; `windlass doctor" in found["indexes", "error"]
        assert "has no partition for what belongs to no other one" in found["partitions", "error"]
        assert f"the table tasks has no partition {late} for next week yet" in found["partitions", "warning"]


async def test_what_cannot_be_asked_keeps_the_rest_from_nothing(raw: Any, url: str) -> None:
    await raw.execute("CREATE TEMP VIEW pg_replication_slots AS SELECT 1 AS slot_name")  # it comes first
    await raw.execute("SET search_path = public, pg_temp, pg_catalog")
    found = await examine_server(raw, place_of(url))
    assert [one.check for one in found if "this could not be looked at: " in one.message] == ["replication"]
    assert found[-1].check == "database disk"
