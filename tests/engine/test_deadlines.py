"""Deadlines of runs: what runs is stopped, what waits never starts, clean-up has its grace."""

from __future__ import annotations

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.snapshot import take_snapshot
from tests.oracle.world import World
from windlass.model.outcome import Cancelled, Completed, Failed, TimedOut

pytestmark = pytest.mark.promise("H06")


async def test_a_run_past_its_deadline_ends_as_timeout(world: World) -> None:
    job = await world.define(timeout=60, steps={"a": {}, "b": {"dependsOn": "a"}})
    run_id = await world.submit(job)
    worker = await world.worker()
    claim = await worker.take_one()
    assert await world.tick() == world.clock.now() + 60_000_000
    await world.tick(60)
    exchange = await worker.exchange()
    assert exchange.stops == [(claim.queue_id, claim.fence, "timeout")]
    await worker.end(claim, Cancelled())
    assert await world.states(run_id) == {"a": "timeout", "b": "cancelled"}
    run = await world.run(run_id)
    assert (run["state"], run["reason"]) == ("timeout", "run_deadline")


async def test_a_run_that_nobody_started_ends_at_its_deadline(world: World) -> None:
    run_id = await world.submit(await world.define(timeout=60, steps={"a": {}}))
    await world.tick(59.9)
    assert (await world.run(run_id))["state"] == "queued"
    await world.tick(0.1)
    assert (await world.run(run_id))["state"] == "timeout"
    assert await world.states(run_id) == {"a": "cancelled"}


async def test_the_deadline_counts_from_the_time_that_was_asked_for(world: World) -> None:
    job = await world.define(timeout=60, steps={"a": {}})
    run_id = await world.submit(job, scheduled_at=world.clock.now() + 3_600_000_000)
    await world.tick(3_600)
    assert (await world.run(run_id))["state"] == "queued"
    await world.tick(60)
    assert (await world.run(run_id))["state"] == "timeout"


async def test_clean_up_runs_within_its_grace(world: World) -> None:
    steps = {"a": {}, "sweep": {"dependsOn": "a", "triggerRule": "always"}}
    run_id = await world.submit(await world.define(timeout=60, steps=steps))
    worker = await world.worker()
    first = await worker.take_one()
    await world.tick(60)
    await worker.end(first, Cancelled())
    assert await worker.work() == ["sweep"]
    assert await world.states(run_id) == {"a": "timeout", "sweep": "completed"}
    assert (await world.run(run_id))["state"] == "timeout"


async def test_a_run_that_never_began_ends_at_its_deadline_clean_up_included(world: World) -> None:
    steps = {"a": {}, "sweep": {"dependsOn": "a", "triggerRule": "always"}}
    run_id = await world.submit(await world.define(timeout=60, steps=steps))
    await world.tick(60)
    assert await world.states(run_id) == {"a": "cancelled", "sweep": "cancelled"}
    assert (await world.run(run_id))["state"] == "timeout"


@pytest.mark.parametrize("rule", ["all_done", "always"])
async def test_a_run_of_one_step_whose_deadline_passed_is_no_completed_run(world: World, rule: str) -> None:
    run_id = await world.submit(await world.define(timeout=60, steps={"a": {"triggerRule": rule}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.tick(61)
    await worker.end(claim, Completed())
    assert await world.states(run_id) == {"a": "completed"}
    assert (await world.run(run_id))["state"] == "timeout"


async def test_clean_up_that_takes_too_long_is_stopped_as_well(make_world: MakeWorld) -> None:
    world = make_world(cleanup_grace=300.0)
    steps = {"a": {}, "sweep": {"dependsOn": "a", "triggerRule": "always"}, "more": {"dependsOn": "sweep", "triggerRule": "always"}}  # fmt: skip  # noqa: E501 - a graph
    run_id = await world.submit(await world.define(timeout=60, steps=steps))
    worker = await world.worker()
    first = await worker.take_one()
    await world.tick(60)
    await worker.end(first, Cancelled())
    sweep = await worker.take_one()
    await world.tick(299)
    assert (await worker.exchange()).stops == []
    await world.tick(1)
    assert (await worker.exchange()).stops == [(sweep.queue_id, sweep.fence, "timeout")]
    await worker.end(sweep, Cancelled())
    assert await world.states(run_id) == {"a": "timeout", "sweep": "timeout", "more": "cancelled"}
    assert (await world.run(run_id))["state"] == "timeout"
    await world.assert_sound(at_rest=True)
    await world.close()


async def test_a_step_that_does_not_stop_in_time_is_asked_again_and_again(world: World) -> None:
    run_id = await world.submit(await world.define(timeout=60, steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    for _ in range(5):
        await world.tick(400)
        assert (await worker.exchange()).stops == [(claim.queue_id, claim.fence, "timeout")]
    await worker.end(claim, Cancelled())
    assert (await world.run(run_id))["state"] == "timeout"


async def test_a_retry_that_would_come_too_late_does_not_come(world: World) -> None:
    job = await world.define(
        timeout=60, steps={"a": {"retry": {"attempts": 3, "delay": 600, "maxDelay": 600, "jitter": False}}}
    )
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    await world.tick(60)
    assert await world.states(run_id) == {"a": "cancelled"}
    assert (await world.run(run_id))["state"] == "timeout"
    assert await world.attempts(run_id) == [("a", 1, "failed")]


async def test_the_timeout_of_an_attempt_is_a_failure_of_its_step_alone(world: World) -> None:
    steps = {"a": {"allowFailure": True}, "b": {"dependsOn": "a"}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), TimedOut(3600))
    await worker.work()
    assert await world.states(run_id) == {"a": "timeout", "b": "completed"}
    run = await world.run(run_id)
    assert (run["state"], run["allowedFailures"]) == ("completed", 1)


async def test_many_runs_past_their_deadline_end_in_one_go(world: World) -> None:
    job = await world.define(timeout=60, steps={"a": {}, "b": {}})
    run_ids = [await world.submit(job) for _ in range(20)]
    following = await world.tick(60)
    assert following is None
    assert {(await world.run(run_id))["state"] for run_id in run_ids} == {"timeout"}


async def test_a_run_that_gets_its_place_from_one_past_its_deadline_has_its_whole_time(world: World) -> None:
    job = await world.define(timeout=60, steps={"a": {}}, concurrency={"limit": 1, "strategy": "queue"})
    first, second = await world.submit(job), await world.submit(job)
    await world.tick(40 * 24 * 3600)  # both are past theirs, and looked at together
    assert (await world.run(first))["state"] == "timeout"
    assert (await world.run(second))["state"] == "queued"
    await world.tick(59)
    assert (await world.run(second))["state"] == "queued"
    await world.tick(1)
    assert (await world.run(second))["state"] == "timeout"


async def test_a_run_that_ended_with_its_parent_is_not_stopped_again(world: World) -> None:
    child = await world.define("child", timeout=60, steps={"a": {}})
    parent = await world.submit(await world.define(timeout=60, steps={"a": {}}))
    ended = await world.submit(child, parent_id=parent, root_id=parent)
    await world.tick(60)
    found = (await world.engine.store.read(take_snapshot, world.engine)).runs[ended].row
    assert (found.state, found.cancels) == ("cancelled", 1)
    assert await world.tick() is None
