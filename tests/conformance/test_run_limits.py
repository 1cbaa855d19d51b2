"""Limits of runs: who goes on, who waits, and that a free place is never left empty."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World
from windlass.clock import SECOND
from windlass.engine.admission import admit_all
from windlass.engine.cancellation import cancel_run
from windlass.engine.recovery import settle_all
from windlass.engine.setting_aside import set_aside
from windlass.engine.submission import Submission
from windlass.errors import Conflict, UserError
from windlass.ids import id_text
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("C19")


async def states(world: World, *run_ids: bytes) -> list[str]:
    return [(await world.run(run_id))["state"] for run_id in run_ids]


def limited(limit: int = 1, **fields: Any) -> dict[str, Any]:
    return {"steps": {"a": {}}, "concurrency": {"limit": limit, **fields}}


async def test_one_more_waits_says_for_whom_and_follows_at_once(world: World) -> None:
    job = await world.define(**limited())
    first, second, third = [await world.submit(job) for _ in range(3)]
    assert await states(world, first, second, third) == ["queued", "waiting", "waiting"]
    waiting = await world.run(third)
    assert (waiting["reason"], waiting["queuedAt"]) == ("concurrency", None)
    assert waiting["waitingFor"] == {"limit": "concurrency", "allowed": 1, "holders": [id_text(first)], "ahead": 1}
    assert await world.told(third) == ["run.created", "run.waiting"]
    worker = await world.worker()
    assert [claim.run_id for claim in await worker.take()] == [first]
    assert await states(world, first, second, third) == ["running", "waiting", "waiting"]
    await world.lose()
    assert await states(world, first, second, third) == ["failed", "queued", "waiting"]
    assert (await world.run(second))["waitingFor"] is None
    last = await world.worker("last")
    assert await last.work() == ["a", "a"]
    assert await states(world, second, third) == ["completed", "completed"]
    assert (await world.told(third))[:4] == ["run.created", "run.waiting", "run.queued", "task.queued 0"]


async def test_values_of_the_key_do_not_count_together(world: World) -> None:
    job = await world.define(**limited(key="${{ parameters.region }}"))
    runs = [await world.submit(job, parameters={"region": region}) for region in ("eu", "us", "eu")]
    assert await states(world, *runs) == ["queued", "queued", "waiting"]
    assert (await world.run(runs[2]))["waitingFor"]["key"] == "eu"
    with pytest.raises(UserError, match=r"concurrency\.key"):
        await world.submit(job, parameters={})


async def test_a_key_that_may_be_secret_is_not_shown(world: World) -> None:
    secret = {"token": {"type": "string", "secret": True}}
    job = await world.define(parameters=secret, **limited(key="${{ parameters.token }}"))
    runs = [await world.submit(job, parameters={"token": "hunter2"}) for _ in range(2)]
    assert "hunter2" not in str(await world.run(runs[1])) + str(await world.events())


async def test_those_who_wait_go_in_the_order_of_the_queue(world: World) -> None:
    job = await world.define(**limited())
    submitted = [Submission(priority=priority) for priority in (5, 1, 5, 15)]
    runs = await world.submit_all(job, submitted)
    order = []
    worker = await world.worker()
    while claims := await worker.take():
        order.append(runs.index(claims[0].run_id))
        await worker.end(claims[0])
    assert order == [0, 3, 2, 1]


@pytest.mark.parametrize(
    "outcome", [Completed(), Failed("exit", "no", 1), Failed("expression", "no")], ids=["completed", "failed", "error"]
)
async def test_every_end_lets_the_next_one_in(world: World, outcome: Outcome) -> None:
    job = await world.define(**limited())
    first, second = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    await worker.end(await worker.take_one(), outcome)
    assert (await states(world, first, second))[1] == "queued"


async def test_a_cancel_a_deadline_and_an_early_cancel_let_the_next_one_in(world: World) -> None:
    job = await world.define(**limited(), timeout=100)
    first, second, third = [await world.submit(job) for _ in range(3)]
    await world.cancel(second)
    assert await states(world, first, second, third) == ["queued", "cancelled", "waiting"]
    await world.cancel(first)
    assert await states(world, first, third) == ["cancelled", "queued"]
    fourth = await world.submit(job, delay=50)
    await world.tick(60)
    assert await states(world, third, fourth) == ["queued", "waiting"]
    await world.tick(60)
    assert await states(world, third, fourth) == ["timeout", "queued"]


async def test_a_run_that_is_set_aside_leaves_its_place_to_the_doorkeeper(world: World) -> None:
    job = await world.define(**limited())
    first, second = await world.submit(job), await world.submit(job)

    def unit(tx: Transaction) -> bool:
        set_aside(tx, first, ValueError("no"))
        return "places" in tx.hints

    assert await world.engine.store.run(unit), "the doorkeeper is told"
    assert await world.engine.store.run(admit_all, world.engine) == 1
    assert await states(world, first, second) == ["failed", "queued"]


async def test_skip_ends_one_too_many_at_once(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}}, concurrency={"strategy": "skip"})
    first, second = await world.submit(job), await world.submit(job)
    skipped = await world.run(second)
    assert (skipped["state"], skipped["reason"], skipped["counts"]) == (
        "cancelled",
        "concurrency_skip",
        {"cancelled": 2},
    )
    assert await world.told(second) == ["run.created", "task.cancelled 0", "task.cancelled 1", "run.cancelled"]
    worker = await world.worker()
    assert {claim.run_id for claim in await worker.take()} == {first}


async def test_fail_refuses_one_too_many_and_all_that_was_asked_with_it(world: World) -> None:
    job = await world.define(**limited(strategy="fail"))
    with pytest.raises(Conflict, match=r'Job "job" allows one run at a time, and run [0-9a-f-]{36} goes on'):
        await world.submit_all(job, [Submission(), Submission()])
    await world.submit(job)
    with pytest.raises(Conflict):
        await world.submit(job)
    assert len([event for event in await world.events() if event.type == "run.created"]) == 1


async def test_replace_cancels_who_holds_the_place_and_waits_for_its_end(world: World) -> None:
    steps = {"a": {}, "clean": {"dependsOn": ["a"], "triggerRule": "always"}}
    job = await world.define(steps=steps, concurrency={"strategy": "replace"})
    first = await world.submit(job)
    worker = await world.worker()
    claim = await worker.take_one()
    second = await world.submit(job)
    assert await states(world, first, second) == ["running", "waiting"]
    asked = next(event for event in await world.events(first) if event.type == "run.cancel_requested")
    assert asked.data["by"] == f"run {id_text(second)}"
    third = await world.submit(job)
    assert await states(world, first, second, third) == ["running", "cancelled", "waiting"]
    assert (await world.run(first))["cancelRequestedAt"] is not None
    await worker.end(claim, Cancelled())
    assert await states(world, first, third) == ["running", "waiting"], "its clean-up still runs"
    await worker.end(await worker.take_one())
    assert await states(world, first, third) == ["cancelled", "queued"]


async def test_replace_of_a_run_that_never_began_takes_its_place_at_once(world: World) -> None:
    job = await world.define(**limited(2, strategy="replace"))
    runs = await world.submit_all(job, [Submission()] * 4)
    assert await states(world, *runs) == ["cancelled", "cancelled", "queued", "queued"]


async def test_a_later_run_asks_for_its_place_when_its_time_has_come(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {"dependsOn": []}}, concurrency={"limit": 1})
    later = await world.submit(job, scheduled_at=world.clock.now() + 10 * SECOND)
    first = await world.submit(job)
    assert await states(world, first, later) == ["queued", "scheduled"], "a later run holds no place"
    await world.tick(10)
    assert await states(world, first, later) == ["queued", "waiting"]
    assert await world.states(later) == {"a": "pending", "b": "pending"}
    await world.cancel(first)
    assert await world.states(later) == {"a": "queued", "b": "queued"}


@pytest.mark.parametrize(
    ("strategy", "end"), [("skip", ("cancelled", "concurrency_skip")), ("fail", ("failed", "concurrency_fail"))]
)
async def test_a_later_run_without_a_place_ends_as_its_strategy_says(
    world: World, strategy: str, end: tuple[str, str]
) -> None:
    job = await world.define(**limited(strategy=strategy))
    later = await world.submit(job, delay=10)
    await world.submit(job)
    await world.tick(10)
    run = await world.run(later)
    assert (run["state"], run["reason"]) == end
    assert (run["error"] is None) == (strategy == "skip")


async def test_a_limit_that_is_changed_holds_for_those_who_wait_already(world: World) -> None:
    job = await world.define(**limited())
    runs = await world.submit_all(job, [Submission()] * 4)
    await world.define(**limited(3))
    await world.engine.store.run(admit_all, world.engine)
    assert await states(world, *runs) == ["queued", "queued", "queued", "waiting"]
    await world.define(steps={"a": {}})
    await world.engine.store.run(admit_all, world.engine)
    assert await states(world, *runs) == ["queued"] * 4


async def test_what_waits_survives_the_end_of_its_owner(world: World) -> None:
    job = await world.define(**limited())
    runs = await world.submit_all(job, [Submission()] * 3)
    worker = await world.worker()
    await worker.take_one()
    await world.engine.store.run(settle_all, world.engine)
    assert await states(world, *runs) == ["failed", "queued", "waiting"]
    again = await world.worker("again")
    assert await again.work() == ["a", "a"]


async def test_what_fails_between_a_cancel_and_a_place_is_undone_together(world: World) -> None:
    job = await world.define(**limited())
    first, second = await world.submit(job), await world.submit(job)

    def unit(tx: Transaction) -> None:
        cancel_run(tx, world.engine, first, None)
        raise ValueError("the process ends here")

    with pytest.raises(ValueError, match="ends here"):
        await world.engine.store.run(unit)
    assert await states(world, first, second) == ["queued", "waiting"]


async def test_so_many_tasks_of_a_run_at_a_time(world: World) -> None:
    steps: dict[str, Any] = {"m": {"matrix": {"n": [1, 2, 3, 4, 5]}}, "last": {"dependsOn": ["m"]}}
    run = await world.submit(await world.define(steps=steps, maxParallelTasks=2))
    worker = await world.worker()
    taken, most = [], 0
    held = await worker.take()
    while held:
        most = max(most, len(held))
        claim = held.pop(0)
        taken.append(claim.step.name)
        held += (await worker.exchange([worker.report(claim, Completed())], 10)).claims
        await world.assert_sound()
    assert (most, taken) == (2, ["m"] * 5 + ["last"])
    assert (await world.run(run))["state"] == "completed"


async def test_a_task_that_waits_for_its_next_attempt_keeps_its_room(world: World) -> None:
    retry = {"retry": {"attempts": 2, "delay": 5, "jitter": False}}
    job = await world.define(steps={"a": retry, "b": {"dependsOn": []}}, maxParallelTasks=1)
    run = await world.submit(job)
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    assert await world.states(run) == {"a": "scheduled", "b": "pending"}
    await world.tick(10)
    assert await worker.work() == ["a", "b"]
