"""Two who take work at the same time: neither waits for what the other is about to take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.oracle.world import World
from windlass.engine.claim import Exchange
from windlass.store.transaction import Transaction, beside_others

#: Seconds within which what must happen has to.
DEADLINE = 10


@pytest.fixture
async def world(postgres_url: str, tmp_path: Path) -> AsyncIterator[World]:
    found = World(postgres_url, tmp_path)
    yield found
    await found.assert_sound()
    await found.close()


@pytest.mark.promise("H04")
async def test_who_takes_work_waits_for_nobody_who_takes_some_too(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = {await world.submit(job) for _ in range(2)}
    slow, quick = await world.worker("slow"), await world.worker("quick")
    entered, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @beside_others
    def take_and_stay(tx: Transaction) -> Exchange | None:
        found = slow.queue.exchange_within(tx, slow.queue.worker_id, [], 1)
        loop.call_soon_threadsafe(entered.set)
        go.wait(3 * DEADLINE)
        return found

    taking = asyncio.create_task(world.engine.store.run(take_and_stay))
    try:
        await asyncio.wait_for(entered.wait(), DEADLINE)
        second = await asyncio.wait_for(quick.queue.exchange([], 5), DEADLINE)
    finally:
        go.set()
    first = await taking
    assert first is not None
    assert len(first.claims) == len(second.claims) == 1
    assert {one.run_id for exchange in (first, second) for one in exchange.claims} == runs
