"""What failed for good is kept apart, until somebody queues it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.world import embedded_worlds
from tests.oracle.world import World, always, by_step
from windlass.engine.claim import Claim
from windlass.engine.dead_letters import list_dead, requeue, requeue_all
from windlass.engine.reading import list_runs
from windlass.engine.starting import retry_run
from windlass.errors import NotFound, UserError
from windlass.ids import id_text
from windlass.model.outcome import ChildRun, Completed, Failed, TimedOut, Waiting
from windlass.store.dead_letters import DeadFilter, dead_letters
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("H05", part="dead letters")

BAD = Failed("exit", "it ended with exit code 3", 3)


async def dead(world: World, **more: Any) -> list[tuple[str, str]]:
    """Return `(job, step)` of every dead letter, as listed."""
    found: list[tuple[str, str]] = []
    cursor = None
    while True:
        page, cursor = await list_dead(world.engine, project="default", cursor=cursor, limit=2, **more)
        found += [(one["job"], one["step"]) for one in page]
        if cursor is None:
            return found


async def test_after_the_last_attempt_a_task_is_a_dead_letter_and_no_sooner(world: World) -> None:
    job = await world.define(steps={"a": {"retry": {"attempts": 3, "delay": 0}}})
    run_id = await world.submit(job)
    worker = await world.worker()
    for left in (2, 1, 0):
        await worker.work(always(BAD))
        assert await dead(world) == ([("job", "a")] if not left else [])
        await world.tick(1)
    ((letter,), cursor) = await list_dead(world.engine, project="default")
    assert cursor is None
    assert (letter["id"], letter["runId"], letter["queue"]) == (f"{id_text(run_id)}.0", id_text(run_id), "default")
    assert (letter["attempt"], letter["maxAttempts"], letter["exitCode"]) == (3, 3, 3)
    assert letter["error"]["message"] == "it ended with exit code 3"


async def test_queued_again_it_is_a_new_run_linked_to_the_old_one_and_leaves_the_list(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}), parameters={"n": 1}, labels={"k": "v"})
    worker = await world.worker()
    await worker.work(always(BAD))
    (done,) = await requeue(world.engine, [f"{id_text(run_id)}.0"], by="me")
    assert done.created
    assert done.new is not None
    world.accepted.append(done.new)
    new = await world.run(done.new)
    assert (new["parameters"], new["labels"]) == ({"n": 1}, {"k": "v"})
    assert new["trigger"] == {"type": "resume", "run": id_text(run_id), "by": "me"}
    assert (await world.run(run_id))["state"] == "failed"
    assert [event.data["run"] for event in await world.events(run_id) if event.type == "run.retried"] == [new["id"]]
    assert await dead(world) == []
    (again,) = await requeue(world.engine, [id_text(run_id)], by="me")
    assert (again.new, again.created) == (done.new, False)
    await worker.work(always(BAD))
    ((letter,), _) = await list_dead(world.engine, project="default")
    assert letter["runId"] == new["id"]


async def test_a_retry_of_the_run_settles_its_dead_letters(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).work(always(TimedOut(5)))
    assert await dead(world) == [("job", "a")]
    await retry_run(world.engine, run_id)
    assert await dead(world) == []


async def test_what_was_allowed_stopped_or_ran_out_of_its_runs_time_is_no_dead_letter(world: World) -> None:
    allowed = await world.submit(await world.define("allowed", steps={"a": {"allowFailure": True}}))
    worker = await world.worker()
    await worker.work(always(BAD))
    assert (await world.run(allowed))["state"] == "completed"
    late = await world.submit(await world.define("late", steps={"a": {}}, timeout=5))
    await worker.take_one()
    await world.tick(6)
    await world.lose()
    assert (await world.run(late))["state"] == "timeout"
    cancelled = await world.submit(await world.define("cancelled", steps={"a": {}}))
    await world.cancel(cancelled)
    assert await dead(world) == []
    for run_id in (allowed, late, cancelled):
        with pytest.raises(NotFound, match="has no dead letter"):
            await requeue(world.engine, [id_text(run_id)], by=None)


async def test_three_losses_in_a_row_make_a_dead_letter_however_often_the_owner_changed(kept_world: World) -> None:
    run_id = await kept_world.submit(await kept_world.define(steps={"a": {"onWorkerLost": "retry"}}))
    for left in (2, 1, 0):
        await (await kept_world.worker()).take_one()
        await kept_world.reopen()
        await kept_world.tick()
        assert await dead(kept_world) == ([("job", "a")] if not left else [])
    assert (await kept_world.task(run_id, "a"))["reason"] == "quarantined"
    (done,) = await requeue(kept_world.engine, [id_text(run_id)], by=None)
    assert done.new is not None
    await (await kept_world.worker()).work()
    assert (await kept_world.run(done.new))["state"] == "completed"


async def test_lists_are_by_queue_and_job_the_newest_first(world: World) -> None:
    worker = await world.worker()
    for alias, queue in (("a", "slow"), ("b", "fast"), ("c", "slow")):
        await world.submit(await world.define(alias, steps={"x": {"matrix": {"n": [1, 2]}}}, queue=queue))
        await worker.work(always(BAD))
    assert await dead(world) == [(alias, "x") for alias in "ccbbaa"]
    assert await dead(world, queue="slow") == [(alias, "x") for alias in "ccaa"]
    assert await dead(world, job="b") == [("b", "x")] * 2
    with pytest.raises(NotFound):
        await dead(world, job="nothing")
    with pytest.raises(UserError, match="no cursor of this list"):
        await list_dead(world.engine, project=None, cursor="x")


async def test_all_are_queued_again_and_what_ended_well_is_kept(world: World) -> None:
    single = await world.define("single", steps={"a": {"matrix": {"n": [1, 2]}}})
    chain = await world.define("chain", steps={"a": {}, "b": {"dependsOn": "a"}, "c": {"dependsOn": "b"}})
    worker = await world.worker()
    runs = [await world.submit(single) for _ in range(3)]
    last = await world.submit(chain)
    await worker.work(lambda claim: Completed() if claim.job.alias == "chain" and claim.step.name == "a" else BAD)
    done = await requeue_all(world.engine, project="default", queue=None, job=None, by=None)
    expected = [(last, True, 1), *((run_id, True, 2) for run_id in reversed(runs))]
    assert [(one.run_id, one.created, len(one.tasks)) for one in done] == expected
    assert await dead(world) == []
    assert sorted(await worker.work()) == ["a"] * 6 + ["b", "c"]
    new = done[0].new
    assert new is not None
    assert (await world.run(new))["state"] == "completed"


async def test_wrong_wishes_change_nothing(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {"dependsOn": []}})
    run_id = await world.submit(job)
    await (await world.worker()).work(by_step(a=BAD, b=BAD))
    before = len(await world.events())
    for wrong in ("nothing", f"{id_text(run_id)}.7", f"{id_text(run_id)}.x", f"{id_text(run_id)}.{'9' * 50}"):
        with pytest.raises(NotFound):
            await requeue(world.engine, [f"{id_text(run_id)}.0", wrong], by=None)
    assert len(await world.events()) == before
    assert await dead(world) == [("job", "b"), ("job", "a")]


@embedded_worlds
async def test_the_list_is_read_from_its_own_index(world: World) -> None:
    await world.submit(await world.define(steps={"a": {}}))
    statements: list[str] = []

    def unit(tx: Transaction) -> list[str]:
        driver = tx.connection.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(statements.append)
        try:
            dead_letters(tx, DeadFilter(project="default"))
        finally:
            driver.set_trace_callback(None)
        return [row[3] for row in tx.cursor.execute(f"EXPLAIN QUERY PLAN {statements[0]}")]

    plan = await world.engine.store.run(unit)
    assert any("ix_tasks_dead" in line for line in plan), plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


def chained(depth: int) -> Callable[[Claim], Any]:
    """Return what steps answer in a chain of runs of one job: each starts the next, and the lowest fails."""

    def answer(claim: Claim) -> Any:
        level = int(claim.job.alias[1:])
        return BAD if level == depth else Waiting(0, "", child=ChildRun(f"j{level + 1}"))

    return answer


async def test_what_failed_at_the_bottom_of_a_chain_is_one_letter_and_each_level_starts_once(world: World) -> None:
    depth = world.engine.settings.max_child_depth
    jobs = [await world.define(f"j{number}", steps={"s": {}}) for number in range(depth + 1)]
    top = await world.submit(jobs[0])
    worker = await world.worker()
    assert await worker.work(chained(depth)) == ["s"] * (depth + 1)
    for _ in range(depth):
        await world.tick()
    ((letter,), _) = await list_dead(world.engine, project="default")
    assert (letter["runId"], letter["job"], letter["error"]["reason"]) == (id_text(top), "j0", "child_failed")
    (done,) = await requeue_all(world.engine, project="default", queue=None, job=None, by=None)
    assert (done.run_id, done.created) == (top, True)
    assert await worker.work(chained(depth)) == ["s"] * (depth + 1)
    for _ in range(depth):
        await world.tick()
    ((letter,), _) = await list_dead(world.engine, project="default")
    assert done.new is not None
    assert letter["runId"] == id_text(done.new)


async def test_what_a_step_waited_for_is_queued_again_by_the_run_of_that_step(world: World) -> None:
    await world.define("leaf", steps={"x": {}})
    top = await world.submit(await world.define("top", steps={"c": {"retry": {"attempts": 2, "delay": 0}}}))
    worker = await world.worker()
    answer = by_step(c=Waiting(0, "", child=ChildRun("leaf")), x=BAD)
    await worker.work(answer)
    assert await dead(world) == [], "the step that waited is told of it in a moment"
    await world.tick()
    await world.tick(1)
    assert await worker.work(by_step(c=Waiting(0, "", child=ChildRun("leaf")))) == ["c", "x"]
    await world.tick()
    assert (await world.run(top))["state"] == "completed"
    assert await dead(world) == [], "the retry did the work"
    found, _ = await list_runs(world.engine, RunFilter(parent_id=top))
    assert [run["state"] for run in found] == ["completed", "failed"]
    with pytest.raises(NotFound, match=f"requeue {id_text(top)}` queues that one again"):
        await requeue(world.engine, [found[1]["id"]], by=None)


async def test_what_nobody_waits_for_any_more_is_a_letter_of_its_own(world: World) -> None:
    await world.define("leaf", steps={"x": {}})
    top = await world.submit(await world.define("top", steps={"c": {"timeout": 5}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.end(claim, Waiting(0, "", child=ChildRun("leaf", cascade=False)))
    await world.tick(6)
    assert (await world.run(top))["state"] == "failed"
    assert await dead(world) == [("top", "c")]
    await world.tick(1)
    await worker.work(always(BAD))
    assert await dead(world) == [("leaf", "x"), ("top", "c")]
