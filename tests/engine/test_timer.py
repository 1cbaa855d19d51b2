"""The timer knows when to look again, also for what comes after its last look."""

from __future__ import annotations

import asyncio

import pytest

from tests.oracle.world import World
from windlass.engine.services.timer import MAX_PAUSE, Timer
from windlass.engine.submission import SOON


@pytest.mark.promise("H06")
@pytest.mark.parametrize(("limit", "wakes"), [(0.25, True), (60, False)])
async def test_a_deadline_that_is_near_wakes_it(world: World, limit: float, *, wakes: bool) -> None:
    woken = asyncio.Event()
    world.engine.store.on_hint("wake", woken.set)
    job = await world.define(timeout=limit, steps={"a": {}})
    run_id = await world.submit(job)
    await world.engine.store.run(lambda _: None)
    assert woken.is_set() is wakes
    timer = Timer(world.engine)
    pause = await timer.turn()
    assert pause == min(limit, MAX_PAUSE)
    world.clock.advance(pause)
    await timer.turn()
    assert (await world.run(run_id))["state"] == ("timeout" if wakes else "queued")


def test_its_pauses_are_shorter_than_what_wakes_it() -> None:
    assert MAX_PAUSE * 1_000_000 < SOON
