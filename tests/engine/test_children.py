"""Runs that steps start: the step waits without a slot, and ends as its child does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import ScriptedWorker, World, always
from windlass.clock import SECOND
from windlass.engine.claim import Claim
from windlass.engine.reading import list_runs
from windlass.ids import id_text, parse_id
from windlass.model.outcome import Cancelled, ChildRun, Completed, Failed, Outcome, Waiting
from windlass.store.runs import RunFilter

pytestmark = pytest.mark.promise("K08")
EXIT = Failed("exit", "it ended with exit code 1", 1)


def child(job: str = "child", **more: Any) -> Waiting:
    """Return what a step of type `job` answers."""
    return Waiting(0, "", child=ChildRun(job, **more))


async def begun(world: World, **step: Any) -> tuple[bytes, bytes, ScriptedWorker]:
    """Start a run whose step waits for a child run; return both, and the worker."""
    await world.define("child", parameters={"n": {"type": "integer", "default": 1}}, steps={"c": {}})
    waiting = {name: step.pop(name) for name in ("parameters", "cascade") if name in step}
    job = await world.define("parent", steps={"p": step, "q": {"dependsOn": "p"}})
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.end(await worker.take_one(), child(**waiting))
    (found,) = await children(world, run_id)
    return run_id, found, worker


async def children(world: World, run_id: bytes) -> list[bytes]:
    """Return the children of a run, oldest first."""
    found, _ = await list_runs(world.engine, RunFilter(parent_id=run_id))
    return [parse_id(one["id"]) or b"" for one in reversed(found)]


async def test_a_step_waits_for_its_child_and_gives_its_outputs(world: World) -> None:
    run_id, found, worker = await begun(world, parameters={"n": 7})
    run = await world.run(found)
    assert (run["parentId"], run["rootId"], run["parameters"]) == (id_text(run_id), id_text(run_id), {"n": 7})
    assert run["trigger"] == {
        "type": "parent", "run": id_text(run_id), "task": f"{id_text(run_id)}.0", "step": "p", "attempt": 1,
    }  # fmt: skip
    task = await world.task(run_id, "p")
    assert (task["state"], task["reason"], task["worker"]) == ("waiting", f'run {id_text(found)} of job "child"', None)
    await worker.work(always(Completed({"rows": 3})), most=1)
    await world.tick()
    task = await world.task(run_id, "p")
    assert (task["state"], task["outputs"]) == ("completed", {"rows": 3})
    assert await worker.work() == ["q"]
    assert (await world.run(run_id))["state"] == "completed"


@pytest.mark.parametrize(
    ("end", "reason"), [("failed", "child_failed"), ("cancelled", "child_cancelled"), ("timeout", "child_timeout")]
)
async def test_a_step_fails_as_its_child_does_and_says_which(world: World, end: str, reason: str) -> None:
    run_id, found, worker = await begun(world)
    if end == "failed":
        await worker.work(always(EXIT), most=1)
    elif end == "cancelled":
        await world.cancel(found)
    else:
        await world.tick(world.engine.settings.run_deadline + 1)
    await world.tick()
    task = await world.task(run_id, "p")
    if end == "timeout":  # the parent's own deadline came at the same time
        assert task["state"] == "timeout"
        return
    assert (task["state"], task["error"]["reason"]) == ("failed", reason)
    assert task["error"]["message"].startswith(f'Run {id_text(found)} of job "child" ')
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_retry_of_the_step_starts_a_new_child(world: World) -> None:
    run_id, first, worker = await begun(world, retry={"attempts": 2, "delay": 1, "jitter": False})
    await worker.work(always(EXIT), most=1)
    await world.tick()
    assert (await world.task(run_id, "p"))["state"] == "scheduled"
    await world.tick(2)
    await worker.end(await worker.take_one(), child())
    assert [one == first for one in await children(world, run_id)] == [True, False]
    await worker.work(most=1)
    await world.tick()
    assert (await world.task(run_id, "p"))["state"] == "completed"
    assert await world.attempts(run_id) == [("p", 1, "failed"), ("p", 2, "completed")]


async def test_a_cancel_goes_down_and_is_confirmed_by_the_child(world: World) -> None:
    run_id, found, worker = await begun(world)
    claim = await worker.take_one()
    await world.cancel(run_id)
    assert (await world.run(found))["cancelRequestedAt"] is not None
    await world.tick()
    assert (await world.run(run_id))["state"] == "running"
    await worker.end(claim, Cancelled())
    await world.tick()
    assert (await world.run(found))["state"] == (await world.run(run_id))["state"] == "cancelled"
    assert await world.states(run_id) == {"p": "cancelled", "q": "cancelled"}


async def test_a_child_that_is_let_loose_goes_on(world: World) -> None:
    run_id, found, worker = await begun(world, cascade=False)

    def loose(tx: Any) -> None:
        assert tx.cursor.execute("SELECT cascades FROM runs WHERE id = ?", (found,)).fetchone() == (0,)

    await world.engine.store.read(loose)
    await world.cancel(run_id)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert await worker.work() == ["c"]
    await world.tick()
    assert (await world.run(found))["state"] == "completed"


async def test_the_timeout_of_the_step_stops_the_child_and_is_retried_where_it_says(world: World) -> None:
    retry = {"attempts": 2, "on": ["timeout"], "delay": 0, "jitter": False}
    run_id, found, worker = await begun(world, timeout=30, retry=retry)
    claim = await worker.take_one()
    await world.tick(31)
    assert (await world.task(run_id, "p"))["state"] == "waiting"
    assert (await world.run(found))["cancelRequestedAt"] is not None
    await worker.end(claim, Cancelled())
    await world.tick()
    await world.tick()
    assert (await world.task(run_id, "p"))["state"] == "queued"
    assert await world.attempts(run_id) == [("p", 1, "timeout")]
    await world.cancel(run_id)


async def test_a_child_that_does_not_stop_holds_its_step_no_longer_than_the_grace(world: World) -> None:
    run_id, found, worker = await begun(world, timeout=30)
    claim = await worker.take_one()
    await world.tick(31)
    await world.tick(2 * world.engine.settings.cleanup_grace + 1)
    assert (await world.task(run_id, "p"))["state"] == "timeout"
    await worker.end(claim, Completed())
    await world.tick()
    assert (await world.run(found))["state"] == "completed"


async def test_fail_fast_stops_children_too(world: World) -> None:
    await world.define("child", steps={"c": {}})
    run_id = await world.submit(await world.define("parent", failFast=True, steps={"p": {}, "x": {"dependsOn": []}}))
    worker = await world.worker()
    first, second = await worker.take()
    await worker.end(first, child())
    await worker.end(second, EXIT)
    (found,) = await children(world, run_id)
    assert (await world.run(found))["state"] == "cancelled"
    await world.tick()
    assert await world.states(run_id) == {"p": "cancelled", "x": "failed"}
    assert (await world.task(run_id, "p"))["reason"] == "fail_fast"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (child("nothing"), "nothing"),
        (child(parameters={"n": "x"}), "n"),
        (child(revision=9), "revision 9"),
        (child(parameters={"n": 5}, secret=frozenset({"n"})), "must declare it with `secret: true`"),
    ],
)
async def test_a_child_that_cannot_be_started_fails_the_step_once(world: World, asked: Waiting, sentence: str) -> None:
    await world.define("child", parameters={"n": {"type": "integer", "default": 1}}, steps={"c": {}})
    run_id = await world.submit(await world.define("parent", steps={"p": {"retry": {"attempts": 3}}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), asked)
    task = await world.task(run_id, "p")
    assert (task["state"], task["error"]["reason"]) == ("failed", "child_refused")
    assert sentence in task["error"]["message"]
    assert await children(world, run_id) == []


async def test_a_job_that_starts_itself_ends_at_the_limit_of_depth(world: World) -> None:
    run_id = await world.submit(await world.define("again", steps={"p": {}}))
    worker = await world.worker()
    depth = 0
    while claims := await worker.take(1):
        await worker.end(claims[0], child("again"))
        await world.tick()
        depth += 1
    assert depth == world.engine.settings.max_child_depth + 1
    for _ in range(depth):
        await world.tick()
    assert (await world.run(run_id))["state"] == "failed"


async def refused(world: World, worker: ScriptedWorker, run_id: bytes, sentence: str) -> None:
    """See that the step of a run failed because its child would never begin, and let that come up to the top."""
    error = (await world.task(run_id, "p"))["error"]
    assert (error["reason"], sentence in error["message"]) == ("child_refused", True)
    for _ in range(3):
        await world.tick()
    assert await worker.take() == []
    found, _ = await list_runs(world.engine, RunFilter())
    assert {one["state"] for one in found} == {"failed"}


@pytest.mark.promise("C19")
@pytest.mark.parametrize("strategy", ["queue", "replace"])
async def test_a_child_that_would_wait_for_the_place_of_its_own_parent_is_refused(world: World, strategy: str) -> None:
    limit = {"limit": 1, "strategy": strategy}
    run_id = await world.submit(await world.define("again", concurrency=limit, steps={"p": {}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), child("again"))
    assert await children(world, run_id) == []
    sentence = "replaces the run that this step is part of" if strategy == "replace" else "never begin"
    await refused(world, worker, run_id, sentence)


@pytest.mark.promise("C19")
async def test_a_run_below_one_that_has_the_only_place_is_refused_however_far_below(world: World) -> None:
    run_id = await world.submit(await world.define("p1", concurrency={"limit": 1}, steps={"p": {}}))
    await world.define("p2", steps={"p": {}})
    worker = await world.worker()
    await worker.end(await worker.take_one(), child("p2"))
    await worker.end(await worker.take_one(), child("p1"))
    (below,) = await children(world, run_id)
    await refused(world, worker, below, 'Job "p1" allows one run at a time')


@pytest.mark.promise("C19")
async def test_runs_that_hold_what_the_children_of_each_other_need_do_not_wait_for_ever(world: World) -> None:
    jobs = [await world.define(name, concurrency={"limit": 1}, steps={"p": {}}) for name in ("a", "b")]
    first, second = [await world.submit(job) for job in jobs]
    worker = await world.worker()
    one, other = await worker.take()
    await worker.end(one, child("b"))
    (waits,) = await children(world, first)
    assert (await world.run(waits))["state"] == "waiting"
    await worker.end(other, child("a"))
    assert (await world.task(second, "p"))["error"]["reason"] == "child_refused"
    await world.tick()
    assert await worker.work(most=1) == ["p"]
    await world.tick()
    assert [(await world.run(run_id))["state"] for run_id in (first, second)] == ["completed", "failed"]


@pytest.mark.promise("C19")
async def test_a_child_waits_for_a_place_that_somebody_will_leave(world: World) -> None:
    job = await world.define("again", concurrency={"limit": 2}, steps={"p": {"matrix": {"n": [1, 2]}}})
    run_id = await world.submit(job)
    await world.define("top", steps={"p": {}})
    worker = await world.worker()
    for claim in await worker.take():
        await worker.end(claim, child("again"))
    first, second = await children(world, run_id)
    assert [(await world.run(one))["state"] for one in (first, second)] == ["queued", "waiting"]
    assert await worker.work() == ["p"] * 4
    await world.tick()
    assert (await world.run(run_id))["state"] == "completed"


async def test_children_fan_out_and_their_outputs_are_items(world: World) -> None:
    await world.define("child", parameters={"n": {"type": "integer"}}, steps={"c": {}})
    job = await world.define("parent", steps={"p": {"matrix": {"n": [1, 2, 3]}}, "q": {"dependsOn": "p"}})
    run_id = await world.submit(job)
    worker = await world.worker()

    def script(claim: Claim) -> Outcome:
        if claim.step.name == "p":
            return child(parameters={"n": claim.values["n"]})
        return Completed({"n": claim.key})

    assert await worker.work(script) == ["p"] * 3 + ["c"] * 3
    await world.tick()
    assert [one["state"] for one in [await world.task(run_id, f"p[{n}]") for n in (1, 2, 3)]] == ["completed"] * 3
    assert await worker.work() == ["q"]


@pytest.mark.promise("H07")
async def test_a_crash_between_the_end_of_the_child_and_that_of_the_step_loses_nothing(kept_world: World) -> None:
    run_id, _, worker = await begun(kept_world)
    await worker.work(always(Completed({"rows": 1})), most=1)
    await kept_world.reopen()
    assert (await kept_world.task(run_id, "p"))["state"] == "waiting"
    await kept_world.tick()
    assert (await kept_world.task(run_id, "p"))["outputs"] == {"rows": 1}
    assert await (await kept_world.worker("w2")).work() == ["q"]


async def test_a_second_cancel_stops_the_clean_up_of_children(world: World) -> None:
    await world.define("child", steps={"c": {}, "sweep": {"triggerRule": "always"}})
    run_id = await world.submit(await world.define("parent", steps={"p": {}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), child())
    (found,) = await children(world, run_id)
    claim = await worker.take_one()
    await world.cancel(run_id)
    await worker.end(claim, Cancelled())
    assert (await world.states(found))["sweep"] == "queued"
    await world.cancel(run_id)
    assert (await world.states(found))["sweep"] == "cancelled"
    await world.tick()
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_a_child_has_the_time_of_its_parents_deadline_only(world: World) -> None:
    await world.define("child", steps={"c": {}})
    run_id = await world.submit(await world.define("parent", timeout=60, steps={"p": {}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), child())
    (found,) = await children(world, run_id)
    await world.tick(61)
    await world.tick()
    assert (await world.run(found))["state"] == "cancelled"
    assert ((await world.run(run_id))["state"], (await world.task(run_id, "p"))["state"]) == ("timeout", "timeout")
    assert world.clock.now() > 60 * SECOND


async def cleaning(world: World, **settings: Any) -> tuple[bytes, bytes, ScriptedWorker]:
    """Cancel a run whose clean-up starts a child with a clean-up of its own; return both runs, and the worker."""
    await world.define("child", steps={"c": {}, "sweep": {"triggerRule": "always"}})
    steps = {"a": {}, "undo": {"triggerRule": "always"}}
    run_id = await world.submit(await world.define("parent", steps=steps, **settings))
    worker = await world.worker()
    claim = await worker.take_one()
    if "timeout" in settings:
        await world.tick(settings["timeout"] + 1)
    else:
        await world.cancel(run_id)
    await worker.end(claim, Cancelled())
    await worker.end(await worker.take_one(), child())
    (found,) = await children(world, run_id)
    return run_id, found, worker


@pytest.mark.parametrize("settings", [{}, {"timeout": 60}])
async def test_clean_up_starts_a_run_although_its_own_is_stopped(world: World, settings: dict[str, Any]) -> None:
    run_id, found, worker = await cleaning(world, **settings)
    assert (await world.run(found))["cancelRequestedAt"] is None
    assert await worker.work(always(Completed({"undone": 2}))) == ["c", "sweep"]
    await world.tick()
    task = await world.task(run_id, "undo")
    assert (task["state"], task["outputs"]) == ("completed", {"undone": 2})
    assert (await world.run(run_id))["state"] == ("timeout" if settings else "cancelled")


@pytest.mark.parametrize("why", ["a second cancel", "the end of the grace"])
async def test_a_run_that_clean_up_started_is_stopped_with_it(world: World, why: str) -> None:
    run_id, found, worker = await cleaning(world)
    claim = await worker.take_one()
    if why == "a second cancel":
        await world.cancel(run_id)
    else:
        await world.tick(world.engine.settings.cleanup_grace + 1)
    assert await world.states(found) == {"c": "running", "sweep": "cancelled"}
    assert [stop for _, _, stop in (await worker.exchange()).stops] == ["cancel"]
    await worker.end(claim, Cancelled())
    await world.tick()
    assert await world.states(run_id) == {"a": "cancelled", "undo": "cancelled"}
    assert (await world.run(found))["state"] == (await world.run(run_id))["state"] == "cancelled"


async def test_a_cancel_leaves_the_run_alone_that_clean_up_waits_for(world: World) -> None:
    await world.define("child", steps={"c": {}})
    steps = {"a": {}, "undo": {"dependsOn": "a", "triggerRule": "always"}, "other": {"dependsOn": []}}
    run_id = await world.submit(await world.define("parent", steps=steps))
    worker = await world.worker()
    first, other = await worker.take()
    await worker.end(first)
    await worker.end(await worker.take_one(), child())
    await world.cancel(run_id)
    await worker.end(other, Cancelled())
    assert await worker.work() == ["c"]
    await world.tick()
    assert await world.states(run_id) == {"a": "completed", "undo": "completed", "other": "cancelled"}


async def test_clean_up_begins_once_the_child_has_really_ended(world: World) -> None:
    await world.define("child", steps={"c": {}})
    steps = {"p": {}, "q": {"dependsOn": "p"}, "sweep": {"dependsOn": "q", "triggerRule": "always"}}
    run_id = await world.submit(await world.define("parent", steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), child())
    claim = await worker.take_one()
    await world.cancel(run_id)
    assert await worker.take() == []
    await worker.end(claim, Cancelled())
    assert await world.tick() is not None
    assert await worker.work() == ["sweep"]
    assert await world.states(run_id) == {"p": "cancelled", "q": "cancelled", "sweep": "completed"}
    assert (await world.run(run_id))["state"] == "cancelled"


async def test_a_step_that_waits_for_its_child_keeps_its_room_in_the_run(world: World) -> None:
    await world.define("child", steps={"c": {}})
    job = await world.define(steps={"m": {"matrix": {"n": [1, 2, 3]}}}, maxParallelTasks=1)
    run_id = await world.submit(job)
    worker = await world.worker()

    def script(claim: Claim) -> Outcome:
        return child() if claim.step.name == "m" else Completed()

    for _ in range(3):
        assert await worker.work(script) == ["m", "c"], "the next one of m waits for the child of this one"
        await world.assert_sound()
        await world.tick()
    assert (await world.run(run_id))["state"] == "completed"


@pytest.mark.promise("C19")
@pytest.mark.parametrize("where", ["filter", "outputs"])
async def test_a_wait_that_speaks_of_a_child_is_no_wait_for_a_run_and_takes_no_room(world: World, where: str) -> None:
    steps: dict[str, Any] = {"hold": {}, "work": {"dependsOn": []}, "more": {"dependsOn": []}}
    run_id = await world.submit(await world.define(steps=steps, maxParallelTasks=1))
    worker = await world.worker()
    until = world.clock.now() + 3600 * SECOND
    waits = (
        Waiting(until, "for event made", "failed", event={"type": "made", "filter": {"child": "x"}})
        if where == "filter"
        else Waiting(until, "for a while", "completed", {"child": "x"})
    )

    def script(claim: Claim) -> Outcome:
        return waits if claim.step.name == "hold" else Completed()

    assert await worker.work(script) == ["hold", "work", "more"]
    await world.assert_sound()
    assert await world.states(run_id) == {"hold": "waiting", "work": "completed", "more": "completed"}
