"""F24, F26, F28: many upgrade at once, many read beside a writer that dies, rows that nobody can read."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.config import Config

import windlass.store.migrations
from tests.fixtures.program import PROGRAM, program_environment
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.clock import SystemClock
from windlass.ids import Uuid7Source
from windlass.store.check import check
from windlass.store.migrations import HEAD, VERSIONS
from windlass.store.sqlite import SqliteStore
from windlass.store.upgrade import APPLICATION_ID, found_store, schema_version

SEED: Final = int(os.environ.get("TESTS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
#: Processes that upgrade at once.
MANY: Final = 4
#: Reads a database from outside without end, and looks at all of it each time.
READER: Final = """
import sqlite3, sys
while True:
    with sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=20) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.execute("SELECT count(*) FROM events").fetchone()
    connection.close()
    print(found, flush=True)
"""


async def older_store(path: Path, version: str) -> None:
    """Make a store of an earlier version, with a run in it."""
    path.parent.mkdir(mode=0o700)
    store = SqliteStore(str(path))
    connection = store.connection
    config = Config()
    config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
    config.attributes["connection"] = connection
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    command.upgrade(config, version)
    found_store(connection, SystemClock(), Uuid7Source())
    connection.exec_driver_sql(
        "INSERT INTO jobs (id, project, alias, revision, labels, created_at, updated_at) "
        "VALUES (?, 'default', 'old', 1, '{}', 1, 1)",
        (b"1" * 16,),
    )
    connection.exec_driver_sql("COMMIT")
    await store.close()


@pytest.mark.fault("F24")
@pytest.mark.promise("H07")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("version", VERSIONS[:1] + VERSIONS[-2:-1])
def test_many_upgrade_an_old_store_at_once_and_some_die(tmp_path: Path, version: str) -> None:
    print(f"TESTS_FAULT_SEED={SEED}")  # noqa: T201 - shown where the test fails
    dice = random.Random(f"{SEED} {version}")  # noqa: S311 - a game that can be played again
    home = tmp_path / "home"
    asyncio.run(older_store(home / "windlass.db", version))
    env = program_environment(home, tmp_path)

    def upgrading() -> subprocess.Popen[str]:
        command = [PROGRAM, "--json", "db", "upgrade"]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    first = [upgrading() for _ in range(MANY)]
    until(lambda: is_written(home / "windlass.db"), "an upgrade that has begun", pace=0.001)
    dying = first[: MANY // 2]
    dying[0].kill()
    for one in dying[1:]:
        with suppress(subprocess.TimeoutExpired):  # whoever was quicker has upgraded it
            one.wait(dice.uniform(0, 0.1))
        one.kill()
    for one in first:
        one.communicate(timeout=60)
    assert dying[0].returncode == -signal.SIGKILL, "it died while one of them upgraded"
    last = upgrading()
    output, errors = last.communicate(timeout=60)
    assert last.returncode == 0, errors
    assert f'"{HEAD}"' in output
    asyncio.run(whole(home / "windlass.db"))


def is_written(path: Path) -> bool:
    """Say whether somebody is in the middle of a transaction that writes."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


async def whole(path: Path) -> None:
    """Fail unless a store is of this version, sound, and has what was in it."""
    store = SqliteStore(str(path))
    assert schema_version(store.connection) == HEAD
    assert (await check(store)).problems == ()
    assert store.connection.exec_driver_sql("SELECT alias FROM jobs").scalars().all() == ["old"]
    await store.close()


@pytest.mark.fault("F26")
@pytest.mark.promise("H07")
@pytest.mark.timeout(180)
def test_readers_beside_a_writer_that_dies_see_a_whole_database(scene: Scene) -> None:
    scene.define(
        job=[{"name": "a", **step("head -c 100000 /dev/zero")}, {"name": "b", **step(":", onWorkerLost="retry")}]
    )
    client = scene.victim.start()
    seen: list[list[str]] = [[], []]
    reading = [
        subprocess.Popen([sys.executable, "-c", READER, scene.victim.database], stdout=subprocess.PIPE, text=True)
        for _ in seen
    ]

    def listen(process: subprocess.Popen[str], found: list[str]) -> None:
        assert process.stdout is not None
        found += [line.strip() for line in process.stdout]

    listening = [threading.Thread(target=listen, args=pair) for pair in zip(reading, seen, strict=True)]
    for one in listening:
        one.start()
    try:
        for _ in range(3):
            size = scene.ledger.size()
            for _ in range(20):
                scene.begin(client, "job")
            until(lambda size=size: scene.ledger.size() > size + 1500, "some work")  # type: ignore[misc]
            scene.victim.kill("owner")
            scene.assert_sound()
            client = scene.victim.start()
        scene.settle(client)
    finally:
        for process in reading:
            process.kill()
        for one in listening:
            one.join()
        for process in reading:
            process.communicate()
    assert all(len(found) > 2 for found in seen)
    assert {line for found in seen for line in found} == {"ok"}
    scene.finish()


@pytest.mark.fault("F28")
@pytest.mark.timeout(180)
def test_rows_that_nobody_can_read_end_alone(scene: Scene) -> None:
    scene.define(bad=step(":"), good=step(":"))
    client = scene.victim.start()
    client.post("queues", "default", "pause", body={})
    runs = {job: [scene.begin(client, job) for _ in range(3)] for job in ("bad", "good")}
    assert scene.victim.stop() == 0
    with closing(sqlite3.connect(scene.victim.database)) as connection:
        connection.execute(
            "UPDATE revisions SET content = '{\"steps\": 7}' WHERE job_id = (SELECT id FROM jobs WHERE alias = 'bad')"
        )
        connection.commit()
    client = scene.victim.start()
    client.post("queues", "default", "resume")
    ends = {run: until_final(scene, run) for run in (*runs["good"], *runs["bad"])}
    assert [ends[run] for run in runs["good"]] == [("completed", None)] * 3
    assert [ends[run] for run in runs["bad"]] == [("failed", "internal_error")] * 3
    for _ in range(3):
        run = scene.begin(client, "good")
        assert until_final(scene, run) == ("completed", None)
    assert scene.victim.stop() == 0
    assert not scene.ledger.living()


def until_final(scene: Scene, run: str) -> tuple[str, str | None]:
    """Return state and reason of a run once it is final, by the row itself: of some more cannot be read."""
    found: list[tuple[str, str | None]] = []

    def ended() -> bool:
        with closing(sqlite3.connect(f"file:{scene.victim.database}?mode=ro", uri=True)) as connection:
            row = connection.execute(
                "SELECT state, reason, finished_at FROM runs WHERE id = ?", (bytes.fromhex(run.replace("-", "")),)
            ).fetchone()
        found.append((row[0], row[1]))
        return row[2] is not None

    until(ended, f"the end of {run}", pace=0.05)
    return found[-1]
