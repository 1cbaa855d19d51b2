"""F24 on PostgreSQL: upgrades that are killed at any statement, that meet each other, that others are in the way of."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

import windlass.store.migrations
from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.oracle.crash import until
from tests.oracle.scene import step
from windlass.clock import SystemClock
from windlass.ids import Uuid7Source
from windlass.store.check import Check, check
from windlass.store.migrations import HEAD, VERSIONS
from windlass.store.open import open_store
from windlass.store.place import store_place
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction
from windlass.store.upgrade import found_store

pytestmark = [pytest.mark.fault("F24"), pytest.mark.promise("H07"), pytest.mark.timeout(300)]
RETRY = {"onWorkerLost": "retry"}

KILLED = '''
"""Fork a child for some statements of an upgrade, which kills itself there; say how each ended."""

import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from windlass.store.open import open_store
import alembic.command, alembic.config, windlass.store.postgres.opening

*urls, = sys.argv[1:]

async def upgrade(url):
    async with await open_store(url, version="0"):
        pass

def attempt(url, limit):
    count = 0
    @event.listens_for(Engine, "before_cursor_execute")
    def trace(connection, cursor, statement, *_):
        nonlocal count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(upgrade(url))
    print(count, flush=True)
    os._exit(0)

for place, url in enumerate(urls):
    child = os.fork()
    if child == 0:
        attempt(url, 1 + place * int(os.environ["PACE"]))
    os.waitpid(child, 0)
'''


def older_store(url: str, version: str) -> None:
    """Make a store of an earlier version, with a job in it."""

    def make(tx: Transaction) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
        config.attributes["connection"] = tx.connection
        command.upgrade(config, version)
        found_store(tx.connection, SystemClock(), Uuid7Source())
        tx.cursor.execute(
            "INSERT INTO jobs (id, project, alias, revision, labels, created_at, updated_at) "
            "VALUES (?, 'default', 'old', 1, '{}', 1, 1)",
            (b"1" * 16,),
        )

    async def work() -> None:
        place = store_place(url).server
        assert place is not None
        store = PostgresStore(place)
        await store.run(make)
        await store.close()

    asyncio.run(work())


def whole(url: str) -> None:
    """Open a store, which upgrades it; fail unless it is of this version then, sound, and has what was in it."""

    async def work() -> tuple[Check, list[Any]]:
        async with await open_store(url, version="0") as opened:
            await opened.store.tend()
            aliases = "SELECT alias FROM jobs"
            return await check(opened.store), await opened.store.read(lambda tx: list(tx.cursor.execute(aliases)))

    found, jobs = asyncio.run(work())
    assert (found.version, found.problems) == (HEAD, ())
    assert jobs == [("old",)]


def test_an_upgrade_that_is_killed_at_a_statement_leaves_the_old_store_or_the_new_one(pg: Database) -> None:
    first = pg.make()
    older_store(first, VERSIONS[0])
    name = first.rpartition("/")[2]
    urls = []
    for number in range(14):
        copy = f"{name}_{number}"
        pg.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
        urls.append(pg.url(copy))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *urls],
        env={"PACE": "17"},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    ended = done.stdout.split()
    assert len(ended) < len(urls) - 5, f"most of them died on the way: {ended}"
    versions = set()
    for url in urls:
        database = url.rpartition("/")[2]
        versions.add(pg.execute("SELECT version_num FROM alembic_version", database=database)[0][0])
        whole(url)
    assert versions == {VERSIONS[0], HEAD}


def test_servers_that_upgrade_an_old_store_at_once_and_die_leave_one_whole_store(
    make_fleet: MakeFleet, pg: Database, fault_seed: int
) -> None:
    dice = random.Random(fault_seed)  # noqa: S311 - a game that can be played again
    url = pg.make()
    older_store(url, VERSIONS[0])
    fleet = make_fleet(url, servers=4, worker_slots="1")
    name = url.rpartition("/")[2]
    begun = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'ALTER TABLE%' AND state <> 'idle'"
    doomed = [one.begin("db", "upgrade") for one in fleet.servers]
    for one in doomed[:3]:
        until(
            lambda: bool(pg.execute(begun, name)) or dice.random() < 0.02 or all(p.poll() is not None for p in doomed),
            "an upgrade that has begun",
        )
        one.kill()
    for one in doomed:
        one.communicate(timeout=60)
    assert doomed[3].returncode == 0
    whole(url)
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(short=step(":", **RETRY))
    for client in clients:
        scene.begin(client, "short")
    fleet.settle(clients[0])
    scene.finish()


def test_who_holds_a_table_delays_the_upgrade_and_not_the_queue(make_fleet: MakeFleet, pg: Database) -> None:
    fleet = make_fleet(pg.make(), servers=2, worker_slots="4")
    name = str(fleet.url).rpartition("/")[2]
    clients = fleet.start()
    scene = FleetScene(fleet)
    scene.define(short=step(":", **RETRY))
    scene.begin(clients[0], "short")
    fleet.settle(clients[0])

    async def held() -> tuple[int, str]:
        connection = await asyncpg.connect(pg.url(name))
        try:
            async with connection.transaction():
                await connection.execute("SELECT 1 FROM runs LIMIT 1")  # as a dump does, for hours
                return await asyncio.to_thread(refused)
        finally:
            await connection.close()

    def refused() -> tuple[int, str]:
        done = fleet.servers[0].run_apart([sys.executable, "-c", LATER], home=fleet.folder / "another")
        scene.begin(clients[1], "short")
        fleet.settle(clients[1])
        return done.returncode, done.stdout

    code, said = asyncio.run(held())
    assert code == 0, said
    assert "Others held for too long what this needed" in said
    assert scene.said("end") == 2
    scene.finish()


LATER = '''
"""Change a table as the migration of an upgrade does, and print what comes of it."""

import asyncio, os
from windlass.errors import Unavailable
from windlass.store.open import open_store
from windlass.store.postgres import opening

def change(tx):
    tx.cursor.execute(f"SET LOCAL lock_timeout = {opening._LOCK}")
    tx.connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN later BIGINT")

async def main():
    async with await open_store(os.environ["WINDLASS_DATABASE_URL"], version="0") as opened:
        try:
            await opened.store.run(change)
        except Unavailable as error:
            print(error)

asyncio.run(main())
'''
