"""What nothing points at any more is collected, and the file gets smaller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.oracle.world import World, manifest
from windlass.clock import SECOND
from windlass.engine.archiving import sweep
from windlass.engine.executing import execute
from windlass.engine.jobs import delete_job
from windlass.engine.manifests import ManifestText
from windlass.engine.starting import Start
from windlass.store.garbage import PORTION
from windlass.store.programs import Program, note_program
from windlass.store.transaction import Transaction

DAY = 86_400.0


@pytest.fixture
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world in a file whose archive keeps runs as long as the store."""
    request.node.user_properties.append(("store", "sqlite"))
    found = World(str(tmp_path / "windlass.db"), tmp_path, settings={"archive_retention": 60 * DAY})
    yield found
    await found.close()


async def count(world: World, table: str, where: str = "1") -> int:
    def unit(tx: Transaction) -> int:
        return int(tx.cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])  # noqa: S608 - the test's own

    return await world.engine.store.read(unit)


@pytest.mark.promise("C04", part="collection")
async def test_a_deleted_job_goes_once_its_last_run_has_left_the_archive(kept: World) -> None:
    stays = await kept.define("stays", steps={"a": {}})
    await kept.define("empty", steps={"a": {}})
    job = await kept.define("gone", steps={"a": {}})
    for one in (job, stays):
        await kept.submit(one)
    await (await kept.worker()).work()
    for alias in ("gone", "empty"):
        await delete_job(kept.engine, "default", alias)
    await sweep(kept.engine)
    assert await count(kept, "jobs") == 3
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    assert await count(kept, "jobs") == 2
    assert await count(kept, "archived_runs") == 2
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    await sweep(kept.engine)
    assert (await count(kept, "jobs"), await count(kept, "revisions")) == (1, 1)
    assert (await kept.prepare("stays")).job.alias == "stays"


@pytest.mark.promise("C04", part="collection")
async def test_manifests_that_ran_once_go_with_their_runs(kept: World) -> None:
    for number in range(3):
        text = ManifestText("job.yaml", manifest("once", steps={f"a{number}": {}}))
        await execute(kept.engine, text, Start(project="default", job=""), folder=None, by="test")
    await (await kept.worker(queues=("*", "exec"))).work()
    assert await count(kept, "revisions") == 3
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    if await count(kept, "runs") == 0:
        assert await count(kept, "revisions") == 3
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    assert await count(kept, "revisions") == await count(kept, "runs")


@pytest.mark.promise("H12")
async def test_workers_of_long_ago_are_forgotten(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    await kept.submit(job)
    first = await kept.worker("first")
    await first.take_one()
    await kept.lose()
    second = await kept.worker("second")
    assert await count(kept, "workers") == 2
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    assert await count(kept, "workers") == 1
    assert second.queue.worker_id == 2


@pytest.mark.promise("H12")
async def test_rows_of_limits_that_nobody_counts_under_go_and_their_runs_stay_in_line(kept: World) -> None:
    concurrency = {"limit": 1, "strategy": "queue", "key": "${{ parameters.n }}"}
    job = await kept.define(steps={"a": {}}, parameters={"n": {"type": "string"}}, concurrency=concurrency)
    for number in range(PORTION + 50):
        await kept.submit(job, parameters={"n": str(number)})
    await (await kept.worker()).work()
    first = await kept.submit(job, parameters={"n": "0"})
    waiting = await kept.submit(job, parameters={"n": "0"})
    assert await count(kept, "limit_keys") == PORTION + 50
    kept.clock.advance(3601)
    late = await kept.submit(job, parameters={"n": "7"})
    await sweep(kept.engine)
    assert await count(kept, "limit_keys") == 1
    runs = (first, waiting, late)
    assert [(await kept.run(one))["state"] for one in runs] == ["queued", "waiting", "queued"]
    await (await kept.worker("next")).work()
    assert [(await kept.run(one))["state"] for one in runs] == ["completed"] * 3


async def test_programs_that_were_killed_are_forgotten_though_none_leaves_cleanly(kept: World) -> None:
    for number in range(PORTION + 1):
        await kept.engine.store.run(note_program, Program(f"killed {number}", "0", "0020"), 60 * SECOND)
    kept.clock.advance(1800)
    await kept.engine.store.run(note_program, Program("at work", "0", "0022"), 3600 * SECOND)
    await sweep(kept.engine)
    assert await count(kept, "programs") == PORTION + 2
    kept.clock.advance(1900)
    await sweep(kept.engine)
    assert await count(kept, "programs") == await count(kept, "programs", "instance = 'at work'") == 1


@pytest.mark.promise("H12")
async def test_the_file_shrinks_when_much_has_left(kept: World) -> None:
    run_id = await kept.submit(await kept.define(steps={"a": {}}))
    await (await kept.worker()).work()

    def write(tx: Transaction) -> None:
        tx.cursor.executemany(
            "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, ?, 0, 'out', ?)",
            [(run_id, seq, b"x" * 60_000) for seq in range(300)],
        )

    await kept.engine.store.run(write)
    pages = "SELECT page_count FROM pragma_page_count"
    before = await kept.engine.store.read(lambda tx: tx.cursor.execute(pages).fetchone()[0])
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    after = await kept.engine.store.read(lambda tx: tx.cursor.execute(pages).fetchone()[0])
    assert before > 4_000
    assert after < 600
    check = await kept.engine.store.read(lambda tx: tx.cursor.execute("PRAGMA integrity_check").fetchone()[0])
    assert check == "ok"
