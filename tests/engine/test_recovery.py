"""Workers that vanish, and stores that are let go of in the middle of everything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World, by_step
from windlass.clock import SECOND
from windlass.engine.recovery import settle_all, settle_gone
from windlass.engine.submission import Submission
from windlass.model.outcome import Cancelled, Completed, Failed, Waiting

EXIT = Failed("exit", "it ended with exit code 1", 1)
AGAIN = {"onWorkerLost": "retry"}
WHEN = {"when": "${{ 1 < 2 }}"}


async def test_a_worker_that_is_silent_for_a_lease_is_gone(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    await worker.take_one()
    assert await world.lose(15) == 0
    assert await world.lose(0.001) == 1
    task = await world.task(run_id, "a")
    assert (task["state"], task["reason"], task["worker"]) == ("failed", "worker_lost", "w1")
    assert task["error"]["message"] == 'Its worker "w1" is gone; what the step had done by then is not known.'
    run = await world.run(run_id)
    assert (run["state"], run["reason"], run["error"]["step"]) == ("failed", "worker_lost", "a")
    assert await world.attempts(run_id) == [("a", 1, "lost")]
    assert (await world.told(run_id))[-3:] == ["task.lost 0", "task.failed 0", "run.failed"]


async def test_a_heartbeat_keeps_a_worker(world: World) -> None:
    await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    for _ in range(5):
        assert await world.lose(10) == 0
        assert worker.queue.renew()
    await worker.end(claim)


async def test_only_the_worker_that_is_silent_is_lost(world: World) -> None:
    job = await world.define(steps={"a": {}})
    lost, kept = await world.submit(job), await world.submit(job)
    silent, alive = await world.worker("silent"), await world.worker("alive")
    await silent.take_one()
    claim = await alive.take_one()
    world.clock.advance(10)
    assert alive.queue.renew()
    assert await world.lose(10) == 1
    assert (await world.run(lost))["state"] == "failed"
    await alive.end(claim)
    assert (await world.run(kept))["state"] == "completed"


async def test_a_worker_that_was_found_gone_hears_so(world: World) -> None:
    worker = await world.worker()
    await world.lose()
    assert not worker.queue.renew()


async def test_a_worker_that_was_found_gone_gets_work_only_where_that_can_be_found_again(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry"}}))
    worker = await world.worker()
    await world.lose()
    assert await worker.take(1) == []  # it joins anew instead
    (claim,) = await worker.take(1)
    assert await world.lose() == 1
    assert await world.attempts(run_id) == [("a", 1, "lost")]
    await worker.end(claim)
    assert (await world.states(run_id))["a"] == "scheduled"


async def test_the_workers_of_the_calling_process_are_spared(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    world.clock.advance(3600)
    assert await world.engine.store.run(settle_gone, world.engine, (worker.queue.worker_id,)) == 0
    await worker.end(claim)
    assert (await world.run(run_id))["state"] == "completed"


async def test_what_asks_for_it_is_started_again_at_once(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": AGAIN, "b": {}}))
    await (await world.worker("w1")).take_one()
    await world.lose()
    assert (await world.told(run_id))[-2:] == ["task.lost 0", "task.retried 0"]
    await world.tick()
    worker = await world.worker("w2")
    assert await worker.work() == ["a", "b"]
    assert await world.attempts(run_id) == [("a", 1, "lost"), ("a", 2, "completed"), ("b", 1, "completed")]


async def test_a_loss_does_not_use_up_an_attempt(world: World) -> None:
    retry = {"retry": {"attempts": 2, "delay": 0, "jitter": False}}
    run_id = await world.submit(await world.define(steps={"a": AGAIN | retry}))
    for outcome in (None, EXIT, None, EXIT):
        worker = await world.worker()
        claim = await worker.take_one()
        await (world.lose() if outcome is None else worker.end(claim, outcome))
        await world.tick()
    assert [outcome for _, _, outcome in await world.attempts(run_id)] == ["lost", "failed", "lost", "failed"]
    assert (await world.run(run_id))["state"] == "failed"


async def test_three_losses_in_a_row_set_a_task_aside(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": AGAIN}))
    for _ in range(3):
        await (await world.worker()).take_one()
        await world.lose()
        await world.tick()
    task = await world.task(run_id, "a")
    assert (task["state"], task["reason"], task["attempt"]) == ("failed", "quarantined", 3)
    run = await world.run(run_id)
    assert (run["state"], run["reason"]) == ("failed", "quarantined")
    assert await (await world.worker()).take() == []


async def test_a_loss_after_an_end_begins_a_new_row(world: World) -> None:
    retry = {"retry": {"attempts": 9, "delay": 0, "jitter": False}}
    run_id = await world.submit(await world.define(steps={"a": AGAIN | retry}))
    for outcome in (None, None, EXIT, None, None, Completed()):
        worker = await world.worker()
        claim = await worker.take_one()
        await (world.lose() if outcome is None else worker.end(claim, outcome))
        await world.tick()
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_claim_of_a_lost_worker_goes_back_as_if_never_taken(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": WHEN}))
    lost = await world.worker("w1")
    claim = await lost.take_one()
    assert await world.lose() == 0
    assert not await lost.queue.start(claim)
    assert await world.told(run_id) == ["run.created", "run.queued", "task.queued 0"]
    worker = await world.worker("w2")
    assert await worker.work() == ["a"]
    assert await world.attempts(run_id) == [("a", 1, "completed")]


async def test_a_lost_attempt_that_was_to_stop_is_cancelled(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": AGAIN, "b": {}}))
    await (await world.worker()).take_one()
    await world.cancel(run_id)
    await world.lose()
    assert (await world.run(run_id))["state"] == "cancelled"
    assert await world.attempts(run_id) == [("a", 1, "lost")]


async def test_of_tasks_lost_together_the_first_may_stop_the_rest(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": AGAIN, "c": WHEN, "d": AGAIN, "join": {"dependsOn": ["a", "b", "c", "d"]}}
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    assert len(await worker.take()) == 4
    assert await world.lose() == 3
    assert await world.states(run_id) == {
        "a": "failed", "b": "cancelled", "c": "cancelled", "d": "cancelled", "join": "cancelled",
    }  # fmt: skip
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_step_that_waits_needs_no_worker(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker("w1")
    await worker.end(await worker.take_one(), Waiting(world.clock.now() + 100 * SECOND, "a while"))
    assert await world.lose() == 0
    await world.tick(40)
    assert await (await world.worker("w2")).work() == ["b"]
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_worker_that_leaves_loses_what_it_still_holds(world: World) -> None:
    job = await world.define(steps={"a": {}})
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.take_one()
    await worker.queue.leave(())
    assert (await world.task(run_id, "a"))["reason"] == "worker_lost"


@pytest.mark.promise("H07")
@pytest.mark.promise("C13")
async def test_a_new_owner_settles_the_work_of_the_old_one_at_once(world: World) -> None:
    job = await world.define(steps={"a": WHEN, "b": {}})
    job_again = await world.define("again", steps={"a": AGAIN, "b": {}})
    claimed, started, again = await world.submit(job), await world.submit(job), await world.submit(job_again)
    worker = await world.worker()
    first = await worker.take(3)
    assert await worker.queue.start(first[1])
    await world.engine.store.run(settle_all, world.engine)
    await world.tick()
    assert [(await world.states(run_id))["a"] for run_id in (claimed, started, again)] == ["queued", "failed", "queued"]
    await (await world.worker("next")).work()
    states = [(await world.run(run_id))["state"] for run_id in (claimed, started, again)]
    assert states == ["completed", "failed", "completed"]


@pytest.mark.promise("H07")
@pytest.mark.promise("C13")
async def test_everything_goes_on_from_the_rows_alone(kept_world: World) -> None:
    world = kept_world
    steps: dict[str, Any] = {
        "a": {}, "m": {"matrix": {"n": [1, 2]}, "dependsOn": "a"}, "wait": {"dependsOn": "a"},
        "flaky": {"dependsOn": "a", "retry": {"attempts": 3, "strategy": "fixed", "delay": 60, "jitter": False}},
        "join": {"dependsOn": ["m", "wait", "flaky"]}, "pick": {"dependsOn": "join", "branch": True},
        "left": {"dependsOn": "pick"}, "right": {"dependsOn": "pick"},
    }  # fmt: skip
    job = await world.define(steps=steps)
    run_id = await world.submit(job)
    later = await world.submit(job, scheduled_at=world.clock.now() + 1000 * SECOND)
    script = by_step(
        a=Completed({"n": 7}),
        wait=Waiting(world.clock.now() + 30 * SECOND, "half a minute"),
        flaky=[EXIT, EXIT, Completed()],
        pick=Completed(branches=("right",)),
    )
    done: list[str] = []
    for _ in range(200):
        worker = await world.worker()
        done += await worker.work(script, most=1)
        await world.reopen()
        await world.tick(2)
        await world.assert_sound()
        if (await world.run(run_id))["state"] == "completed":
            break
    assert sorted(done) == sorted(["a", "m", "m", "wait", "flaky", "flaky", "flaky", "join", "pick", "right"])
    assert await world.states(run_id) == {
        "a": "completed", "m[1]": "completed", "m[2]": "completed", "wait": "completed", "flaky": "completed",
        "join": "completed", "pick": "completed", "left": "skipped", "right": "completed",
    }  # fmt: skip
    assert (await world.run(later))["state"] == "scheduled"


@pytest.mark.promise("H07")
async def test_nothing_that_is_queued_is_lost_or_doubled_at_a_restart(kept_world: World) -> None:
    world = kept_world
    job = await world.define(steps={"a": {}, "b": {}})
    run_ids = await world.submit_all(job, [Submission(note=str(number)) for number in range(40)])
    worker, taken = await world.worker(), []
    for _ in range(5):
        taken += [claim.run_id for claim in await worker.take(2)]
        await world.reopen()
        worker = await world.worker()
    assert len(taken) == len(set(taken)) == 10
    assert len(await worker.work()) == 60
    states = [(await world.run(run_id))["state"] for run_id in run_ids]
    assert (states.count("failed"), states.count("completed")) == (10, 30)
    await world.assert_sound(at_rest=True)


@pytest.mark.promise("C13")
async def test_a_cancel_that_was_asked_for_holds_over_a_restart(kept_world: World) -> None:
    world = kept_world
    run_id = await world.submit(await world.define(steps={"a": AGAIN, "sweep": {"triggerRule": "always"}}))
    await (await world.worker()).take_one()
    await world.cancel(run_id)
    await world.reopen()
    assert await world.states(run_id) == {"a": "cancelled", "sweep": "queued"}
    assert await (await world.worker()).work() == ["sweep"]
    assert (await world.run(run_id))["state"] == "cancelled"
    await world.assert_sound(at_rest=True)


@pytest.mark.promise("C13")
async def test_a_claim_of_a_worker_that_was_found_gone_is_found_at_the_next_start(kept_world: World) -> None:
    world = kept_world
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    await world.lose()
    await worker.take(1)
    await world.reopen()
    await world.assert_sound()
    await (await world.worker()).work()
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_second_start_of_an_owner_changes_nothing(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).take_one()
    await world.engine.store.run(settle_all, world.engine)
    events = await world.told(run_id)
    assert await world.engine.store.run(settle_all, world.engine) == 0
    assert await world.told(run_id) == events


async def test_a_late_end_of_a_lost_attempt_is_kept_as_an_event(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.lose()
    await worker.end(claim, Cancelled())
    assert (await world.told(run_id))[-2:] == ["run.failed", "task.late 0"]
