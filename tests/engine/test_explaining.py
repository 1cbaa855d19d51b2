"""`run why` names the cause of every state, and what is behind it, down to the end."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from tests.oracle.world import World, by_step
from windlass.clock import to_text
from windlass.engine.dependencies import Dependency
from windlass.engine.dispatching import drain_worker
from windlass.engine.explaining import why
from windlass.engine.health import health
from windlass.engine.queue import WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.reading import list_runs
from windlass.errors import NotFound
from windlass.ids import id_text, parse_id
from windlass.model.outcome import ChildRun, Completed, Failed, Skipped, TimedOut, Waiting
from windlass.store.runs import RunFilter

pytestmark = pytest.mark.promise("W03")


def chain(explained: dict[str, Any]) -> list[str]:
    """Return the kinds of the first causes, from the nearest to the last."""
    kinds, causes = [], explained["because"]
    while causes:
        kinds.append(causes[0]["kind"])
        causes = causes[0].get("because", [])
    return kinds


def said(explained: dict[str, Any]) -> str:
    """Return all sentences."""

    def sentences(causes: list[dict[str, Any]]) -> list[str]:
        return [text for one in causes for text in (one["message"], *sentences(one.get("because", [])))]

    return "\n".join(sentences(explained["because"]))


async def test_a_failure_is_followed_down_to_the_attempt_that_failed(world: World) -> None:
    steps = {
        "a": {"retry": {"attempts": 3, "delay": 0}},
        "b": {"dependsOn": "a"},
        "c": {"dependsOn": "b"},
    }
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    for _ in range(3):
        await worker.work(by_step(a=Failed("exit", "it ended with exit code 3", 3)))
        await world.tick(1)
    explained = await why(world.engine, run_id)
    assert (explained["state"], explained["reason"]) == ("failed", "task_failed")
    assert chain(explained) == ["step", "attempt"]
    assert said(explained) == 'Step "a" failed.\nAttempt 3 of 3 failed: it ended with exit code 3.'
    attempt = explained["because"][0]["because"][0]
    assert (attempt["exitCode"], attempt["attempt"], attempt["maxAttempts"]) == (3, 3, 3)
    skipped = await why(world.engine, run_id, "c")
    assert skipped["subject"]["step"] == "c"
    assert chain(skipped) == ["trigger_rule", "step", "trigger_rule", "step", "attempt"]
    assert skipped["because"][0]["rule"] == "all_success"


async def test_what_is_queued_says_its_place_and_who_could_take_it(world: World) -> None:
    job = await world.define(steps={"a": {}}, queue="slow", requires={"labels": {"os": "linux"}})
    first, second = await world.submit(job), await world.submit(job)
    explained = await why(world.engine, second)
    assert chain(explained) == ["step", "no_worker"]
    assert 'queue "slow", pool "default", os=linux' in said(explained)
    worker = await world.worker(slots=1, labels=(("os", "linux"),))
    place = (await why(world.engine, second))["because"][0]["because"][0]
    assert (place["kind"], place["position"], place["queue"]) == ("queued_behind", 2, "slow")
    held = await worker.take_one()
    (task,) = (await why(world.engine, second))["because"]
    assert [one["kind"] for one in task["because"]] == ["queued_behind", "slots_busy"]
    assert task["because"][0]["position"] == 1
    running = await why(world.engine, first, "a")
    assert running["because"][0]["message"] == 'Attempt 1 of 1 runs on worker "w1".'
    await world.cancel(first)
    assert [one["kind"] for one in (await why(world.engine, first, "a"))["because"]] == ["attempt", "stopping"]
    await worker.end(held)
    world.clock.advance(100)
    assert chain(await why(world.engine, second)) == ["step", "no_worker"]


async def test_what_was_taken_and_not_begun_says_who_has_it(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 < 2 }}"}}))
    worker = await world.worker()
    await worker.take_one()
    assert said(await why(world.engine, run_id, "a")) == 'Worker "w1" has taken it and is about to start it.'


async def test_what_waits_for_a_time_says_for_which(world: World) -> None:
    at = world.clock.now() + 60_000_000
    later = await world.submit(await world.define("later", steps={"a": {}}), scheduled_at=at)
    for explained in (await why(world.engine, later), await why(world.engine, later, "a")):
        assert chain(explained) == ["not_before"]
        assert explained["because"][0]["at"] == to_text(at)
    steps = {"a": {"retry": {"attempts": 2, "delay": 9, "jitter": False}}, "b": {"dependsOn": "a"}}
    again = await world.submit(await world.define("again", steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    explained = await why(world.engine, again, "b")
    assert chain(explained) == ["step", "retry_delay"]
    retry = explained["because"][0]["because"][0]
    assert retry["message"].startswith("Attempt 1 of 2 failed; the next one is due at ")
    assert retry["at"] == to_text(world.clock.now() + 9_000_000)


async def test_what_gave_its_slot_back_says_what_it_waits_for(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    until = world.clock.now() + 60_000_000
    await worker.end(await worker.take_one(), Waiting(until, "duration", "completed"))
    assert chain(await why(world.engine, run_id)) == ["step", "waiting"]
    assert f"waits (duration), until {to_text(until)} at the latest" in said(await why(world.engine, run_id))


async def test_branches_conditions_and_rules_say_what_they_went_by(world: World) -> None:
    steps = {
        "pick": {"branch": True},
        "left": {"dependsOn": "pick"},
        "right": {"dependsOn": "pick"},
        "never": {"dependsOn": "left", "when": "${{ 1 > 2 }}"},
        "joined": {"dependsOn": ["left", "right"]},
        "one": {"dependsOn": ["right", "never"], "triggerRule": "one_success"},
    }
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.work(by_step(pick=Completed(branches=("left",)), never=Skipped("when: ${{ 1 > 2 }} is false")))
    assert chain(await why(world.engine, run_id, "pick")) == ["chose"]
    assert (await why(world.engine, run_id, "pick"))["because"][0]["chosen"] == ["left"]
    assert chain(await why(world.engine, run_id, "right")) == ["branch", "step", "chose"]
    assert (await why(world.engine, run_id, "never"))["because"][0]["expression"] == "${{ 1 > 2 }}"
    assert chain(await why(world.engine, run_id, "joined")) == ["trigger_rule", "step", "branch", "step", "chose"]
    one = await why(world.engine, run_id, "one")
    assert one["because"][0]["steps"] == ["right", "never"]
    completed = await why(world.engine, run_id)
    assert completed["because"][0]["kind"] == "completed"
    assert 'Step "never" was skipped.' in said(completed)


async def test_an_allowed_failure_is_behind_a_completed_run(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"allowFailure": True, "retry": {"attempts": 2}}}))
    await (await world.worker()).work(by_step(a=TimedOut(5)))
    explained = await why(world.engine, run_id)
    assert chain(explained) == ["completed", "step", "attempt"]
    assert 'Step "a" ran out of time, which is allowed.' in said(explained)
    assert "It is not tried again: its policy retries exit, error, connection." in said(explained)


async def test_cancels_deadlines_and_fail_fast_say_who_or_what_began(world: World) -> None:
    steps = {"a": {}, "b": {"dependsOn": "a"}, "c": {"dependsOn": []}}
    cancelled = await world.submit(await world.define("cancelled", steps=steps))
    await world.cancel(cancelled)
    for step in (None, "b"):
        explained = await why(world.engine, cancelled, step)
        assert chain(explained) == ["cancel_requested"]
        assert explained["because"][0]["by"] == "test"
    late = await world.submit(await world.define("late", steps=steps, timeout=5))
    await world.tick(6)
    assert chain(await why(world.engine, late))[0] == "run_deadline"
    assert chain(await why(world.engine, late, "b")) == ["run_deadline"]
    fast = await world.submit(await world.define("fast", steps=steps, failFast=True))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    assert chain(await why(world.engine, fast, "c")) == ["fail_fast", "step", "attempt"]


async def test_a_lost_worker_and_a_quarantine_say_so(world: World) -> None:
    lost = await world.submit(await world.define("lost", steps={"a": {}}))
    await (await world.worker()).take_one()
    await world.lose()
    explained = await why(world.engine, lost)
    assert [one["kind"] for one in explained["because"][0]["because"]] == ["attempt", "worker_lost"]
    job = await world.define("poison", steps={"a": {"onWorkerLost": "retry"}})
    poison = await world.submit(job)
    for _ in range(3):
        await (await world.worker()).take_one()
        await world.lose()
        await world.tick()
    explained = await why(world.engine, poison)
    assert [one["kind"] for one in explained["because"][0]["because"]] == ["attempt", "quarantined"]
    assert "\nAttempt 3 failed: " in said(explained)


async def test_attempts_that_were_lost_do_not_count_towards_the_most(world: World) -> None:
    steps = {"a": {"onWorkerLost": "retry", "retry": {"attempts": 2, "delay": 9, "on": ["exit:75"]}}}
    run_id = await world.submit(await world.define(steps=steps))
    await (await world.worker()).take_one()
    assert "Attempt 1 of 2 runs on" in said(await why(world.engine, run_id))
    await world.lose()
    assert "Attempt 1 was lost with its worker; the next one is due" in said(await why(world.engine, run_id))
    await world.tick(9)
    worker = await world.worker()
    held = await worker.take_one()
    assert "Attempt 2 runs on" in said(await why(world.engine, run_id))
    await worker.end(held, Failed("exit", "it ended with exit code 1", 1))
    explained = await why(world.engine, run_id)
    attempt, not_retried = explained["because"][0]["because"]
    assert attempt["message"] == "Attempt 2 failed: it ended with exit code 1."
    assert (attempt["attempt"], attempt["maxAttempts"], attempt["lost"]) == (2, 2, 1)
    assert not_retried["message"] == "It is not tried again: its policy retries exit:75."


async def test_a_fanned_out_step_is_explained_by_its_tasks_and_by_one_of_them(world: World) -> None:
    job = await world.define(steps={"a": {"matrix": {"n": list(range(8))}}, "b": {"dependsOn": "a"}})
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    whole = await why(world.engine, run_id, "a")
    assert (whole["state"], len(whole["because"])) == ("failed", 1)
    one = await why(world.engine, run_id, "a", "0")
    assert (one["subject"]["key"], one["state"]) == ("0", "failed")
    after = await why(world.engine, run_id, "b")
    assert [cause["kind"] for cause in after["because"]] == ["step"] * 5 + ["more"]
    assert after["because"][-1]["count"] == 2
    with pytest.raises(NotFound, match='has no task "9"'):
        await why(world.engine, run_id, "a", "9")
    with pytest.raises(NotFound, match='has no step "aa"'):
        await why(world.engine, run_id, "aa")


async def test_a_diamond_of_many_layers_is_told_once_not_over_and_over(world: World) -> None:
    names = [f"{side}{layer}" for layer in range(30) for side in "xy"]
    steps: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(names):
        steps[name] = {"dependsOn": names[place - place % 2 - 2 : place - place % 2] if place > 1 else []}
    run_id = await world.submit(await world.define(steps=steps))
    explained = await why(world.engine, run_id, "y29")
    assert said(explained).count("\n") < 4 * 30  # an edge, a sentence


async def test_a_run_that_waits_for_runs_says_for_which_and_what_holds_those(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {"dependsOn": "a"}})
    first = await world.submit(job)
    second = await world.submit(job, depends_on=[Dependency(first)])
    third = await world.submit(job, depends_on=[Dependency(second, "always")])
    explained = await why(world.engine, third)
    assert chain(explained) == ["dependency", "dependency", "step", "no_worker"]
    nearest = explained["because"][0]
    assert (nearest["run"], nearest["condition"], nearest["state"]) == (id_text(second), "always", "waiting")
    assert chain(await why(world.engine, third, "b")) == ["step", "dependency", "dependency", "step", "no_worker"]
    await (await world.worker()).work(by_step(a=Failed("exit", "no", 1)))
    await world.tick()
    ended = await why(world.engine, second)
    assert (ended["state"], ended["because"][0]["kind"]) == ("failed", "dependency_failed")
    assert id_text(first) in said(ended)


async def test_what_failed_or_waits_with_a_child_is_followed_into_the_child(world: World) -> None:
    await world.define("child", steps={"c": {}})
    await world.define("middle", steps={"m": {"type": "job", "config": {"job": "child"}}})
    top = await world.define(
        "top", steps={"t": {"type": "job", "config": {"job": "middle"}}, "after": {"dependsOn": "t"}}
    )
    run_id = await world.submit(top)
    worker = await world.worker()
    await worker.end(await worker.take_one(), Waiting(0, "", child=ChildRun("middle")))
    await worker.end(await worker.take_one(), Waiting(0, "", child=ChildRun("child")))
    ways = ["step", "waiting", "run", "step", "waiting", "run", "step", "queued_behind"]
    assert chain(await why(world.engine, run_id)) == ways
    await worker.end(await worker.take_one(), Failed("exit", "no", 3))
    await world.tick()
    await world.tick()
    explained = await why(world.engine, run_id)
    assert chain(explained) == ["step", "attempt", "run", "step", "attempt", "run", "step", "attempt"]
    assert said(explained).endswith('Step "c" failed.\nAttempt 1 of 1 failed: no.')
    assert chain(await why(world.engine, run_id, "after"))[-3:] == ["run", "step", "attempt"]


async def test_a_failed_run_is_behind_those_that_it_let_down_however_many_stand_between(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job)]
    for _ in range(3):
        runs.append(await world.submit(job, depends_on=[Dependency(runs[-1])]))
    await (await world.worker()).work(by_step(a=Failed("exit", "no", 1)))
    for _ in range(3):
        await world.tick()
    ways = ["dependency_failed"] * 3 + ["step", "attempt"]
    assert chain(await why(world.engine, runs[-1])) == ways
    assert chain(await why(world.engine, runs[-1], "a")) == ways


async def test_a_run_that_is_not_needed_says_for_which_case_it_was(world: World) -> None:
    job = await world.define(steps={"a": {}})
    first = await world.submit(job)
    second = await world.submit(job, depends_on=[Dependency(first, "failure")])
    await (await world.worker()).work()
    await world.tick()
    for step in (None, "a"):
        explained = await why(world.engine, second, step)
        assert chain(explained)[0] == "not_needed"
        one = explained["because"][0]
        assert one["message"] == f'It was to follow run {id_text(first)} of job "job" on failure, and that completed.'
        assert (one["run"], one["condition"], one["state"]) == (id_text(first), "failure", "completed")


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_skipped_run_says_who_had_the_place(world: World, seconds: int) -> None:
    job = await world.define(steps={"a": {}}, concurrency={"limit": 1, "strategy": "skip"})
    holder = await world.submit(job)
    skipped = await world.submit(job, scheduled_at=world.clock.now() + seconds * 1_000_000)
    await world.tick(2)
    for step in (None, "a"):
        explained = await why(world.engine, skipped, step)
        assert explained["state"] == "cancelled"
        assert chain(explained) == ["concurrency_skip"]
        assert explained["because"][0]["holders"] == [id_text(holder)]
        assert "strategy: skip" in said(explained)


async def test_a_replaced_run_says_by_which(world: World) -> None:
    job = await world.define(steps={"a": {}}, concurrency={"limit": 1, "strategy": "replace"})
    first, second = await world.submit(job), await world.submit(job)
    explained = await why(world.engine, first)
    assert (explained["state"], chain(explained)) == ("cancelled", ["replaced"])
    assert explained["because"][0]["run"] == id_text(second)
    assert said(explained).startswith(f"Run {id_text(second)} replaced it at ")


async def test_a_run_that_was_stopped_with_its_parent_says_so_up_to_who_began(world: World) -> None:
    await world.define("child", steps={"c": {}})
    parent = await world.submit(await world.define("top", steps={"t": {"type": "job", "config": {"job": "child"}}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Waiting(0, "", child=ChildRun("child")))
    (found,) = (await list_runs(world.engine, RunFilter(parent_id=parent)))[0]
    await world.cancel(parent)
    explained = await why(world.engine, parse_id(found["id"]) or b"")
    assert chain(explained) == ["parent_stopped", "cancel_requested"]
    assert f'Run {id_text(parent)} of job "top", below which it was started, stopped it at ' in said(explained)
    assert explained["because"][0]["because"][0]["by"] == "test"


async def test_a_run_that_was_stopped_for_another_step_of_its_parent_says_for_which(world: World) -> None:
    await world.define("child", steps={"c": {}})
    steps = {"t": {"type": "job", "config": {"job": "child"}}, "u": {"dependsOn": []}}
    parent = await world.submit(await world.define("top", steps=steps, failFast=True))
    worker = await world.worker()
    first, second = await worker.take_one(), await worker.take_one()
    await worker.end(first, Waiting(0, "", child=ChildRun("child")))
    (found,) = (await list_runs(world.engine, RunFilter(parent_id=parent)))[0]
    await worker.end(second, Failed("exit", "no", 1))
    await world.tick()
    explained = await why(world.engine, parse_id(found["id"]) or b"")
    assert chain(explained) == ["parent_stopped", "fail_fast", "step", "attempt"]


async def test_tasks_that_others_of_their_run_hold_back_are_told(world: World) -> None:
    job = await world.define(steps={"a": {"matrix": {"n": list(range(5))}}}, maxParallelTasks=2)
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.take_one()
    await worker.take_one()
    sentence = "3 other tasks are held back: of its run no more than 2 tasks run at one time (maxParallelTasks)."
    for step in (None, "a"):
        last = (await why(world.engine, run_id, step))["because"][-1]
        assert (last["kind"], last["message"], last["count"]) == ("held_back", sentence, 3)
    one = await why(world.engine, run_id, "a", "4")
    assert said(one) == "Of its run no more than 2 tasks run at one time (maxParallelTasks)."


async def test_a_run_that_waits_for_a_run_and_a_time_says_both(world: World) -> None:
    job = await world.define(steps={"a": {}})
    first, at = await world.submit(job), world.clock.now() + 3_600_000_000
    second = await world.submit(job, depends_on=[Dependency(first)], scheduled_at=at)
    explained = await why(world.engine, second)
    assert [one["kind"] for one in explained["because"]] == ["dependency", "not_before"]
    assert explained["because"][1]["at"] == to_text(at)


async def test_causes_are_followed_through_a_bounded_number_of_runs(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job)]
    for _ in range(30):
        runs.append(await world.submit(job, depends_on=[Dependency(runs[-1])]))
    explained = await why(world.engine, runs[-1])
    kinds = chain(explained)
    assert kinds[-1] == "elsewhere"
    assert 10 < len(kinds) < 30
    assert "`windlass run why " in said(explained)


async def test_a_task_whose_worker_is_gone_says_so_and_what_comes_next(world: World) -> None:
    steps = {"a": {}, "b": {"dependsOn": [], "onWorkerLost": "retry"}}
    run_id = await world.submit(await world.define(steps=steps))
    await StoreQueue.join(world.engine, WorkerFace(name="there", host=socket.gethostname(), pid=os.getpid(), slots=1))
    worker = await world.worker("gone")
    await worker.take_one()
    await worker.take_one()
    world.clock.advance(100)
    explained = await why(world.engine, run_id)
    assert explained["state"] == "running"
    assert [chain({"because": [one]}) for one in explained["because"]] == [["step", "worker_gone"]] * 2
    assert 'Worker "gone" is gone. Attempt 1 of 1 was on it; the server, or the next `windlass up`' in said(explained)
    assert "it is ended as failed (onWorkerLost: fail)." in said(explained)
    assert "it is tried again (onWorkerLost: retry)." in said(explained)


async def test_a_name_that_is_not_there_gets_a_sentence_that_leads_on(world: World) -> None:
    steps = {"load": {"matrix": {"n": [1, 2]}}, "tell": {}}
    run_id = await world.submit(await world.define(steps=steps))
    for step, key, end in (
        ("zz", None, 'has no step "zz"; it has load, tell.'),
        ("loda", None, 'has no step "loda"; did you mean "load"?'),
        ("load", "9", 'has no task "9"; it has 1, 2.'),
        ("tell", "9", 'has no task "9".'),
    ):
        with pytest.raises(NotFound) as told:
            await why(world.engine, run_id, step, key)
        assert str(told.value).endswith(end)


def ended_process() -> int:
    """Return the number of a process that has ended."""
    number = os.fork()
    if not number:
        os._exit(0)
    os.waitpid(number, 0)
    return number


async def test_a_worker_whose_process_is_gone_serves_nothing_before_its_lease_ends(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    gone = ended_process()
    face = WorkerFace(name="gone", host=socket.gethostname(), pid=gone, slots=4)
    await StoreQueue.join(world.engine, face)
    assert chain(await why(world.engine, run_id)) == ["step", "no_worker"]
    told = {part.name: (part.status, part.message) for part in await health(world.engine)}
    assert told["workers"] == ("down", "nobody works on runs: `windlass up` does")
    await world.worker("there")
    assert chain(await why(world.engine, run_id)) == ["step", "queued_behind"]
    await drain_worker(world.engine, "there")
    assert chain(await why(world.engine, run_id)) == ["step", "workers_drain"]
