"""No state that is not final lasts for ever: each has an owner, a deadline, and the reconciler behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, get_args

import pytest

from tests.oracle.world import World
from windlass.engine.dependencies import Dependency
from windlass.engine.services.doorkeeper import Doorkeeper
from windlass.engine.services.listener import Listener
from windlass.engine.services.reconciler import PERIOD, Reconciler
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.services.timer import Timer
from windlass.model.outcome import Cancelled, Waiting
from windlass.model.owners import RUN_OWNERS, TASK_OWNERS, Mover, Owner
from windlass.model.state import RUN_FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES

pytestmark = pytest.mark.promise("H05")
DAY = 86_400.0
Arrange = Callable[[World], Awaitable[bytes]]
STEPS: dict[str, dict[str, Any]] = {"a": {}, "b": {"dependsOn": "a"}}


async def queued(world: World) -> bytes:
    return await world.submit(await world.define(steps=STEPS))


async def scheduled(world: World) -> bytes:
    return await world.submit(await world.define(steps=STEPS), delay=3600)


async def running(world: World) -> bytes:
    run_id = await queued(world)
    await (await world.worker()).take_one()
    return run_id


async def retried(world: World) -> bytes:
    steps = {"a": {"onWorkerLost": "retry"}, "b": {"dependsOn": "a"}}
    run_id = await world.submit(await world.define(steps=steps))
    await (await world.worker()).take_one()
    await world.lose()
    return run_id


async def task_waiting(world: World) -> bytes:
    run_id = await queued(world)
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.end(claim, Waiting(world.clock.now() + round(60 * DAY * 1_000_000), "something"))
    return run_id


async def waiting_for_a_run(world: World) -> bytes:
    job = await world.define(steps=STEPS)
    other = await world.submit(job, delay=60 * DAY)
    return await world.submit(job, depends_on=[Dependency(other)])


async def waiting_for_a_place(world: World) -> bytes:
    job = await world.define(steps=STEPS, concurrency={"limit": 1})
    await world.submit(job)
    return await world.submit(job)


#: How a run, or one of its tasks, comes into each state. Whoever adds a state says here how that is reached.
RUNS: Mapping[str, list[Arrange]] = {
    "scheduled": [scheduled],
    "queued": [queued],
    "running": [running],
    "waiting": [waiting_for_a_run, waiting_for_a_place],
}
TASKS: Mapping[str, list[Arrange]] = {
    "pending": [queued, waiting_for_a_run],
    "scheduled": [scheduled, retried],
    "queued": [queued],
    "running": [running],
    "waiting": [task_waiting],
}
OPEN_RUNS, OPEN_TASKS = sorted(set(RUN_MOVES) - RUN_FINAL), sorted(set(TASK_MOVES) - TASK_FINAL)
REACHED = [("run", state, arrange) for state in OPEN_RUNS for arrange in RUNS[state]]
REACHED += [("task", state, arrange) for state in OPEN_TASKS for arrange in TASKS[state]]
each_way = pytest.mark.parametrize(
    ("kind", "state", "arrange"),
    REACHED,
    ids=[f"{kind}-{state}-{arrange.__name__}" for kind, state, arrange in REACHED],
)


@pytest.mark.parametrize(
    ("states", "owners"), [(OPEN_RUNS, RUN_OWNERS), (OPEN_TASKS, TASK_OWNERS)], ids=["run", "task"]
)
def test_every_state_has_an_owner_and_a_deadline(states: list[str], owners: Mapping[str, Owner]) -> None:
    assert sorted(owners) == states
    for owner in owners.values():
        assert owner.movers
        assert owner.deadline
        assert owner.keeper in get_args(Mover)


def test_every_owner_is_a_loop_that_runs() -> None:
    loops = {one.__dataclass_fields__["name"].default for one in (Timer, Rescuer, Doorkeeper, Listener)}
    assert loops | {"worker"} == set(get_args(Mover))


async def arranged(world: World, kind: str, state: str, arrange: Arrange) -> bytes:
    run_id = await arrange(world)
    found = {(await world.run(run_id))["state"]} if kind == "run" else set((await world.states(run_id)).values())
    assert state in found
    return run_id


@each_way
async def test_whatever_its_state_a_run_ends_although_nobody_works(
    world: World, kind: str, state: str, arrange: Arrange
) -> None:
    run_id = await arranged(world, kind, state, arrange)
    deadline = (await world.run(run_id))["deadline"]
    assert deadline is not None
    doorkeeper, rescuer, timer = Doorkeeper(world.engine), Rescuer(world.engine), Timer(world.engine)
    for _ in range(20):
        world.clock.advance(10 * DAY)
        for duty in (rescuer, timer, doorkeeper):
            await duty.turn()
    assert (await world.run(run_id))["state"] in RUN_FINAL


@each_way
async def test_the_reconciler_alone_ends_it_where_the_owners_are_gone(
    world: World, kind: str, state: str, arrange: Arrange
) -> None:
    run_id = await arranged(world, kind, state, arrange)
    reconciler = Reconciler(world.engine)
    for _ in range(20):
        world.clock.advance(10 * DAY)
        while await reconciler.turn() < PERIOD:
            pass
    assert (await world.run(run_id))["state"] in RUN_FINAL


async def test_an_attempt_that_does_not_stop_on_a_living_worker_is_told_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await queued(world)
    worker = await world.worker()
    claim = await worker.take_one()
    for _ in range(2):
        await world.tick(31 * DAY)
        assert worker.queue.renew()
    assert "step a was asked to stop, and its worker has not said that it did" in caplog.text
    assert await world.states(run_id) == {"a": "running", "b": "cancelled"}
    await worker.end(claim, Cancelled())
    assert (await world.run(run_id))["state"] == "timeout"
