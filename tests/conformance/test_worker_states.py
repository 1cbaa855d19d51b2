"""How a worker is said to be: at work, told to take no more, asked to end, not heard of, gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.api.message import Principal, Request
from windlass.api.routes.work import get_status, workers_shape
from windlass.engine.dispatching import drain_worker, set_slots
from windlass.engine.queue import WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.model.worker_state import worker_state

pytestmark = pytest.mark.promise("H04", part="drain")


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world()
    yield found
    await found.close()


async def joined(world: World, name: str) -> StoreQueue:
    """Register a worker of another machine."""
    return await StoreQueue.join(world.engine, WorkerFace(name=name, host="elsewhere", pid=1, slots=3))


async def states(world: World) -> dict[str, str]:
    return {one["name"]: one["state"] for one in await world.engine.store.read(workers_shape, world.engine)}


async def status(world: World) -> dict[str, Any]:
    request = Request(method="GET", path="/", principal=Principal("tests"))
    body = (await get_status(world.engine, request)).body
    assert isinstance(body, dict)
    return body


async def test_only_workers_that_take_work_count_as_capacity(world: World) -> None:
    queues = {name: await joined(world, name) for name in ("works", "drains", "ends")}
    await drain_worker(world.engine, "drains")
    await queues["ends"].ending()
    assert await states(world) == {"works": "running", "drains": "draining", "ends": "ending"}
    found = await status(world)
    assert [found[name] for name in ("workers", "slots", "draining", "silent", "nobodyWorks")] == [1, 3, 2, 0, None]
    for name in ("drains", "ends"):
        await set_slots(world.engine, name, 4)
    assert await states(world) == {"works": "running", "drains": "running", "ends": "ending"}
    await drain_worker(world.engine, "works")
    await drain_worker(world.engine, "drains")
    assert (await status(world))["nobodyWorks"] == "nobody takes work: 3 drain, `windlass up` does"


async def test_a_worker_that_is_not_heard_of_says_since_when(world: World) -> None:
    settings = world.engine.settings
    await joined(world, "killed")
    before = (await world.engine.store.read(workers_shape, world.engine))[0]
    assert (before["state"], before["silentSince"]) == ("running", None)
    world.clock.advance(2 * settings.heartbeat + 1)
    (silent,) = await world.engine.store.read(workers_shape, world.engine)
    assert (silent["state"], silent["silentSince"]) == ("silent", before["heartbeatAt"])
    assert [(await status(world))[name] for name in ("workers", "slots", "silent")] == [0, 0, 1]
    world.clock.advance(settings.lease)
    (lost,) = await world.engine.store.read(workers_shape, world.engine)
    assert (lost["state"], lost["silentSince"]) == ("lost", before["heartbeatAt"])


def test_one_that_is_gone_is_nothing_else() -> None:
    assert [
        worker_state(said=said, unheard=unheard, heartbeat=5, lease=15, dead=dead)
        for said, unheard, dead in (
            (0, 0, False),
            (1, 10, False),
            (2, 10, False),
            (2, 11, False),
            (1, 15, False),
            (0, 0, True),
        )
    ] == ["running", "draining", "ending", "silent", "lost", "lost"]
