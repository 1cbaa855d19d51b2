"""What ends its worker time after time is set aside alone, not with what ran beside it."""

from __future__ import annotations

import pytest

from tests.oracle.world import World
from windlass.engine.claim import Claim
from windlass.engine.dispatching import limit_queue
from windlass.engine.explaining import why
from windlass.model.outcome import Completed

pytestmark = pytest.mark.promise("H05")
STEPS = {"a": {"onWorkerLost": "retry"}}


async def crash(world: World, name: str, *, slots: int = 100) -> list[Claim]:
    """Let a worker take what it may, and go; return what it had."""
    worker = await world.worker(name, slots=slots)
    claims = await worker.take()
    await world.lose()
    await world.tick(1)
    return claims


async def until_all_have_ended(world: World, poison: bytes, *, crashes: int, slots: int = 100) -> None:
    """Let workers do all there is: the poison ends each of them that takes it, with whatever else that has."""
    while crashes:
        worker = await world.worker("again", slots=slots)
        claims = await worker.take()
        assert claims, "something may always be taken"
        if poison in {claim.run_id for claim in claims}:
            crashes -= 1
            await world.lose()
            await world.tick(1)
            continue
        for claim in claims:
            await worker.end(claim, Completed())
        await world.lose()
    while claims := await (worker := await world.worker("last")).take():
        for claim in claims:
            await worker.end(claim, Completed())


@pytest.mark.parametrize("limited", [False, True])
async def test_what_ran_beside_a_task_that_ends_its_workers_is_not_set_aside_with_it(
    world: World, *, limited: bool
) -> None:
    job = await world.define("innocent", steps=STEPS)
    first = [await world.submit(job) for _ in range(3)]
    poison = await world.submit(await world.define("poison", steps=STEPS))
    behind = [await world.submit(job) for _ in range(2)]
    if limited:
        await limit_queue(world.engine, "default", 50)
    await until_all_have_ended(world, poison, crashes=3)
    assert [(await world.run(run))["state"] for run in (*first, *behind)] == ["completed"] * 5
    assert (await world.run(poison))["reason"] == "quarantined"
    assert [number for _, number, _ in await world.attempts(poison)] == [1, 2, 3]


async def test_after_a_second_loss_a_task_runs_alone_and_what_was_never_lost_goes_on_beside_it(world: World) -> None:
    job = await world.define(steps=STEPS)
    lost = [await world.submit(job) for _ in range(4)]
    for name in ("one", "two"):
        assert len(await crash(world, name)) == 4
    fresh = [await world.submit(job) for _ in range(3)]
    worker = await world.worker("three", slots=3)
    claims = await worker.take()
    assert [claim.run_id for claim in claims] == [lost[0], *fresh[:2]], "however many there are before them"
    await worker.end(claims[1])
    assert [claim.run_id for claim in await worker.take()] == [fresh[2]]
    told = (await why(world.engine, lost[1], "a"))["because"][0]
    assert (told["kind"], told["lossesInRow"], told["worker"]) == ("begins_alone", 2, "three")
    assert told["message"].startswith("It was lost with its worker 2 times in a row, and so was another task that")
    other = await world.worker("four", slots=3)
    assert [claim.run_id for claim in await other.take()] == [lost[1]], "another worker has room for one of its own"
    assert await worker.take() == []
    await worker.end(claims[0])
    assert [claim.run_id for claim in await worker.take()] == [lost[2]]


async def test_what_was_lost_once_runs_beside_others_of_its_kind_as_ever(world: World) -> None:
    job = await world.define(steps=STEPS)
    lost = [await world.submit(job) for _ in range(4)]
    await crash(world, "one")
    assert [claim.run_id for claim in await (await world.worker("two")).take()] == lost
