"""The schema: made at once, migrated step by step, in one transaction, by one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import windlass.store.migrations
from windlass.clock import ManualClock
from windlass.errors import CorruptStore, Unavailable
from windlass.ids import SequentialIds
from windlass.store.migrations import HEAD, VERSIONS
from windlass.store.schema_facts import schema_facts
from windlass.store.sqlite import SqliteStore
from windlass.store.upgrade import APPLICATION_ID, Upgrade, create_schema, migrate, store_id, upgrade


@pytest.fixture
async def migrated() -> SqliteStore:
    """Return an empty database in memory after all migrations."""
    store = SqliteStore(":memory:")
    store.connection.exec_driver_sql("BEGIN IMMEDIATE")
    migrate(store.connection)
    store.connection.exec_driver_sql("COMMIT")
    return store


def begun_at(folder: Path, revision: str) -> SqliteStore:
    """Return a store with the schema of an earlier revision, in a transaction that has begun."""
    store = SqliteStore(str(folder / "old.db"))
    config = Config()
    config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
    config.attributes["connection"] = store.connection
    store.connection.exec_driver_sql("BEGIN IMMEDIATE")
    command.upgrade(config, revision)
    return store


async def test_making_the_schema_at_once_gives_what_the_migrations_give(migrated: SqliteStore) -> None:
    made = SqliteStore(":memory:")
    create_schema(made.connection)
    facts = schema_facts(made.connection)
    assert facts == schema_facts(migrated.connection)
    assert {
        "table queue",
        "table runs without rowid",
        "unique key uq_queue_run_id_task of queue on (run_id, task)",
    } <= (facts)
    of_alembic = "SELECT sql FROM sqlite_master WHERE name = 'alembic_version'"
    tables = [store.connection.exec_driver_sql(of_alembic).scalar_one() for store in (made, migrated)]
    assert tables[0].split() == tables[1].split()
    for store in (made, migrated):
        assert store.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == HEAD
        await store.close()


def test_the_program_knows_every_migration_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(script.revision for script in reversed(scripts)) == VERSIONS


async def test_a_new_store_gets_its_schema_an_id_and_a_date() -> None:
    clock = ManualClock()
    store = SqliteStore(":memory:", clock=clock)
    assert upgrade(store, ids=SequentialIds()) == Upgrade(None, HEAD)
    assert store_id(store.connection) == "00000000-0000-0000-0000-000000000001"
    rows = store.connection.exec_driver_sql("SELECT key, value FROM store_info")
    assert dict(tuple(row) for row in rows)["created_at"] == str(clock.now())
    assert store.connection.exec_driver_sql("PRAGMA application_id").scalar_one() == APPLICATION_ID
    assert upgrade(store) == Upgrade(HEAD, HEAD)
    assert store_id(store.connection) == "00000000-0000-0000-0000-000000000001"
    await store.close()


def test_a_current_schema_is_recognised_without_alembic(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from windlass.store.open import open_store

async def twice():
    for _ in range(2):
        async with await open_store(sys.argv[1], version="0"):
            pass
    print("alembic" in sys.modules)

asyncio.run(twice())
"""
    url = f"sqlite:///{tmp_path}/windlass.db"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_a_newer_schema_is_refused_and_left_alone() -> None:
    store = SqliteStore(":memory:")
    upgrade(store)
    store.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(Unavailable, match=rf"newer Windlass \(its schema is 0999, this program knows up to {HEAD}\)"):
        upgrade(store)
    assert store.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "0999"
    await store.close()


async def test_another_programs_tables_are_refused_and_left_alone() -> None:
    store = SqliteStore(":memory:")
    store.connection.exec_driver_sql("CREATE TABLE songs (id INTEGER)")
    with pytest.raises(CorruptStore, match="none of Windlass"):
        upgrade(store)
    assert store.connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all() == ["songs"]
    await store.close()


async def test_a_schema_without_its_version_is_refused() -> None:
    store = SqliteStore(":memory:")
    upgrade(store)
    store.connection.exec_driver_sql("DELETE FROM alembic_version")
    with pytest.raises(CorruptStore, match="does not say which version"):
        upgrade(store)
    await store.close()


KILLED = '''
"""Fork a child for each statement of an upgrade, which kills itself there; say what it left behind."""

import os, signal, sqlite3, sys
from windlass.store import upgrade as upgrading
from windlass.store.sqlite import SqliteStore

folder, way = sys.argv[1], sys.argv[2]
if way == "migrate":
    import alembic.command, alembic.config
    upgrading.create_schema = upgrading.migrate  # the long way, as an older database takes it

def attempt(path, limit):
    store = SqliteStore(path)
    driver = store.connection.connection.driver_connection
    count = 0
    def trace(statement):
        nonlocal count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
    driver.set_trace_callback(trace)
    upgrading.upgrade(store)
    driver.set_trace_callback(None)
    os._exit(0)

for limit in range(1, 400):
    path = f"{folder}/{way}{limit}.db"
    child = os.fork()
    if child == 0:
        attempt(path, limit)
    _, status = os.waitpid(child, 0)
    left = sqlite3.connect(path)
    names = left.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    left.close()
    ended = os.WIFEXITED(status)
    print(int(ended), names, path, flush=True)
    if ended:
        break
'''


def killed_upgrades(folder: Path, way: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, folder, way], capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.promise("H07")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["at once", "migrate"])
async def test_an_upgrade_that_is_killed_at_any_statement_leaves_all_or_nothing(tmp_path: Path, way: str) -> None:
    done = killed_upgrades(tmp_path, way)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    complete = int(lines[-1][1])
    assert complete > 20
    assert lines[-1][0] == "1"
    assert {int(count) for ended, count, _ in lines if ended == "0"} <= {0, complete}
    assert len(lines) > 30
    for _, _, path in lines[:: len(lines) // 5]:
        store = SqliteStore(path)
        upgrade(store)
        fresh = SqliteStore(":memory:")
        upgrade(fresh)
        assert schema_facts(store.connection) == schema_facts(fresh.connection)
        for one in (store, fresh):
            await one.close()


async def test_runs_from_before_relations_are_plain_ones(tmp_path: Path) -> None:
    store = begun_at(tmp_path, "0003")
    store.connection.exec_driver_sql(
        "INSERT INTO runs (id, project, job_id, revision_id, state, priority, queue, parameters, created_at, deadline) "
        "VALUES (?, 'p', ?, 1, 'queued', 5, 'q', '{}', 1, 1)",
        (b"1" * 16, b"1" * 16),
    )
    store.connection.exec_driver_sql("COMMIT")
    assert upgrade(store) == Upgrade("0003", HEAD)
    rows = store.connection.exec_driver_sql("SELECT awaited, parent_task, cascades, deleting FROM runs").fetchall()
    assert [tuple(row) for row in rows] == [(0, None, 1, 0)]
    await store.close()


async def test_labels_of_runs_from_before_the_table_of_labels_are_found(tmp_path: Path) -> None:
    store = begun_at(tmp_path, "0001")
    for run_id, labels in ((b"1" * 16, '{"team":"data","kind":"one"}'), (b"2" * 16, None), (b"3" * 16, "{}")):
        store.connection.exec_driver_sql(
            "INSERT INTO runs (id, project, job_id, revision_id, state, priority, queue, parameters, labels, "
            "created_at, deadline) VALUES (?, 'p', ?, 1, 'queued', 5, 'q', '{}', ?, 1, 1)",
            (run_id, run_id, labels),
        )
    store.connection.exec_driver_sql("COMMIT")
    assert upgrade(store) == Upgrade("0001", HEAD)
    rows = store.connection.exec_driver_sql("SELECT name, value, run_id FROM run_labels").fetchall()
    assert [tuple(row) for row in rows] == [("kind", "one", b"1" * 16), ("team", "data", b"1" * 16)]
    await store.close()


async def test_limits_that_jobs_stated_before_they_were_in_force_hold_after_the_upgrade(tmp_path: Path) -> None:
    store = begun_at(tmp_path, "0009")
    rates = [{"resource": "api", "limit": 10**30, "window": 60}, {"resource": "disk", "limit": 2, "window": 0.5}]
    for number, (deleted, content) in enumerate(
        [(None, {"rateLimits": rates}), (1, {"rateLimits": rates}), (None, {})]
    ):
        job_id = bytes([number]) * 16
        store.connection.exec_driver_sql(
            "INSERT INTO jobs (id, project, alias, revision, labels, created_at, updated_at, deleted_at) "
            "VALUES (?, 'p', ?, 1, '{}', 1, 1, ?)",
            (job_id, f"j{number}", deleted),
        )
        store.connection.exec_driver_sql(
            "INSERT INTO revisions (job_id, number, digest, content, created_at) VALUES (?, 1, 'd', ?, 1)",
            (job_id, json.dumps(content)),
        )
    store.connection.exec_driver_sql("COMMIT")
    assert upgrade(store) == Upgrade("0009", HEAD)
    rows = store.connection.exec_driver_sql("SELECT job_id, project, resource, units, span FROM rate_limits")
    assert [tuple(row) for row in rows] == [
        (bytes(16), "p", "api", 10**9, 60_000_000),
        (bytes(16), "p", "disk", 2, 500_000),
    ]
    await store.close()


async def test_tasks_that_waited_for_a_run_are_known_by_it_after_the_upgrade(tmp_path: Path) -> None:
    store = begun_at(tmp_path, VERSIONS[0])
    before = [
        '{"atEnd":"failed","worker":"w","outputs":{},"child":"0190","cascade":true}',
        '{"atEnd":"failed","worker":"w","outputs":{},"event":{"type":"made","filter":{"child":"x"}}}',
    ]
    for task, detail in enumerate(before):
        store.connection.exec_driver_sql(
            "INSERT INTO queue (run_id, task, revision_id, route_id, priority, state, due, rank, wake_at, detail) "
            "VALUES (?, ?, 1, 1, 5, 'waiting', 1, 1, 1, ?)",
            (b"1" * 16, task, detail),
        )
    store.connection.exec_driver_sql("COMMIT")
    assert upgrade(store) == Upgrade(VERSIONS[0], HEAD)
    rows = store.connection.exec_driver_sql("SELECT detail FROM queue ORDER BY task").scalars().all()
    assert rows == ['{"child":"0190","atEnd":"failed","worker":"w","outputs":{},"cascade":true}', before[1]]
    await store.close()
