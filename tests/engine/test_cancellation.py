"""A cancel in every state: what is not started ends at once, what runs is stopped, clean-up runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import ScriptedWorker, World, by_step
from windlass.clock import SECOND
from windlass.engine.services.reconciler import Reconciler
from windlass.errors import Conflict, NotFound
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, Waiting

pytestmark = pytest.mark.promise("H11")
EXIT = Failed("exit", "it ended with exit code 1", 1)
SWEPT: dict[str, Any] = {"a": {}, "b": {}, "sweep": {"triggerRule": "always"}, "after": {"triggerRule": "all_done"}}


async def begun(world: World) -> ScriptedWorker:
    """Let the first task end, so that there is something to clean up; return the worker."""
    worker = await world.worker()
    await worker.end(await worker.take_one())
    return worker


async def test_a_queued_run_is_cancelled_at_once(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    await world.cancel(run_id)
    run = await world.run(run_id)
    assert (run["state"], run["reason"], run["counts"]) == ("cancelled", "cancelled", {"cancelled": 2})
    assert run["cancelRequestedAt"] == run["finishedAt"]
    assert await (await world.worker()).take() == []
    assert await world.told(run_id) == [
        "run.created", "run.queued", "task.queued 0", "run.cancel_requested", "task.cancelled 0", "task.cancelled 1",
        "run.cancelled",
    ]  # fmt: skip


async def test_a_scheduled_run_is_cancelled_at_once_clean_up_included(world: World) -> None:
    job = await world.define(steps={**SWEPT, "first": {"triggerRule": "always", "next": "a"}})
    run_id = await world.submit(job, scheduled_at=world.clock.now() + 30 * SECOND)
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert set((await world.states(run_id)).values()) == {"cancelled"}
    await world.tick(60)
    assert await (await world.worker()).take() == []


async def test_a_running_run_is_running_until_its_worker_has_stopped_it(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.cancel(run_id)
    run = await world.run(run_id)
    assert (run["state"], run["finishedAt"]) == ("running", None)
    assert run["cancelRequestedAt"] is not None
    assert (await worker.exchange()).stops == [(claim.queue_id, claim.fence, "cancel")]
    world.clock.advance(3)
    await worker.end(claim, Cancelled())
    assert await world.states(run_id) == {"a": "cancelled", "b": "cancelled"}
    assert await world.attempts(run_id) == [("a", 1, "cancelled")]
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_clean_up_runs_after_a_cancel_and_nothing_else_does(world: World) -> None:
    run_id = await world.submit(await world.define(steps=SWEPT))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.cancel(run_id)
    await worker.end(claim, Cancelled())
    assert await worker.work() == ["sweep"]
    assert await world.states(run_id) == {
        "a": "cancelled", "b": "cancelled", "sweep": "completed", "after": "cancelled",
    }  # fmt: skip
    assert (await world.run(run_id))["state"] == "cancelled"


@pytest.mark.parametrize("end", [Cancelled(), Completed(), EXIT])
@pytest.mark.parametrize("why", ["cancel", "timeout", "fail_fast"])
async def test_clean_up_waits_until_all_that_comes_before_it_has_really_ended(
    make_world: MakeWorld, why: str, end: Outcome
) -> None:
    world = make_world(cleanup_grace=300)
    steps = {"build": {}, "test": {}, "pack": {"dependsOn": ["test"]}, "sweep": {"triggerRule": "always"}}
    edges = {"build": {"next": ["test"]}, "pack": {"dependsOn": ["test"], "next": ["sweep"]}, "other": {}}
    job = await world.define(steps=steps | edges, timeout=60, failFast=why == "fail_fast")
    run_id = await world.submit(job)
    worker = await world.worker()
    build, other = await worker.take()
    assert (build.step.name, other.step.name) == ("build", "other")
    match why:
        case "cancel":
            await world.cancel(run_id)
        case "timeout":
            await world.tick(61)
        case _:
            await worker.end(other, EXIT)
    assert await worker.take() == []
    states = await world.states(run_id)
    assert [states[name] for name in ("build", "test", "pack", "sweep")] == ["running", *["pending"] * 3]
    assert await Reconciler(world.engine).whole() == 0  # that is as it should be
    await worker.end(build, end)
    (sweep,) = await worker.take()
    assert sweep.step.name == "sweep"
    states = await world.states(run_id)
    assert (states["test"], states["pack"]) == ("cancelled", "cancelled")
    await worker.end(sweep)
    if why != "fail_fast":
        await worker.end(other, Cancelled())
    found = {"cancel": "cancelled", "timeout": "timeout", "fail_fast": "failed"}[why]
    assert (await world.run(run_id))["state"] == found


async def test_a_second_cancel_waits_for_nothing_that_has_not_begun(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}, "sweep": {"triggerRule": "always"}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.cancel(run_id)
    assert (await world.states(run_id))["b"] == "pending"
    await world.cancel(run_id)
    assert await world.states(run_id) == {"a": "running", "b": "cancelled", "sweep": "cancelled"}
    await worker.end(claim, Cancelled())
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_a_run_that_never_began_is_cancelled_at_once_clean_up_included(world: World) -> None:
    steps = {**SWEPT, "first": {"triggerRule": "always", "next": "a"}}
    run_id = await world.submit(await world.define(steps=steps))
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert set((await world.states(run_id)).values()) == {"cancelled"}
    assert await (await world.worker()).take() == []


async def test_a_run_of_which_one_step_was_started_gets_its_clean_up(world: World) -> None:
    run_id = await world.submit(await world.define(steps=SWEPT))
    worker = await world.worker()
    await worker.end(await worker.take_one())
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "running"
    assert await worker.work() == ["sweep"]
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_a_second_cancel_stops_clean_up_that_runs(world: World) -> None:
    run_id = await world.submit(await world.define(steps={**SWEPT, "last": {"triggerRule": "always"}}))
    worker = await begun(world)
    await world.cancel(run_id)
    sweep = await worker.take_one()
    assert (await worker.exchange()).stops == []
    await world.cancel(run_id)
    assert (await worker.exchange()).stops == [(sweep.queue_id, sweep.fence, "cancel")]
    assert (await world.states(run_id))["last"] == "cancelled"
    await worker.end(sweep, Cancelled())
    assert (await world.run(run_id))["state"] == "cancelled"
    events = [event.data for event in await world.events(run_id) if event.type == "run.cancel_requested"]
    assert [(event["by"], event["again"]) for event in events] == [("test", False), ("test", True)]


async def test_a_second_cancel_ends_clean_up_that_waits(world: World) -> None:
    run_id = await world.submit(await world.define(steps=SWEPT))
    await begun(world)
    await world.cancel(run_id)
    await world.cancel(run_id)
    assert set((await world.states(run_id)).values()) == {"completed", "cancelled"}
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_clean_up_that_outlives_its_grace_is_stopped(make_world: MakeWorld) -> None:
    world = make_world(cleanup_grace=300.0)
    run_id = await world.submit(await world.define(steps=SWEPT))
    worker = await begun(world)
    await world.cancel(run_id)
    sweep = await worker.take_one()
    await world.tick(300)
    assert (await worker.exchange()).stops == [(sweep.queue_id, sweep.fence, "cancel")]
    await worker.end(sweep, Cancelled())
    run = await world.run(run_id)
    assert (run["state"], run["counts"]) == ("cancelled", {"completed": 1, "cancelled": 3})
    await world.assert_sound(at_rest=True)
    await world.close()


async def test_clean_up_has_its_whole_grace_although_the_deadline_of_the_run_is_near(make_world: MakeWorld) -> None:
    world = make_world(cleanup_grace=300.0)
    run_id = await world.submit(await world.define(timeout=60, steps=SWEPT))
    worker = await begun(world)
    await world.tick(59)
    await world.cancel(run_id)
    await worker.take_one()
    await world.tick(299)
    assert (await worker.exchange()).stops == []
    await world.cancel(run_id)
    assert len((await worker.exchange()).stops) == 1
    await world.tick(1)
    assert await world.tick() == world.clock.now() + 300_000_000, "the second cancel gives no new grace"
    await world.lose()
    assert (await world.run(run_id))["state"] == "cancelled"
    await world.assert_sound(at_rest=True)
    await world.close()


async def test_clean_up_that_nobody_takes_ends_with_its_grace(make_world: MakeWorld) -> None:
    world = make_world(cleanup_grace=300.0)
    run_id = await world.submit(await world.define(steps=SWEPT))
    await begun(world)
    await world.cancel(run_id)
    await world.tick(299)
    assert (await world.run(run_id))["state"] == "running"
    await world.tick(1)
    assert (await world.run(run_id))["state"] == "cancelled"
    await world.close()


async def test_a_task_that_is_only_claimed_does_not_start_any_more(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 < 2 }}"}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert not await worker.queue.start(claim)
    await worker.end(claim, Skipped("when: it is false"))
    assert await world.states(run_id) == {"a": "cancelled"}


async def test_a_task_that_waits_is_cancelled_and_its_attempt_kept(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Waiting(world.clock.now() + 60 * SECOND, "a minute"))
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert await world.attempts(run_id) == [("a", 1, "rescheduled")]
    await world.tick(60)


async def test_a_task_between_two_attempts_is_cancelled(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"retry": {"attempts": 3, "delay": 60}}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), EXIT)
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert await world.attempts(run_id) == [("a", 1, "failed")]
    assert (await world.task(run_id, "a"))["attempt"] == 1
    await world.tick(60)
    assert await worker.take() == []


async def test_a_failure_on_the_way_to_the_stop_is_not_retried(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"retry": {"attempts": 3}}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.cancel(run_id)
    await worker.end(claim, Failed("exit", "it ended with exit code 143", 143))
    assert await world.states(run_id) == {"a": "failed", "b": "cancelled"}
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_a_cancel_that_stopped_nothing_changes_nothing(world: World) -> None:
    for outcome, state in ((Completed(), "completed"), (EXIT, "failed")):
        run_id = await world.submit(await world.define(steps={"a": {}}))
        worker = await world.worker()
        claim = await worker.take_one()
        await world.cancel(run_id)
        await worker.end(claim, outcome)
        assert (await world.run(run_id))["state"] == state


async def test_a_run_that_failed_fast_before_the_cancel_failed(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": {}, "c": {}, "join": {"dependsOn": ["a", "b", "c"]}}
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    a, b = await worker.take(2)
    await worker.end(a, EXIT)
    await world.cancel(run_id)
    await worker.end(b, Cancelled())
    assert await world.states(run_id) == {"a": "failed", "b": "cancelled", "c": "cancelled", "join": "cancelled"}
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_run_that_timed_out_before_the_cancel_is_timeout(world: World) -> None:
    run_id = await world.submit(await world.define(timeout=60, steps={"a": {}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.tick(60)
    await world.cancel(run_id)
    await worker.end(claim, Cancelled())
    assert await world.states(run_id) == {"a": "timeout", "b": "cancelled"}
    assert (await world.run(run_id))["state"] == "timeout"


async def test_a_cancel_during_the_clean_up_of_a_timeout_leaves_that_its_grace(world: World) -> None:
    run_id = await world.submit(await world.define(timeout=60, steps=SWEPT))
    worker = await world.worker()
    first = await worker.take_one()
    await world.tick(60)
    await worker.end(first, Cancelled())
    sweep = await worker.take_one()
    await world.cancel(run_id)
    assert (await worker.exchange()).stops == []
    await world.cancel(run_id)
    assert len((await worker.exchange()).stops) == 1
    await worker.end(sweep, Cancelled())
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_cancelling_what_is_cancelled_is_fine_and_what_ended_otherwise_is_not(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await world.cancel(run_id)
    events = await world.told(run_id)
    await world.cancel(run_id)
    assert await world.told(run_id) == events
    done = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).work(by_step(a=EXIT))
    with pytest.raises(Conflict, match="is already failed"):
        await world.cancel(done)
    with pytest.raises(NotFound):
        await world.cancel(b"\0" * 16)


async def test_only_the_run_that_is_named_is_cancelled(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}})
    first, second = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    claims = await worker.take()
    await world.cancel(first)
    assert [stop[0] for stop in (await worker.exchange()).stops] == [claims[0].queue_id]
    await worker.end(claims[0], Cancelled())
    await worker.end(claims[1])
    assert await worker.work() == ["b"]
    assert (await world.run(second))["state"] == "completed"


async def test_the_end_of_a_cancelled_run_frees_its_slots(world: World) -> None:
    steps: dict[str, Any] = {"m": {"matrix": {"n": list(range(4))}}}
    job = await world.define(steps=steps)
    run_id, waiting = await world.submit(job), await world.submit(job)
    worker = await world.worker(slots=4)
    claims = await worker.take()
    await world.cancel(run_id)
    exchange = await worker.exchange([worker.report(claim, Cancelled()) for claim in claims], 4)
    assert {claim.run_id for claim in exchange.claims} == {waiting}
    await worker.exchange([worker.report(claim, Completed()) for claim in exchange.claims])
