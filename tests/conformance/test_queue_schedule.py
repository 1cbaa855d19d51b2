"""Work for later: not before its time, and at its time."""

from __future__ import annotations

import pytest

from tests.oracle.world import World
from windlass.clock import SECOND
from windlass.model.outcome import Cancelled, Completed, Failed, Waiting


@pytest.fixture(params=["store", "http"])
def over(request: pytest.FixtureRequest) -> str:
    """Return how workers reach the queue: every way of doing so is to keep this."""
    return str(request.param)


pytestmark = pytest.mark.promise("H02")


async def test_a_run_for_later_is_scheduled_and_taken_at_its_time(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}})
    at = world.clock.now() + 60 * SECOND
    run_id = await world.submit(job, scheduled_at=at)
    worker = await world.worker()
    run = await world.run(run_id)
    assert (run["state"], run["queuedAt"]) == ("scheduled", None)
    assert await world.states(run_id) == {"a": "scheduled", "b": "pending"}
    assert await world.tick(59.999_999) == at
    assert await worker.take() == []
    await world.tick(0.000_001)
    assert (await world.run(run_id))["state"] == "queued"
    assert await worker.work() == ["a", "b"]
    assert await world.told(run_id) == [
        "run.created", "run.scheduled", "run.queued", "task.queued 0", "run.started", "task.started 0",
        "task.completed 0", "task.queued 1", "task.started 1", "task.completed 1", "run.completed",
    ]  # fmt: skip


async def test_a_time_in_the_past_counts_as_now(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit(job, scheduled_at=1)
    late = await world.submit(job, scheduled_at=world.clock.now())
    assert (await world.run(late))["state"] == "queued"
    worker = await world.worker()
    assert len(await worker.take()) == 2


async def test_every_first_step_waits_for_the_time(world: World) -> None:
    job = await world.define(
        steps={"a": {}, "b": {}, "m": {"matrix": {"n": [1, 2]}}, "join": {"dependsOn": ["a", "m"]}}
    )
    run_id = await world.submit(job, scheduled_at=world.clock.now() + SECOND)
    assert set((await world.states(run_id)).values()) == {"scheduled", "pending"}
    await world.tick(1)
    worker = await world.worker()
    assert sorted(await worker.work()) == ["a", "b", "join", "m", "m"]
    assert (await world.told(run_id)).count("run.queued") == 1


async def test_hundreds_of_runs_for_one_moment_all_begin(world: World) -> None:
    job = await world.define(steps={"a": {}})
    at = world.clock.now() + SECOND
    for _ in range(3):
        await world.submit(job, scheduled_at=at)
    assert await world.tick(1) is not None
    worker = await world.worker()
    assert len(await worker.work()) == 3


async def test_a_step_that_waits_holds_no_slot_and_ends_at_its_time(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"hold": {}, "go": {}}))
    worker = await world.worker()
    until = world.clock.now() + 30 * SECOND
    await worker.end(await worker.take_one(), Waiting(until, "half a minute", outputs={"n": 1}))
    task = await world.task(run_id, "hold")
    assert (task["state"], task["reason"]) == ("waiting", "half a minute")
    assert await world.attempts(run_id) == [("hold", 1, "rescheduled")]
    assert await world.tick() == until
    assert await worker.take() == []
    await world.tick(30)
    assert (await world.task(run_id, "hold"))["outputs"] == {"n": 1}
    assert await worker.work() == ["go"]
    assert await world.attempts(run_id) == [("hold", 1, "rescheduled"), ("go", 1, "completed")]


async def test_a_wait_may_end_as_a_failure(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"hold": {"allowFailure": True}, "go": {}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Waiting(world.clock.now() + SECOND, "an event", at_end="failed"))
    await world.tick(1)
    task = await world.task(run_id, "hold")
    assert (task["state"], task["reason"]) == ("failed", "wait_timeout")
    assert await worker.work() == ["go"]
    assert (await world.run(run_id))["allowedFailures"] == 1


async def test_of_waits_that_end_at_one_moment_the_first_may_stop_the_rest(world: World) -> None:
    retried = {"retry": {"attempts": 2, "delay": 1, "jitter": False}}
    steps = {"a": {}, "b": {}, "c": {}, "d": retried, "join": {"dependsOn": ["a", "b", "c", "d"]}}
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    until = world.clock.now() + SECOND
    first, second, third, fourth = await worker.take()
    await worker.end(first, Waiting(until, "an event", at_end="failed"))
    await worker.end(second, Waiting(until, "an event", at_end="failed"))
    await worker.end(third, Waiting(until, "an event"))
    await worker.end(fourth, Failed("exit", "no", 1))
    await world.tick(1)
    assert (await world.run(run_id))["state"] == "failed"
    states = await world.states(run_id)
    assert sorted(states.values()) == ["cancelled"] * 4 + ["failed"]
    assert len(await world.attempts(run_id)) == 4


async def test_a_second_report_on_a_wait_is_late(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"hold": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    report = worker.report(claim, Waiting(world.clock.now() + SECOND, "a second"))
    await worker.exchange([report, report, worker.report(claim, Completed()), worker.report(claim, Cancelled())])
    assert (await world.told(run_id)).count("task.late 0") == 3
    await world.tick(1)
    assert (await world.run(run_id))["state"] == "completed"
