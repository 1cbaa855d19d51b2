"""A worker that was found gone while it lives: it changes nothing, and ends what it has before it works again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.oracle.world import World
from windlass.engine.claim import Claim
from windlass.engine.dispatching import drain_worker, set_slots
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.queue import LeaseLost, WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.worker import StopSignal, Worker
from windlass.model.outcome import Cancelled, Completed, Outcome

pytestmark = pytest.mark.fault("F10")
_DEADLINE = 20


@dataclass
class Hands:
    """Runs attempts until a test lets them end, whatever they are told."""

    begun: list[tuple[Claim, StopSignal, asyncio.Future[Outcome]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, claim: Claim, stop: StopSignal) -> Report | None:
        end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.begun.append((claim, stop, end))
        self.changed.set()
        return report_on(claim, Ended(await end), worker="w", finished_at=0)

    async def until_begun(self, count: int) -> tuple[Claim, StopSignal, asyncio.Future[Outcome]]:
        async with asyncio.timeout(_DEADLINE):
            while len(self.begun) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.begun[count - 1]


@dataclass
class Bench:
    """A worker on a store, with its heartbeat in the hands of the test."""

    queue: StoreQueue
    worker: Worker
    hands: Hands


@pytest.fixture
async def bench(world: World) -> AsyncIterator[Bench]:
    queue = await StoreQueue.join(world.engine, WorkerFace(name="w", host="h", pid=1, slots=4))
    hands = Hands()
    worker = Worker(queue, hands, Heartbeat(queue.renew, interval=3600, on_lost=lambda: None), slots=4)
    world.engine.store.on_hint("ready", worker.hint)
    await worker.start()
    yield Bench(queue, worker, hands)
    for _, _, end in hands.begun:
        if not end.done():
            end.set_result(Cancelled())
    async with asyncio.timeout(_DEADLINE):
        await worker.drain(0)


async def until_told(world: World, run_id: bytes, kind: str) -> None:
    """Wait until the events of a run say something."""
    changed = asyncio.Event()
    forget = world.engine.store.on_hint("events", changed.set)
    async with asyncio.timeout(_DEADLINE):
        while kind not in await world.told(run_id):
            await changed.wait()
            changed.clear()
    forget()


async def test_what_it_had_is_stopped_and_what_comes_of_it_changes_nothing(world: World, bench: Bench) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {"triggerRule": "all_done"}}))
    _, stop, end = await bench.hands.until_begun(1)
    await world.lose()
    assert not bench.queue.renew()
    bench.worker.hint()
    async with asyncio.timeout(_DEADLINE):
        await stop.event.wait()
    assert stop.why == "lost"
    assert [claim.step.name for claim, _, _ in bench.hands.begun] == ["a"], "it took more before that had ended"
    end.set_result(Completed({"late": 1}))
    await until_told(world, run_id, "task.late 0")
    _, _, end = await bench.hands.until_begun(2)
    end.set_result(Completed())
    await until_told(world, run_id, "run.failed")
    assert (await world.task(run_id, "a"))["outputs"] == {}
    assert await world.attempts(run_id) == [("a", 1, "lost"), ("b", 1, "completed")]


async def test_the_same_task_does_not_run_twice_at_a_time(world: World, bench: Bench) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry"}}))
    _, stop, first = await bench.hands.until_begun(1)
    await world.lose()
    await world.tick()
    async with asyncio.timeout(_DEADLINE):
        await stop.event.wait()
    assert len(bench.hands.begun) == 1
    first.set_result(Cancelled())
    claim, _, second = await bench.hands.until_begun(2)
    assert claim.attempt == 2
    second.set_result(Completed())
    await until_told(world, run_id, "run.completed")
    assert await world.attempts(run_id) == [("a", 1, "lost"), ("a", 2, "completed")]


async def test_having_joined_anew_it_is_spared_under_its_new_number(world: World, bench: Bench) -> None:
    first = bench.queue.worker_id
    await world.lose()
    assert not bench.queue.renew()
    bench.worker.hint()
    run_id = await world.submit(await world.define(steps={"a": {}}))
    _, _, end = await bench.hands.until_begun(1)
    assert bench.queue.worker_id != first
    rescuer = Rescuer(world.engine, lambda: (bench.queue.worker_id,))
    world.clock.advance(3600)
    await rescuer.turn()
    end.set_result(Completed())
    await until_told(world, run_id, "run.completed")


@pytest.mark.promise("H04", part="size while it runs")
async def test_having_joined_anew_it_keeps_what_was_said_of_its_slots(world: World, bench: Bench) -> None:
    await set_slots(world.engine, "w", 2)
    await world.lose()
    assert not bench.queue.renew()
    with pytest.raises(LeaseLost):
        await bench.queue.exchange([], 0)
    assert (await bench.queue.exchange([], 0)).slots == 2
    await drain_worker(world.engine, "w")
    await world.lose()
    with pytest.raises(LeaseLost):
        await bench.queue.exchange([], 0)
    assert (await bench.queue.exchange([], 0)).slots == 0
    await set_slots(world.engine, "w", 3)
    assert (await bench.queue.exchange([], 0)).slots == 3
