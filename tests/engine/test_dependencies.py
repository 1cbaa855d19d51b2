"""Runs that wait for the ends of other runs, whatever those ends are and whenever they come."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests.oracle.world import World, always
from windlass.clock import SECOND
from windlass.engine.dependencies import MOST, Dependency, read_dependencies
from windlass.engine.starting import dependencies
from windlass.engine.submission import Submission
from windlass.engine.timing import BATCH
from windlass.errors import LimitExceeded, NotFound, UserError
from windlass.ids import id_text
from windlass.model.dependency import Condition
from windlass.model.outcome import Completed, Failed
from windlass.store.tables import run_dependencies
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("H03")
ONE: dict[str, Any] = {"a": {}}
TWO: dict[str, Any] = {"a": {}, "b": {}, "sweep": {"triggerRule": "always"}}
EXIT = Failed("exit", "it ended with exit code 1", 1)


async def after(world: World, job: Any, *others: bytes, condition: Condition = "success", **more: Any) -> bytes:
    """Submit a run that waits for others."""
    return await world.submit(job, depends_on=[Dependency(one, condition) for one in others], **more)


async def states(world: World, *run_ids: bytes) -> list[str]:
    """Return the states of runs, once everything that is due was done."""
    await world.tick()
    return [(await world.run(run_id))["state"] for run_id in run_ids]


async def test_a_run_waits_and_says_for_what_and_is_queued_at_the_end_of_the_last(world: World) -> None:
    job = await world.define(steps=ONE)
    first, second = await world.submit(job), await world.submit(job)
    run_id = await after(world, job, first, second)
    run = await world.run(run_id)
    assert (run["state"], run["queuedAt"], run["counts"]) == ("waiting", None, {"pending": 1})
    assert run["waitingFor"] == {
        "runs": [
            {"id": id_text(one), "job": "job", "state": "queued", "condition": "success"} for one in (first, second)
        ]
    }
    worker = await world.worker()
    claim, other = await worker.take()
    await worker.end(claim)
    assert await states(world, run_id) == ["waiting"]
    assert [one["id"] for one in (await world.run(run_id))["waitingFor"]["runs"]] == [id_text(second)]
    assert await worker.take() == []
    await worker.end(other)
    assert await states(world, run_id) == ["queued"]
    assert (await world.run(run_id))["waitingFor"] is None
    assert await worker.work() == ["a"]
    assert await states(world, run_id) == ["completed"]
    assert await world.told(run_id) == [
        "run.created", "run.waiting", "run.queued", "task.queued 0", "run.started", "task.started 0",
        "task.completed 0", "run.completed",
    ]  # fmt: skip


async def test_a_failed_dependency_fails_the_dependent_and_all_behind_it(world: World) -> None:
    job = await world.define(steps=TWO)
    first = await world.submit(await world.define("first", steps=ONE))
    second = await after(world, job, first)
    third = await after(world, job, second)
    await (await world.worker()).work(always(EXIT))
    assert await states(world, second, third) == ["failed", "failed"]
    run = await world.run(second)
    assert (run["reason"], run["counts"], run["startedAt"]) == ("dependency_failed", {"skipped": 3}, None)
    assert run["error"] == {
        "reason": "dependency_failed",
        "message": f'Run {id_text(first)} of job "first", which had to complete before this one, failed.',
        "run": id_text(first),
    }
    assert set((await world.states(second)).values()) == {"skipped"}
    assert (await world.run(third))["error"]["run"] == id_text(second)


async def test_a_diamond_runs_in_order(world: World) -> None:
    jobs = {name: await world.define(name, steps={name: {}}) for name in ("top", "left", "right", "bottom")}
    top = await world.submit(jobs["top"])
    left, right = await after(world, jobs["left"], top), await after(world, jobs["right"], top)
    bottom = await after(world, jobs["bottom"], left, right, top)
    worker = await world.worker()
    assert await worker.work() == ["top"]
    assert await states(world, left, right, bottom) == ["queued", "queued", "waiting"]
    assert await worker.work() == ["left", "right"]
    assert await states(world, bottom) == ["queued"]
    assert await worker.work() == ["bottom"]


async def end_as(world: World, run_id: bytes, state: str) -> None:
    """End a run of one step."""
    if state == "cancelled":
        await world.cancel(run_id)
    else:
        await (await world.worker()).work(always(EXIT if state == "failed" else Completed()))
    assert (await world.run(run_id))["state"] == state


@pytest.mark.parametrize(
    ("condition", "end", "expected"),
    [
        ("success", "completed", "queued"),
        ("success", "failed", "failed"),
        ("success", "cancelled", "failed"),
        ("always", "completed", "queued"),
        ("always", "failed", "queued"),
        ("always", "cancelled", "queued"),
        ("failure", "completed", "cancelled"),
        ("failure", "failed", "queued"),
        ("failure", "cancelled", "cancelled"),
    ],
)
async def test_a_condition_decides_for_an_end_to_come_as_for_one_that_came(
    world: World, condition: Condition, end: str, expected: str
) -> None:
    job = await world.define(steps=ONE)
    other = await world.submit(job)
    before = await after(world, job, other, condition=condition)
    await end_as(world, other, end)
    late = await after(world, job, other, condition=condition)
    assert await states(world, before, late) == [expected, expected]
    if expected == "cancelled":
        assert (await world.run(late))["reason"] == "not_needed"


async def test_a_run_that_waits_for_one_that_has_ended_goes_on_at_once(world: World) -> None:
    job = await world.define(steps=ONE)
    other = await world.submit(job)
    await end_as(world, other, "completed")
    run_id = await after(world, job, other)
    assert (await world.run(run_id))["state"] == "queued"
    assert (await world.told(run_id))[:4] == ["run.created", "run.waiting", "run.queued", "task.queued 0"]


async def test_the_first_failure_ends_a_run_that_waits_for_others_too(world: World) -> None:
    job = await world.define(steps=ONE)
    later = await world.submit(job, scheduled_at=world.clock.now() + 60 * SECOND)
    other = await world.submit(job)
    run_id = await after(world, job, later, other)
    await end_as(world, other, "failed")
    assert await states(world, run_id) == ["failed"]
    assert await states(world, later) == ["scheduled"]
    await world.cancel(later)
    assert await states(world, run_id, later) == ["failed", "cancelled"]


async def test_a_missing_run_is_refused_and_nothing_is_accepted(world: World) -> None:
    job = await world.define(steps=ONE)
    with pytest.raises(NotFound, match=f"There is no run {id_text(b'x' * 16)} to wait for"):
        await after(world, job, b"x" * 16)
    assert await world.events() == []


async def test_a_run_of_another_project_is_no_run_to_wait_for(world: World) -> None:
    job = await world.define(steps=ONE)
    other = await world.submit(job)

    def move(tx: Transaction) -> None:
        tx.cursor.execute("UPDATE runs SET project = 'other'")

    await world.engine.store.run(move)
    with pytest.raises(NotFound, match="to wait for"):
        await after(world, job, other)


async def test_a_waiting_run_is_cancelled_at_once_clean_up_included(world: World) -> None:
    job = await world.define(steps={"sweep": {"triggerRule": "always"}, "a": {}})
    other = await world.submit(job)
    run_id = await after(world, job, other)
    await world.cancel(run_id)
    run = await world.run(run_id)
    assert (run["state"], run["waitingFor"], run["counts"]) == ("cancelled", None, {"cancelled": 2})
    await world.cancel(other)
    assert await states(world, run_id) == ["cancelled"]


async def test_a_run_waits_for_its_time_too(world: World) -> None:
    job = await world.define(steps=TWO)
    other = await world.submit(job)
    at = world.clock.now() + 60 * SECOND
    run_id = await after(world, job, other, scheduled_at=at)
    await (await world.worker()).work()
    assert await states(world, run_id) == ["scheduled"]
    await world.tick(61)
    assert await states(world, run_id) == ["queued"]
    assert await (await world.worker()).work() == ["a", "b", "sweep"]


async def test_the_time_of_a_run_begins_with_its_release(world: World) -> None:
    other = await world.submit(await world.define("other", steps=ONE))
    run_id = await after(world, await world.define(steps=ONE, timeout=60), other)
    await world.tick(3600)
    await (await world.worker()).work(most=1)
    assert await states(world, run_id) == ["queued"]
    await world.tick(61)
    assert await states(world, run_id) == ["timeout"]


async def test_what_is_waited_for_is_awaited_no_more_once_all_was_done(world: World) -> None:
    job = await world.define(steps=ONE)
    other = await world.submit(job)
    many = [await after(world, job, other) for _ in range(7)]
    plain = await world.submit(job)
    worker = await world.worker()
    claims = await worker.take()
    await worker.exchange([worker.report(claim, Completed()) for claim in claims])
    assert await states(world, other, plain, *many) == ["completed"] * 2 + ["queued"] * 7

    def left(tx: Transaction) -> list[Any]:
        open_ones = tx.connection.execute(select(run_dependencies).where(run_dependencies.c.settled == 0))
        return [*open_ones, *tx.cursor.execute("SELECT id FROM runs WHERE awaited = 1")]

    assert await world.engine.store.read(left) == []


async def test_more_dependents_than_one_unit_of_work_settles_are_all_settled(world: World) -> None:
    job = await world.define(steps=ONE)
    other = await world.submit(job)
    waits = [Submission(depends_on=[Dependency(other)]) for _ in range(BATCH + 3)]
    many = await world.submit_all(job, waits)
    await (await world.worker()).work(most=1)
    assert await world.tick() == world.clock.now()
    assert await states(world, *many) == ["queued"] * len(many)


@pytest.mark.promise("H07")
async def test_a_crash_between_the_end_of_one_and_the_start_of_the_other_loses_nothing(kept_world: World) -> None:
    world = kept_world
    job = await world.define(steps=ONE)
    other = await world.submit(job)
    run_id = await after(world, job, other)
    await (await world.worker()).work()
    await world.reopen()
    assert (await world.run(run_id))["state"] == "waiting"
    assert await states(world, run_id) == ["queued"]
    assert await (await world.worker("w2")).work() == ["a"]


async def test_dependencies_are_read_as_people_write_them(world: World) -> None:
    job = await world.define(steps=ONE)
    first, second = await world.submit(job), await world.submit(job)
    said = [f"{id_text(first)}:always", {"run": id_text(second), "condition": "failure"}, id_text(first) + ":always"]
    found = await world.engine.store.read(dependencies, said)
    assert found == (Dependency(first, "always"), Dependency(second, "failure"))
    for wrong, problem in (
        ([id_text(first) + ":allways"], 'did you mean "always"'),
        ([id_text(first), id_text(first) + ":always"], "on two conditions; keep one"),
        (["zzzzzz"], 'There is no run "zzzzzz"'),
    ):
        with pytest.raises(UserError, match=problem):
            await world.engine.store.read(dependencies, wrong)
    with pytest.raises(LimitExceeded, match=r"1,001 is over the limit of 1,000"):
        read_dependencies((str(number) for number in range(MOST + 1)), lambda text: int(text).to_bytes(16))


async def test_a_key_stands_for_what_is_waited_for_too(world: World) -> None:
    job = await world.define(steps=ONE)
    first, second = await world.submit(job), await world.submit(job)
    run_id = await after(world, job, first, idempotency_key="k")
    assert await after(world, job, first, idempotency_key="k") == run_id
    with pytest.raises(UserError, match="use another key"):
        await after(world, job, second, idempotency_key="k")


async def test_a_run_that_has_waited_for_another_asks_for_a_place_under_its_limit(world: World) -> None:
    other = await world.submit(await world.define("other", steps={"o": {}}))
    job = await world.define(concurrency={"limit": 1}, steps=ONE)
    run_id = await after(world, job, other)
    holder = await world.submit(job)
    worker = await world.worker()
    claim = next(claim for claim in await worker.take() if claim.step.name == "o")
    await worker.end(claim)
    assert await states(world, run_id) == ["waiting"]
    await world.cancel(holder)
    (held,) = [one for one in await world.attempts(holder) if one[2] is None]
    assert held[0] == "a"
    await world.lose()
    assert await states(world, holder, run_id) == ["cancelled", "queued"]
    assert await (await world.worker("w2")).work() == ["a"]
