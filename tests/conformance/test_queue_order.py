"""The order in which a queue gives out its tasks, and to whom."""

from __future__ import annotations

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine.submission import Submission
from windlass.model.definition import PRIORITIES
from windlass.model.outcome import Failed


@pytest.fixture(params=["store", "http"])
def over(request: pytest.FixtureRequest) -> str:
    """Return how workers reach the queue: every way of doing so is to keep this."""
    return str(request.param)


MINUTE = 60


async def taken(world: World, count: int = 100) -> list[str]:
    """Let a worker take up to `count` tasks; return the notes of their runs in order."""
    worker = await world.worker()
    return [str((await world.run(claim.run_id))["note"]) for claim in await worker.take(count)]


@pytest.mark.promise("H01")
async def test_higher_priorities_go_first_and_equal_ones_in_order(world: World) -> None:
    job = await world.define(steps={"a": {}})
    for turn in (1, 2):
        for name in ("low", "critical", "normal", "high"):
            await world.submit(job, priority=PRIORITIES[name], note=f"{name} {turn}")
            world.clock.advance(1)
    assert await taken(world) == [
        f"{name} {turn}" for name in ("critical", "high", "normal", "low") for turn in (1, 2)
    ]  # fmt: skip


@pytest.mark.promise("H01")
async def test_runs_of_one_moment_go_in_the_order_of_their_submission(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit_all(job, [Submission(note=str(number)) for number in range(50)])
    assert await taken(world) == [str(number) for number in range(50)]


@pytest.mark.promise("H01")
@pytest.mark.parametrize(("longer", "first"), [(49 * MINUTE, "high"), (51 * MINUTE, "normal")])
async def test_high_overtakes_normal_unless_that_has_waited_fifty_minutes_longer(
    world: World, longer: int, first: str
) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit(job, priority=PRIORITIES["normal"], note="normal")
    world.clock.advance(longer)
    await world.submit(job, priority=PRIORITIES["high"], note="high")
    assert (await taken(world))[0] == first


@pytest.mark.promise("H01")
async def test_low_is_not_starved_by_an_endless_stream_of_critical(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit(job, priority=PRIORITIES["low"], note="low")
    worker, order = await world.worker(), []
    for _ in range(200):
        world.clock.advance(MINUTE)
        await world.submit(job, priority=PRIORITIES["critical"], note="critical")
        claim = await worker.take_one()
        order.append((await world.run(claim.run_id))["note"])
        await worker.end(claim)
        if order[-1] == "low":
            break
    assert len(order) == (PRIORITIES["critical"] - PRIORITIES["low"]) * 10


@pytest.mark.promise("H01")
async def test_the_weight_of_a_priority_is_a_setting(make_world: MakeWorld) -> None:
    world = make_world(priority_weight=1.0)
    job = await world.define(steps={"a": {}})
    await world.submit(job, priority=5, note="normal")
    world.clock.advance(6)
    await world.submit(job, priority=10, note="high")
    assert await taken(world) == ["normal", "high"]
    await world.close()


@pytest.mark.promise("H01")
async def test_later_steps_keep_the_rank_of_their_run(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}})
    await world.submit(job, note="older")
    world.clock.advance(5)
    await world.submit(job, note="newer")
    worker = await world.worker()
    first = await worker.take_one()
    world.clock.advance(600)
    await worker.end(first)
    assert await taken(world) == ["older", "newer"]


@pytest.mark.promise("H01")
async def test_a_retry_ranks_by_its_own_time(world: World) -> None:
    steps = {"a": {"retry": {"attempts": 2, "strategy": "fixed", "delay": 10, "jitter": False}}}
    job = await world.define(steps=steps)
    await world.submit(job, note="retried")
    worker = await world.worker()
    await worker.end(await worker.take_one(), Failed("exit", "no", 1))
    await world.tick(5)
    await world.submit(job, note="fresh")
    await world.tick(5)
    assert await taken(world) == ["fresh", "retried"]


@pytest.mark.promise("H01")
async def test_what_waited_for_its_time_ranks_by_that_time(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit(job, note="for later", scheduled_at=world.clock.now() + 100 * 1_000_000)
    await world.tick(50)
    await world.submit(job, note="meanwhile")
    await world.tick(100)
    await world.submit(job, note="after")
    assert await taken(world) == ["meanwhile", "for later", "after"]


@pytest.mark.promise("H01")
async def test_order_holds_across_queues_pools_and_labels(world: World) -> None:
    for alias, fields in {
        "plain": {},
        "queued": {"queue": "other"},
        "labelled": {"requires": {"labels": {"os": "linux"}}},
    }.items():
        job = await world.define(alias, steps={"a": {}}, **fields)
        await world.submit_all(job, [Submission(note=f"{alias} {number}") for number in range(2)])
        world.clock.advance(1)
    worker = await world.worker(labels=(("os", "linux"), ("gpu", "no")))
    order = [(await world.run(claim.run_id))["note"] for claim in await worker.take(5)]
    assert order == ["plain 0", "plain 1", "queued 0", "queued 1", "labelled 0"]


async def test_a_worker_takes_only_what_it_serves(world: World) -> None:
    for alias, fields in {
        "plain": {},
        "pool": {"requires": {"pool": "data"}},
        "labels": {"requires": {"labels": {"os": "linux", "gpu": "yes"}}},
        "queue": {"queue": "slow"},
    }.items():
        await world.submit(await world.define(alias, steps={"a": {}}, **fields), note=alias)
    faces = {
        "plain": {"queues": ("default",), "labels": (("os", "linux"),)},
        "labels": {"labels": (("os", "linux"), ("gpu", "yes"), ("zone", "a")), "queues": ("default",)},
        "pool": {"pool": "data"},
        "queue": {"queues": ("slow", "slower")},
    }
    for expected, face in faces.items():
        worker = await world.worker(expected, **face)
        assert [(await world.run(claim.run_id))["note"] for claim in await worker.take()] == [expected]


async def test_a_route_that_is_new_reaches_workers_that_are_there(world: World) -> None:
    worker = await world.worker()
    assert await worker.take() == []
    await world.submit(await world.define(steps={"a": {}}, queue="new"))
    assert len(await worker.take()) == 1


async def test_a_worker_gets_no_more_than_it_asked_for(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit_all(job, [Submission()] * 5)
    worker = await world.worker(slots=3)
    assert [len(await worker.take(count)) for count in (0, 2, 1)] == [0, 2, 1]


async def test_no_task_is_given_out_twice(world: World) -> None:
    job = await world.define(steps={"a": {}})
    await world.submit_all(job, [Submission()] * 30)
    workers = [await world.worker(f"w{number}") for number in range(3)]
    claims = [claim for _ in range(4) for worker in workers for claim in await worker.take(3)]
    assert len(claims) == 30
    assert len({claim.run_id for claim in claims}) == 30
