"""Runs that are resumed: new ones that keep what ended well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World, by_step
from windlass.engine.claim import Claim
from windlass.engine.dead_letters import requeue, requeue_all
from windlass.engine.jobs import delete_job, enable_job
from windlass.engine.resuming import Resume, preview_resume, resume_run
from windlass.engine.starting import retry_run
from windlass.errors import Conflict, NotFound, UserError, WindlassError
from windlass.ids import id_text, parse_id
from windlass.model.outcome import Completed, Failed, Outcome
from windlass.store.relations import ancestors
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("W02")
EXIT = Failed("exit", "it ended with exit code 1", 1)
CHAIN: dict[str, Any] = {
    "extract": {},
    "load": {"dependsOn": "extract", "config": {"message": "${{ steps.extract.outputs.rows }}"}},
    "tell": {"dependsOn": "load"},
    "sweep": {"dependsOn": "tell", "triggerRule": "always"},
}


async def resume(world: World, run_id: bytes, **how: Any) -> bytes:
    """Resume a run and return the new one."""
    run, created = await resume_run(world.engine, Resume(run_id=run_id, by="test", **how))
    assert created
    new = parse_id(run["id"])
    assert new is not None
    world.accepted.append(new)
    return new


async def failed(world: World) -> bytes:
    """Return a run of a chain whose second step failed."""
    run_id = await world.submit(await world.define(steps=CHAIN), labels={"a": "b"}, parameters={"day": "1"})
    worker = await world.worker()
    await worker.work(by_step(extract=Completed({"rows": 3}, 0), load=EXIT))
    assert (await world.run(run_id))["state"] == "failed"
    return run_id


async def test_a_resumed_run_waits_for_its_place_and_then_does_only_the_rest(world: World) -> None:
    job = await world.define(steps=CHAIN, concurrency={"limit": 1})
    first = await world.submit(job)
    worker = await world.worker()
    await worker.work(by_step(extract=Completed({"rows": 3}, 0), load=EXIT))
    other = await world.submit(job)
    new = await resume(world, first)
    assert (await world.run(new))["state"] == "waiting"
    assert await worker.work() == ["extract", "load", "tell", "sweep", "load", "tell", "sweep"]
    assert [(await world.run(one))["state"] for one in (other, new)] == ["completed", "completed"]


async def test_a_resumed_run_keeps_what_came_before_the_failure_and_does_the_rest(world: World) -> None:
    run_id = await failed(world)
    new = await resume(world, run_id)
    run = await world.run(new)
    assert (run["state"], run["parameters"], run["labels"]) == ("queued", {"day": "1"}, {"a": "b"})
    assert run["trigger"] == {"type": "resume", "run": id_text(run_id), "by": "test"}
    task = await world.task(new, "extract")
    assert (task["state"], task["outputs"], task["exitCode"], task["attempt"]) == ("completed", {"rows": 3}, 0, 0)
    assert task["keptFrom"] == id_text(run_id)
    worker = await world.worker()
    seen: dict[str, Any] = {}

    def script(claim: Claim) -> Outcome:
        seen[claim.step.name] = {name: dict(result.outputs) for name, result in claim.results.items()}
        return Completed()

    assert await worker.work(script) == ["load", "tell", "sweep"]
    assert seen["load"] == {"extract": {"rows": 3}}
    assert (await world.run(new))["counts"] == {"completed": 4}
    assert [one for one in await world.told(new) if "kept" in one] == ["task.kept 0"]
    assert (await world.told(run_id))[-1] == "run.retried"
    assert await world.attempts(new) == [("load", 1, "completed"), ("tell", 1, "completed"), ("sweep", 1, "completed")]


async def test_a_step_is_named_to_begin_at_in_any_final_state(world: World) -> None:
    run_id = await world.submit(await world.define(steps=CHAIN))
    worker = await world.worker()
    await worker.work()
    with pytest.raises(Conflict, match=r"Every step of run .* ended well"):
        await resume(world, run_id)
    new = await resume(world, run_id, start=["tell"])
    assert await worker.work() == ["tell", "sweep"]
    again = await resume(world, new, start=["sweep"])
    kept = [(await world.task(again, name))["keptFrom"] for name in ("extract", "load", "tell")]
    assert kept == [id_text(run_id), id_text(run_id), id_text(new)]
    assert await worker.work() == ["sweep"]


async def test_a_cancelled_run_goes_on_where_it_was_stopped(world: World) -> None:
    run_id = await world.submit(await world.define(steps=CHAIN))
    worker = await world.worker()
    await worker.work(most=1)
    await world.cancel(run_id)
    await worker.work()
    assert (await world.run(run_id))["state"] == "cancelled"
    await resume(world, run_id)
    assert await worker.work() == ["load", "tell", "sweep"]


async def test_what_is_only_shown_changes_nothing(world: World) -> None:
    run_id = await failed(world)
    shown = await preview_resume(world.engine, Resume(run_id=run_id, start=["tell"]))
    assert [(one["step"], one["state"], one["then"], one["repeats"]) for one in shown["tasks"]] == [
        ("extract", "completed", "kept", False),
        ("load", "failed", "again", True),
        ("tell", "skipped", "again", False),
        ("sweep", "completed", "again", True),
    ]
    assert (shown["kept"], shown["again"]) == (1, 3)
    assert await (await world.worker()).take() == []


@pytest.mark.parametrize("only_failed", [False, True])
async def test_of_a_matrix_all_tasks_or_only_the_failed_ones(world: World, only_failed: bool) -> None:
    steps: dict[str, Any] = {"m": {"matrix": {"n": "${{ parameters.n }}"}}, "join": {"dependsOn": "m"}}
    job = await world.define(parameters={"n": {"type": "array"}}, steps=steps)
    run_id = await world.submit(job, parameters={"n": [1, 2, 3]})
    worker = await world.worker()
    await worker.work(lambda claim: EXIT if claim.key == "2" else Completed({"key": claim.key}))
    new = await resume(world, run_id, only_failed=only_failed)
    keys = []

    def script(claim: Claim) -> Outcome:
        keys.append(claim.key)
        return Completed({"key": claim.key})

    assert await worker.work(script) == ["m"] * (1 if only_failed else 3) + ["join"]
    assert keys == (["2", ""] if only_failed else ["1", "2", "3", ""])
    assert (await world.run(new))["counts"] == {"completed": 4}
    assert (await world.task(new, "m[1]"))["outputs"] == {"key": "1"}


async def test_of_a_step_in_the_middle_only_the_tasks_that_are_done_again_are_told_to_be_queued(world: World) -> None:
    steps: dict[str, Any] = {"first": {}, "m": {"matrix": {"n": [1, 2, 3]}, "dependsOn": "first"}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.work(lambda claim: EXIT if claim.key == "2" else Completed())
    new = await resume(world, run_id, only_failed=True)
    kept = ["task.kept 0", "task.kept 1", "task.kept 3"]
    assert await world.told(new) == ["run.created", "run.queued", *kept, "task.queued 2"]
    assert await worker.work() == ["m"]


async def test_a_resumed_run_that_its_job_has_no_place_for_ends_with_all_its_tasks(world: World) -> None:
    steps: dict[str, Any] = {"first": {}, "m": {"matrix": {"n": [1, 2, 3]}, "dependsOn": "first"}}
    job = await world.define(steps=steps, concurrency={"limit": 1, "strategy": "skip"})
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.work(lambda claim: EXIT if claim.key == "2" else Completed())
    await world.submit(job)
    new = await resume(world, run_id, only_failed=True)
    run = await world.run(new)
    assert (run["state"], run["reason"], run["counts"]) == ("cancelled", "concurrency_skip", {"cancelled": 4})
    assert await worker.work() == ["first", "m", "m", "m"]


async def test_branches_that_were_chosen_stay_chosen(world: World) -> None:
    steps: dict[str, Any] = {
        "pick": {"branch": True, "next": ["a", "b"]},
        "a": {},
        "b": {},
        "end": {"dependsOn": ["a", "b"], "triggerRule": "none_failed"},
    }
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.work(by_step(pick=Completed(branches=("a",)), a=EXIT))
    new = await resume(world, run_id)
    assert await worker.work() == ["a", "end"]
    assert await world.states(new) == {"pick": "completed", "a": "completed", "b": "skipped", "end": "completed"}


async def test_a_run_whose_rest_has_nothing_to_do_ends_at_once(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "alarm": {"dependsOn": "a", "triggerRule": "all_failed"}}
    run_id = await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    await worker.work()
    new = await resume(world, run_id, start=["alarm"])
    assert await worker.work() == []
    assert (await world.run(new))["state"] == "completed"
    assert (await world.task(new, "alarm"))["state"] == "skipped"


async def test_what_makes_no_sense_is_refused(world: World) -> None:
    run_id = await failed(world)
    with pytest.raises(NotFound, match=r'Job "job" has no step "lood"; did you mean "load"\?'):
        await resume(world, run_id, start=["lood"])
    with pytest.raises(NotFound, match="There is no run"):
        await resume(world, b"x" * 16)
    live = await world.submit(await world.define(steps=CHAIN))
    with pytest.raises(Conflict, match="is still queued; cancel it, or wait for its end, before it is resumed"):
        await resume(world, live)


async def test_a_key_stands_for_what_is_resumed_and_from_where(world: World) -> None:
    run_id = await failed(world)
    new = await resume(world, run_id, idempotency_key="k")
    same, created = await resume_run(world.engine, Resume(run_id=run_id, by="test", idempotency_key="k"))
    assert (same["id"], created) == (id_text(new), False)
    with pytest.raises(UserError, match="use another key"):
        await resume(world, run_id, idempotency_key="k", start=["extract"])


async def test_ancestors_are_a_run_alone_where_it_has_no_parent(world: World) -> None:
    run_id = await failed(world)

    def unit(tx: Transaction) -> list[bytes]:
        return ancestors(tx, run_id, 5)

    assert await world.engine.store.read(unit) == [run_id]


async def test_a_resumed_run_that_waits_for_a_place_begins_where_it_is_to_once_it_has_one(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": {"dependsOn": "a"}, "c": {"dependsOn": "b"}}
    job = await world.define(concurrency={"limit": 1}, steps=steps)
    run_id = await world.submit(job)
    worker = await world.worker()
    await worker.work(by_step(b=EXIT))
    holder = await world.submit(job)
    new = await resume(world, run_id)
    assert (await world.run(new))["state"] == "waiting"
    assert await worker.work(most=3) == ["a", "b", "c"]
    assert [(await world.run(one))["state"] for one in (holder, new)] == ["completed", "queued"]
    assert await worker.work() == ["b", "c"]


@pytest.mark.promise("O05")
async def test_nothing_is_started_again_of_a_job_that_is_disabled_or_deleted(world: World) -> None:
    run_id = await failed(world)
    before = await world.events()
    key = {"by": "test", "idempotency_key": "k"}

    async def all_refused(kind: type[WindlassError], sentence: str) -> None:
        for attempt in (
            retry_run(world.engine, run_id, by="test"),
            resume_run(world.engine, Resume(run_id=run_id)),
            preview_resume(world.engine, Resume(run_id=run_id)),
            requeue(world.engine, [id_text(run_id)], by="test"),
        ):
            with pytest.raises(kind, match=sentence):
                await attempt
        (left,) = await requeue_all(world.engine, project="default", queue=None, job=None, by=None)
        assert (left.new, sentence in (left.why or "")) == (None, True)

    await enable_job(world.engine, "default", "job", enabled=False)
    await all_refused(Conflict, 'Job "job" is disabled')
    await enable_job(world.engine, "default", "job", enabled=True)
    first, _ = await retry_run(world.engine, run_id, **key)
    world.accepted.append(parse_id(first["id"]) or b"")
    await delete_job(world.engine, "default", "job")
    assert (await retry_run(world.engine, run_id, **key)) == (first, False)
    with pytest.raises(NotFound, match='Job "job" was deleted'):
        await resume_run(world.engine, Resume(run_id=run_id))
    assert [event.type for event in (await world.events())[len(before) :]].count("run.created") == 1
