"""What nobody else would move the reconciler moves, whatever was done to the rows."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.conservation import forgotten, losses
from tests.oracle.snapshot import take_snapshot
from tests.oracle.world import World
from windlass.engine.archiving import sweep
from windlass.engine.dependencies import Dependency
from windlass.engine.services import custodian as custody
from windlass.engine.services.custodian import Custodian, give_up
from windlass.engine.services.reconciler import PERIOD, Reconciler
from windlass.ids import id_text
from windlass.model.outcome import ChildRun, Completed, Waiting
from windlass.model.state import RUN_FINAL
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("W06")

STEPS: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {"dependsOn": "a"},
    "c": {"dependsOn": ["a"], "when": "${{ 1 < 2 }}"},
    "d": {"dependsOn": ["b", "c"], "matrix": {"n": [1, 2]}},
    "e": {"dependsOn": "d", "triggerRule": "all_done"},
}


@pytest.fixture
async def broken(make_world: MakeWorld) -> AsyncIterator[World]:
    """Give a world whose history may be wrong in the end: nothing else than its rows is looked at."""
    world = make_world()
    yield world
    await world.close()


async def halfway(world: World) -> bytes:
    """Return a run of which a has ended, b runs, c is queued, and d and e wait."""
    run_id = await world.submit(await world.define(steps=STEPS))
    worker = await world.worker()
    await worker.end(await worker.take_one())
    await worker.take(1)
    return run_id


async def change(world: World, statement: str, *values: Any) -> list[Any]:
    """Do to the rows what nobody should; return what the statement gives."""

    def unit(tx: Transaction) -> list[Any]:
        if tx.dialect == "sqlite":
            tx.cursor.execute("PRAGMA ignore_check_constraints = ON")
        else:
            for table, check in (("queue", "running"), ("queue", "wake"), ("queue", "state"), ("runs", "finished")):
                tx.cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{check}")
        return tx.cursor.execute(statement, values).fetchall()

    return await world.engine.store.run(unit)


async def wrong(world: World) -> list[str]:
    """Return what the oracle says of rows; what events told cannot be mended."""
    snapshot = await world.engine.store.read(take_snapshot, world.engine)
    return [one for run in snapshot.runs.values() for one in [*losses(run), *forgotten(run, snapshot)]]


async def ends(world: World, run_id: bytes) -> str:
    """Let everything end and return the state of a run."""
    await world.lose(1000)
    await world.tick()
    worker = await world.worker("last")
    while claims := await worker.take(50):
        for claim in claims:
            if claim.started_at is not None or await worker.queue.start(claim):
                await worker.end(claim, Completed())
        await world.tick(10)
    return str((await world.run(run_id))["state"])


CHANGES = {
    "a step waits for more than there is": "UPDATE queue SET outstanding = 7 WHERE task = 3",
    "a step waits for nothing": "UPDATE queue SET outstanding = 0 WHERE task = 3",
    "a queued task is gone": "DELETE FROM queue WHERE task = 2",
    "a running task is gone": "DELETE FROM queue WHERE task = 1",
    "a pending task is gone": "DELETE FROM queue WHERE task = 5",
    "a cell is gone": "DELETE FROM queue WHERE task = 4",
    "an end is gone": "DELETE FROM tasks WHERE task = 0",
    "all is gone": "DELETE FROM queue",
    "it stands in both tables": (
        "INSERT INTO tasks (run_id, task, state, attempt, ended_at) SELECT run_id, task, 'completed', 1, 1 "
        "FROM queue WHERE task = 1"
    ),
    "a task that no job has": (
        "INSERT INTO queue (run_id, task, revision_id, state, route_id, priority, due, rank) "
        "SELECT run_id, 99, revision_id, 'pending', route_id, 5, 1, 1 FROM queue WHERE task = 3"
    ),
    "a worker that never was": "UPDATE queue SET worker_id = (SELECT max(id) + 1 FROM workers) WHERE task = 1",
    "taken by a worker that never was": "UPDATE queue SET worker_id = (SELECT max(id) + 1 FROM workers) WHERE task = 2",
    "a worker holds what waits": "UPDATE queue SET worker_id = (SELECT max(id) FROM workers) WHERE task = 3",
    "a worker that has left": "UPDATE workers SET ended_at = 1",
    "a time that means nothing": "UPDATE queue SET wake_at = 1 WHERE task IN (2, 3)",
    "a request to stop that means nothing": "UPDATE queue SET stop = 'cancel' WHERE task IN (2, 3)",
    "the run had not begun": "UPDATE runs SET state = 'queued', started_at = NULL",
    "the run had not even been queued": "UPDATE runs SET state = 'scheduled', started_at = NULL, queued_at = NULL",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
async def test_whatever_is_wrong_with_a_run_it_is_put_right_and_ends(
    broken: World, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await halfway(broken)
    other = await broken.submit(await broken.define("other", steps={"x": {}}))
    await change(broken, statement)
    before = len(await broken.events(run_id))
    with caplog.at_level(logging.ERROR):
        assert await Reconciler(broken.engine).whole() in {1, 2}
    assert await wrong(broken) == []
    told = [event for event in await broken.events(run_id) if event.type == "run.repaired"]
    assert [bool(event.data["repairs"][0]["found"]) for event in told] == [True]
    assert len(await broken.events(run_id)) > before
    assert f"Run {id_text(run_id)} was put right" in caplog.text
    assert await Reconciler(broken.engine).whole() == 0
    assert await ends(broken, run_id) in RUN_FINAL
    assert await ends(broken, other) in RUN_FINAL
    assert await wrong(broken) == []


async def test_what_is_whole_is_left_alone_and_costs_no_write(world: World) -> None:
    await halfway(world)
    await world.submit(await world.define("later", steps={"x": {}}), delay=60)
    ended = await world.submit(await world.define("ended", steps={"x": {}}), priority=15)
    worker = await world.worker("w2")
    await worker.end(await worker.take_one())
    assert (await world.run(ended))["state"] == "completed"
    before = [event.seq for event in await world.events()]
    assert await Reconciler(world.engine).whole() == 0
    assert [event.seq for event in await world.events()] == before


async def test_a_task_held_back_for_a_wait_that_is_for_no_run_is_let_go_on(broken: World) -> None:
    run_id = await broken.submit(await broken.define(steps={"hold": {}, "work": {"dependsOn": []}}, maxParallelTasks=1))
    worker = await broken.worker()
    event = {"type": "made", "filter": {"child": "x"}}
    await worker.end(await worker.take_one(), Waiting(broken.clock.now() + 10**10, "event", "failed", event=event))
    await change(broken, "UPDATE queue SET state = 'pending', outstanding = 0, queued_at = NULL WHERE task = 1")
    assert await Reconciler(broken.engine).whole() == 1
    assert await broken.states(run_id) == {"hold": "waiting", "work": "queued"}


@pytest.mark.parametrize("left", ["queued", "running"])
async def test_a_task_of_a_run_that_has_ended_is_taken_out_of_the_queue(broken: World, left: str) -> None:
    run_id = await halfway(broken)
    await change(broken, "DELETE FROM queue WHERE state <> ?", left)
    await change(broken, "UPDATE runs SET state = 'completed', finished_at = 1, counts = '{}'")
    await Reconciler(broken.engine).whole()
    assert await change(broken, "SELECT stop FROM queue") == ([] if left == "queued" else [("cancel",)])
    states = await broken.states(run_id)
    assert states == ({"a": "completed", "c": "cancelled"} if left == "queued" else {"a": "completed", "b": "running"})
    assert (await broken.run(run_id))["state"] == "completed"


async def test_tasks_of_no_run_are_removed(broken: World, caplog: pytest.LogCaptureFixture) -> None:
    run_id = await halfway(broken)
    await change(broken, "DELETE FROM runs")
    assert await Reconciler(broken.engine).whole() == 1
    assert await change(broken, "SELECT count(*) FROM queue") == [(0,)]
    assert f"run {id_text(run_id)} stood in the queue, but there is no such run" in caplog.text


async def test_a_run_that_cannot_be_read_is_set_aside_and_the_others_are_looked_at(broken: World) -> None:
    bad = await halfway(broken)
    good = await broken.submit(await broken.define("good", steps=STEPS))
    await change(broken, "UPDATE revisions SET content = 'no' WHERE id = 1")
    await change(broken, "UPDATE queue SET outstanding = 9 WHERE task = 1 AND run_id = ?", good)
    broken.engine.jobs.forget(1)
    await Reconciler(broken.engine).whole()
    aside = await change(broken, "SELECT DISTINCT reason FROM tasks WHERE run_id = ? AND task > 0", bad)
    assert aside == [("internal_error",)]
    assert await change(broken, "SELECT outstanding FROM queue WHERE run_id = ? AND task = 1", good) == [(1,)]


async def test_a_run_without_any_task_and_without_a_job_to_read_ends(broken: World) -> None:
    run_id = await halfway(broken)
    await change(broken, "DELETE FROM queue")
    await change(broken, "UPDATE revisions SET content = 'no'")
    broken.engine.jobs.forget(1)
    await Reconciler(broken.engine).whole()
    run = await broken.run(run_id)
    assert (run["state"], run["reason"]) == ("failed", "internal_error")


async def test_a_claim_that_its_worker_forgot_is_given_up_after_two_looks(broken: World) -> None:
    run_id = await halfway(broken)
    (held,) = await change(broken, "SELECT worker_id FROM queue WHERE state = 'running'")
    custodian = Custodian(broken.engine, own=lambda: held, unknown=lambda claims: claims)
    assert [await custodian.turn(), await custodian.turn()] == [custody.FIRST, custody.PERIOD]
    assert (await broken.states(run_id))["b"] == "running"
    await custodian.turn()
    assert (await broken.attempts(run_id))[1] == ("b", 1, "lost")
    assert (await broken.task(run_id, "b"))["reason"] == "worker_lost"


async def test_a_claim_that_was_taken_anew_meanwhile_stands(world: World) -> None:
    await world.submit(await world.define(steps={"x": {"when": "${{ 1 < 2 }}"}}))
    worker = await world.worker()
    claim = await worker.take_one()
    assert not await world.engine.store.run(give_up, world.engine, claim.queue_id, claim.fence - 1)
    assert await world.engine.store.run(give_up, world.engine, claim.queue_id, claim.fence)
    assert not await worker.queue.start(claim)
    assert await worker.work() == ["x"]


async def test_what_the_timer_and_the_rescuer_left_lying_is_done_in_their_place(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    later = await world.submit(await world.define("later", steps={"x": {}}), delay=5)
    lost = await world.submit(await world.define("lost", steps={"x": {}}))
    worker = await world.worker()
    await worker.take_one()
    world.clock.advance(600)
    await one_pass(Reconciler(world.engine))
    assert (await world.run(later))["state"] == "queued"
    assert (await world.run(lost))["reason"] == "worker_lost"
    assert "The timer has not looked at" in caplog.text
    assert "Workers are gone for long" in caplog.text


_LEFT = "UPDATE run_dependencies SET settled = 0, on_id = (SELECT job_id FROM runs LIMIT 1)"  # no run has that id
LOST = {
    "nobody was told of the end": ("UPDATE run_dependencies SET settled = 0", "queued"),
    "the end was noted and nothing followed": ("UPDATE run_dependencies SET settled = 1", "queued"),
    "nothing is known of what it waits for": ("DELETE FROM run_dependencies", "queued"),
    "what it waits for is gone": (_LEFT, "failed"),
    "it is gone, and how it ends does not matter": (
        f"{_LEFT}, condition = 'always'", "queued",
    ),
}  # fmt: skip


@pytest.mark.promise("H03")
@pytest.mark.parametrize(("statement", "state"), LOST.values(), ids=LOST)
async def test_a_run_whose_wake_up_was_lost_goes_on(broken: World, statement: str, state: str) -> None:
    job = await broken.define(steps={"x": {}})
    first = await broken.submit(job)
    waiting = await broken.submit(job, depends_on=[Dependency(first)])
    await change(broken, "UPDATE runs SET awaited = 0")
    await (await broken.worker()).work(most=1)
    await broken.tick()
    assert (await broken.run(waiting))["state"] == "waiting"
    await change(broken, statement)
    assert await Reconciler(broken.engine).whole() == 1
    run = await broken.run(waiting)
    assert run["state"] == state
    if state == "failed":
        assert run["error"]["message"].endswith("is gone, and how that ended is not known.")
    assert (await broken.told(waiting))[2] == "run.repaired"
    assert await Reconciler(broken.engine).whole() == 0
    assert await ends(broken, waiting) in {"completed", "failed"}


@pytest.mark.promise("H03")
async def test_a_run_that_waits_for_an_archived_one_learns_how_that_ended(broken: World) -> None:
    job = await broken.define(steps={"x": {}})
    first = await broken.submit(job)
    await (await broken.worker()).work()
    broken.clock.advance(31 * 86_400)
    await sweep(broken.engine)
    second = await broken.submit(job)
    waiting = await broken.submit(job, depends_on=[Dependency(second)])
    await change(broken, "UPDATE run_dependencies SET on_id = ?", first)
    archived = bool(await change(broken, "SELECT 1 FROM archived_runs"))
    await Reconciler(broken.engine).whole()
    assert (await broken.run(waiting))["state"] == ("queued" if archived else "failed")


@pytest.mark.promise("C19")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET state = 'completed', finished_at = 1 WHERE id = ?",
        "UPDATE runs SET limit_key = NULL WHERE id <> ?",
    ],
    ids=["the holder left without a word", "there is no such limit"],
)
async def test_a_run_that_waits_for_a_place_that_nobody_gives_enters(broken: World, statement: str) -> None:
    job = await broken.define(steps={"x": {}}, concurrency={"limit": 1})
    holder, waiting = await broken.submit(job), await broken.submit(job)
    await change(broken, statement, holder)
    await change(broken, "DELETE FROM queue WHERE run_id = ?", holder)
    assert (await broken.run(waiting))["state"] == "waiting"
    await one_pass(Reconciler(broken.engine))
    assert (await broken.run(waiting))["state"] == "queued"
    assert await ends(broken, waiting) == "completed"


async def test_a_step_that_waits_for_a_run_which_ended_unheard_goes_on(broken: World) -> None:
    await broken.define("child", steps={"x": {}})
    parent = await broken.submit(
        await broken.define("parent", steps={"a": {"type": "job", "config": {"job": "child"}}})
    )
    worker = await broken.worker()
    await worker.end(await worker.take_one(), Waiting(0, "", child=ChildRun("child")))
    await change(broken, "UPDATE runs SET awaited = 0")
    assert await worker.work() == ["x"]
    await broken.tick()
    assert (await broken.states(parent)) == {"a": "waiting"}
    assert await Reconciler(broken.engine).whole() == 1
    await broken.tick()
    assert (await broken.run(parent))["state"] == "completed"
    assert await Reconciler(broken.engine).whole() == 0


async def test_ends_that_the_timer_tells_nobody_are_told_in_its_place(world: World) -> None:
    job = await world.define(steps={"x": {}})
    waiting = await world.submit(job, depends_on=[Dependency(await world.submit(job))])
    await (await world.worker()).work(most=1)
    world.clock.advance(600)
    await one_pass(Reconciler(world.engine))
    assert (await world.run(waiting))["state"] == "queued"


async def one_pass(reconciler: Reconciler) -> float:
    """Take turns until everything was looked at once; return the pause after that."""
    while (pause := await reconciler.turn()) < PERIOD:
        continue
    return pause
