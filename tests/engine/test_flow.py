"""Runs as graphs: order, joins, branches, conditions, fan-out, failures and what becomes of the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World, always, by_step
from windlass.model.outcome import Completed, Failed, Skipped, TimedOut

pytestmark = pytest.mark.promise("C12")
EXIT = Failed("exit", "it ended with exit code 1", 1)


async def test_steps_without_edges_run_one_after_the_other(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"c": {}, "a": {}, "b": {}}))
    worker = await world.worker()
    (claim,) = await worker.take()
    assert claim.step.name == "c"
    await worker.end(claim)
    assert await worker.work() == ["a", "b"]
    run = await world.run(run_id)
    assert (run["state"], run["counts"], run["reason"], run["error"]) == ("completed", {"completed": 3}, None, None)


async def test_a_run_of_one_step_is_as_whole_as_any(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    world.clock.advance(2)
    await worker.end(claim, Completed({"rows": 42}, 0))
    run, task = await world.run(run_id), await world.task(run_id, "a")
    assert (run["state"], run["counts"], run["outputs"]) == ("completed", {"completed": 1}, {"rows": 42})
    assert (task["state"], task["attempt"], task["exitCode"], task["worker"]) == ("completed", 1, 0, "w1")
    assert run["startedAt"] == task["startedAt"] != task["finishedAt"] == run["finishedAt"]
    assert await world.told(run_id) == [
        "run.created", "run.queued", "task.queued 0", "run.started", "task.started 0", "task.completed 0",
        "run.completed",
    ]  # fmt: skip


async def test_what_is_independent_runs_at_the_same_time(world: World) -> None:
    steps = {"a": {}, "b": {}, "a2": {"dependsOn": "a"}, "join": {"dependsOn": ["a2", "b"]}}
    await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    first = await worker.take()
    assert [claim.step.name for claim in first] == ["a", "b"]
    await worker.exchange([worker.report(claim, Completed()) for claim in first])
    assert await worker.work() == ["a2", "join"]


async def test_a_failure_stops_what_depends_on_it_and_nothing_else(world: World) -> None:
    steps = {"a": {}, "b": {}, "a2": {"dependsOn": "a"}, "b2": {"dependsOn": "b"}, "join": {"dependsOn": ["a2", "b2"]}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(a=EXIT)) == ["a", "b", "b2"]
    assert await world.states(run_id) == {
        "a": "failed", "b": "completed", "a2": "skipped", "b2": "completed", "join": "skipped",
    }  # fmt: skip
    assert (await world.task(run_id, "a2"))["reason"] == 'trigger rule all_success: step "a" failed'
    run = await world.run(run_id)
    assert (run["state"], run["reason"]) == ("failed", "task_failed")
    assert run["error"] == {"step": "a", "key": "", "reason": "exit", "message": "it ended with exit code 1"}
    assert run["counts"] == {"failed": 1, "completed": 2, "skipped": 2}


async def test_the_error_of_a_run_is_its_first_failure_that_was_not_allowed(world: World) -> None:
    steps = {"x": {"allowFailure": True}, "a": {}, "b": {}, "join": {"dependsOn": ["x", "a", "b"]}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    claims = {claim.step.name: claim for claim in await worker.take()}
    for name in ("x", "b", "a"):
        world.clock.advance(1)
        await worker.end(claims[name], Failed("error", f"{name} is broken"))
    run = await world.run(run_id)
    assert run["error"] == {"step": "b", "key": "", "reason": "error", "message": "b is broken"}
    assert run["allowedFailures"] == 1


async def test_an_allowed_failure_goes_on_and_is_counted(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"allowFailure": True}, "b": {}}))
    worker = await world.worker()
    assert await worker.work(by_step(a=EXIT)) == ["a", "b"]
    run = await world.run(run_id)
    assert (run["state"], run["allowedFailures"], run["error"]) == ("completed", 1, None)
    assert (await world.task(run_id, "a"))["state"] == "failed"


async def test_clean_up_after_a_failure_does_not_mend_the_run(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}, "sweep": {"triggerRule": "all_done"}}))
    worker = await world.worker()
    assert await worker.work(by_step(a=EXIT)) == ["a", "sweep"]
    assert await world.states(run_id) == {"a": "failed", "b": "skipped", "sweep": "completed"}
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_branch_chooses_and_the_ways_meet_again(world: World) -> None:
    steps: dict[str, Any] = {
        "pick": {"branch": True, "next": ["left", "right"]},
        "left": {},
        "right": {},
        "join": {"dependsOn": ["left", "right"], "triggerRule": "none_failed"},
    }
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(pick=Completed(branches=("right",)))) == ["pick", "right", "join"]
    assert (await world.task(run_id, "left"))["reason"] == 'branch "pick" did not choose it'
    assert (await world.task(run_id, "pick"))["branches"] == ["right"]
    assert (await world.run(run_id))["state"] == "completed"


@pytest.mark.parametrize("branches", [(), None])
async def test_a_branch_that_chooses_nothing_skips_all(world: World, branches: tuple[str, ...] | None) -> None:
    steps: dict[str, Any] = {"pick": {"branch": True, "next": ["left", "right"]}, "left": {}, "right": {}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(pick=Completed(branches=branches))) == ["pick"]
    assert await world.states(run_id) == {"pick": "completed", "left": "skipped", "right": "skipped"}
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_branch_that_chooses_what_does_not_follow_it_fails(world: World) -> None:
    steps: dict[str, Any] = {"pick": {"branch": True, "next": ["left"]}, "left": {"next": "end"}, "end": {}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(pick=Completed({"n": 1}, branches=("end",)))) == ["pick"]
    task = await world.task(run_id, "pick")
    assert (task["state"], task["reason"], task["outputs"]) == ("failed", "unknown_branch", {"n": 1})
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_branch_that_fails_chooses_nothing_and_the_rules_decide(world: World) -> None:
    steps: dict[str, Any] = {
        "pick": {"branch": True, "next": ["left", "mend"]}, "left": {}, "mend": {"triggerRule": "all_failed"},
    }  # fmt: skip
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(pick=EXIT)) == ["pick", "mend"]
    assert await world.states(run_id) == {"pick": "failed", "left": "skipped", "mend": "completed"}


async def test_a_branch_alone_is_a_whole_run(world: World) -> None:
    steps: dict[str, Any] = {"pick": {"branch": True, "next": ["end"]}, "end": {}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.work(always(Completed(branches=("end",))))
    assert (await world.run(run_id))["counts"] == {"completed": 2}


async def test_a_condition_that_is_false_skips_without_an_attempt(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 > 2 }}"}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    assert claim.started_at is None, "what has a condition is only claimed"
    assert (await world.run(run_id))["state"] == "queued"
    await worker.end(claim, Skipped("when: it is false"))
    assert await world.states(run_id) == {"a": "skipped", "b": "skipped"}
    assert await world.attempts(run_id) == []
    run = await world.run(run_id)
    assert (run["state"], run["startedAt"], run["counts"]) == ("completed", None, {"skipped": 2})


async def test_a_condition_that_cannot_be_evaluated_fails_its_task_for_good(world: World) -> None:
    retry = {"attempts": 5, "on": ["error", "exit"]}
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 > 2 }}", "retry": retry}}))
    worker = await world.worker()
    wrong = Failed("expression", "there is no x", reason="expression_error")
    await worker.end(await worker.take_one(), wrong)
    task = await world.task(run_id, "a")
    assert (task["state"], task["reason"], task["attempt"]) == ("failed", "expression_error", 0)
    assert await world.attempts(run_id) == []
    assert (await world.run(run_id))["state"] == "failed"


async def test_a_defect_before_the_start_fails_the_task_and_is_not_retried(world: World) -> None:
    retry = {"attempts": 5, "delay": 1, "on": ["error"]}
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 > 2 }}", "retry": retry}}))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("error", "Unexpected ValueError"))
    assert (await world.task(run_id, "a"))["state"] == "failed"
    assert await world.attempts(run_id) == []


@pytest.mark.parametrize("outcome", [Completed(), TimedOut(1)])
async def test_what_never_started_cannot_have_ended_so(world: World, outcome: Any) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"when": "${{ 1 > 2 }}"}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.end(claim, outcome)
    assert (await world.run(run_id))["state"] == "queued"
    assert await worker.queue.start(claim)
    await worker.end(claim)
    assert (await world.run(run_id))["state"] == "completed"


async def test_an_attempt_that_finds_nothing_to_do_is_still_an_attempt(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {"triggerRule": "none_failed"}}))
    worker = await world.worker()
    assert await worker.work(by_step(a=Skipped("nothing is new"))) == ["a", "b"]
    assert (await world.task(run_id, "a"))["reason"] == "nothing is new"
    assert await world.attempts(run_id) == [("a", 1, "completed"), ("b", 1, "completed")]


async def test_a_matrix_makes_a_task_for_each_cell_and_joins_wait_for_all(world: World) -> None:
    named = {"config": {"message": "${{ steps.m.state }}"}}
    steps: dict[str, Any] = {"m": {"matrix": {"v": ["x", "y"], "n": [1, 2]}}, "join": named}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    claims = await worker.take()
    assert [(claim.key, dict(claim.values)) for claim in claims] == [
        ("x,1", {"v": "x", "n": 1}), ("x,2", {"v": "x", "n": 2}), ("y,1", {"v": "y", "n": 1}),
        ("y,2", {"v": "y", "n": 2}),
    ]  # fmt: skip
    for number, claim in enumerate(reversed(claims)):
        assert await worker.take() == []
        await worker.end(claim, Completed({"number": number}))
    join = await worker.take_one()
    items = join.results["m"].items
    assert items is not None
    assert {key: result.outputs for key, result in items.items()} == {
        "y,2": {"number": 0}, "y,1": {"number": 1}, "x,2": {"number": 2}, "x,1": {"number": 3},
    }  # fmt: skip
    await worker.end(join)
    assert (await world.run(run_id))["counts"] == {"completed": 5}


async def test_a_failed_cell_fails_the_join_and_is_named(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"m": {"matrix": {"v": ["x", "y"]}}, "join": {}}))
    worker = await world.worker()
    assert await worker.work(lambda claim: EXIT if claim.key == "y" else Completed()) == ["m", "m"]
    assert await world.states(run_id) == {"m[x]": "completed", "m[y]": "failed", "join": "skipped"}
    error = (await world.run(run_id))["error"]
    assert (error["step"], error["key"]) == ("m", "y")


@pytest.mark.parametrize(("rule", "runs"), [("all_success", False), ("none_failed", True), ("all_done", True)])
async def test_an_empty_matrix_is_one_skipped_task(world: World, rule: str, runs: bool) -> None:
    parameters = {"hosts": {"type": "array", "items": {"type": "string"}}}
    steps: dict[str, Any] = {"m": {"matrix": {"host": "${{ parameters.hosts }}"}}, "join": {"triggerRule": rule}}
    job = await world.define(parameters=parameters, steps=steps)
    run_id = await world.submit(job, parameters={"hosts": []})
    worker = await world.worker()
    claim = await worker.take_one()
    assert (claim.empty, claim.started_at) == (True, None)
    await worker.end(claim, Skipped("its matrix is empty"))
    assert await worker.work() == (["join"] if runs else [])
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_matrix_may_come_from_the_parameters(world: World) -> None:
    parameters = {"hosts": {"type": "array", "items": {"type": "string"}}}
    steps: dict[str, Any] = {"m": {"matrix": {"host": "${{ parameters.hosts }}"}}}
    job = await world.define(parameters=parameters, steps=steps)
    run_id = await world.submit(job, parameters={"hosts": ["a", "b", "c"]})
    assert set(await world.states(run_id)) == {"m[a]", "m[b]", "m[c]"}
    worker = await world.worker()
    await worker.work()


async def test_outputs_reach_the_steps_after_and_the_run(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": {"dependsOn": "a"}, "c": {"dependsOn": "a"}, "d": {"dependsOn": "c"}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Completed({"rows": 42, "of": "a"}, 0))
    b, c = await worker.take()
    assert b.results["a"].outputs == c.results["a"].outputs == {"rows": 42, "of": "a"}
    assert (b.results["a"].state, b.results["a"].exit_code) == ("completed", 0)
    await worker.end(b, Completed({"of": "b", "b": True}))
    await worker.end(c, Completed({"of": "c"}))
    await worker.end(await worker.take_one(), Completed({"of": "d"}))
    assert (await world.run(run_id))["outputs"] == {"of": "d", "b": True}


async def test_the_outputs_of_a_run_are_those_of_the_last_steps_that_gave_any(world: World) -> None:
    steps: dict[str, Any] = {
        "tidy": {"dependsOn": ["b", "c"]},
        "c": {"dependsOn": "a"},
        "b": {"dependsOn": "a"},
        "a": {"dependsOn": "first"},
        "first": {},
    }
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Completed({"first": 1}))
    await worker.end(await worker.take_one(), Completed({"of": "a", "rows": 42}))
    for claim in await worker.take():
        await worker.end(claim, Completed({"of": "b"} if claim.step.name == "b" else {}))
    await worker.end(await worker.take_one(), Completed({}))
    assert (await world.run(run_id))["outputs"] == {"of": "b", "rows": 42}


async def test_a_step_may_read_what_is_further_back(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": {}, "c": {"when": "${{ steps.a.outputs.n > 1 }}"}}
    await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.end(await worker.take_one(), Completed({"n": 5}))
    await worker.end(await worker.take_one())
    claim = await worker.take_one()
    assert claim.results["a"].outputs == {"n": 5}
    assert await worker.queue.start(claim)
    await worker.end(claim)


async def test_fail_fast_stops_the_rest_but_not_the_clean_up(world: World) -> None:
    steps: dict[str, Any] = {
        "a": {}, "b": {}, "c": {}, "c2": {"dependsOn": "c"}, "mend": {"dependsOn": "a", "triggerRule": "all_failed"},
        "sweep": {"dependsOn": ["a", "b", "c2"], "triggerRule": "all_done"},
        "last": {"dependsOn": "sweep", "triggerRule": "always"},
    }  # fmt: skip
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    a, b = await worker.take(2)
    exchange = await worker.end(a, EXIT)
    assert exchange.stops == [(b.queue_id, b.fence, "fail_fast")]
    await worker.end(b, Failed("exit", "it ended with exit code 143", 143))
    assert await worker.work() == ["sweep", "last"]
    assert await world.states(run_id) == {
        "a": "failed", "b": "failed", "c": "cancelled", "c2": "cancelled", "mend": "cancelled", "sweep": "completed",
        "last": "completed",
    }  # fmt: skip
    assert (await world.run(run_id))["state"] == "failed"
    assert (await world.task(run_id, "c"))["reason"] == "fail_fast"


async def test_fail_fast_stops_the_other_cells_of_a_matrix(world: World) -> None:
    steps: dict[str, Any] = {"m": {"matrix": {"n": list(range(6))}}, "sweep": {"triggerRule": "all_done"}}
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    first, second, _ = await worker.take(3)
    await worker.end(second, EXIT)
    assert await world.states(run_id) == {
        "m[0]": "running", "m[1]": "failed", "m[2]": "running", "m[3]": "cancelled", "m[4]": "cancelled",
        "m[5]": "cancelled", "sweep": "pending",
    }  # fmt: skip
    await worker.end(first)
    assert await worker.take() == []
    await world.lose()
    worker = await world.worker("w2")
    assert await worker.work() == ["sweep"]
    assert (await world.run(run_id))["counts"] == {"failed": 1, "completed": 2, "cancelled": 4}


async def test_an_allowed_failure_or_a_retry_is_no_reason_to_fail_fast(world: World) -> None:
    steps: dict[str, Any] = {
        "a": {"allowFailure": True}, "b": {"retry": {"attempts": 2, "delay": 0, "jitter": False}},
        "join": {"dependsOn": ["a", "b"]},
    }  # fmt: skip
    run_id = await world.submit(await world.define(failFast=True, steps=steps))
    worker = await world.worker()
    assert await worker.work(by_step(a=EXIT, b=[EXIT, Completed()])) == ["a", "b"]
    await world.tick()
    assert await worker.work() == ["b", "join"]
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_wide_fan_out_and_join_is_written_in_ranges(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "m": {"matrix": {"n": list(range(500))}}, "join": {}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker(slots=500)
    assert await worker.work(by_step(a=EXIT)) == ["a"]
    assert (await world.run(run_id))["counts"] == {"failed": 1, "skipped": 501}


async def test_a_chain_of_a_thousand_steps_runs_through(world: World) -> None:
    run_id = await world.submit(await world.define(steps={f"s{number}": {} for number in range(1000)}))
    worker = await world.worker()
    (claim,) = await worker.take(1)
    while claim is not None:
        claims = (await worker.exchange([worker.report(claim, Completed())], 1)).claims
        claim = claims[0] if claims else None  # type: ignore[assignment]
    assert (await world.run(run_id))["counts"] == {"completed": 1000}
