"""Which tasks stand for which step, read once for each run; what a claim reads does not grow with the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World
from windlass.engine.fan import Fan, FanCache
from windlass.model.fanout import Cell, Expansion
from windlass.model.outcome import Completed
from windlass.store.transaction import Transaction

EXPANSION = Expansion((None, (Cell("x", {"v": "x"}), Cell("y", {"v": "y"})), (), None))
FAN = Fan(EXPANSION.cells, EXPANSION.layout())


def test_each_task_has_its_step_and_cell() -> None:
    assert [FAN.step_number(task) for task in range(5)] == [0, 1, 1, 2, 3]
    cells = [FAN.cell(task) for task in range(5)]
    assert [cell and cell.key for cell in cells] == [None, "x", "y", None, None]


async def test_a_run_is_read_once_and_forgotten_when_there_is_no_more_room(world: World) -> None:
    job = await world.define(steps={"m": {"matrix": {"n": [1, 2, 3]}}})
    run_ids = [await world.submit(job) for _ in range(3)]
    cache = FanCache(tasks=6)

    def read(tx: Transaction, number: int) -> Fan:
        return cache.get(tx, run_ids[number])

    first, second = [await world.engine.store.read(read, number) for number in (0, 1)]
    assert await world.engine.store.read(read, 0) is first
    third = await world.engine.store.read(read, 2)
    assert await world.engine.store.read(read, 0) is first
    assert await world.engine.store.read(read, 2) is third
    assert await world.engine.store.read(read, 1) is not second


async def test_a_run_larger_than_the_room_is_still_read(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"m": {"matrix": {"n": [1, 2, 3]}}}))
    cache = FanCache(tasks=1)
    fan = await world.engine.store.read(cache.get, run_id)
    assert fan.layout.size == 3
    assert await world.engine.store.read(cache.get, run_id) is fan


@pytest.mark.promise("C12")
@pytest.mark.parametrize(("config", "read"), [({}, 0), ({"message": "${{ steps.m.state }}"}, 4)])
async def test_cells_before_are_read_only_where_they_are_asked_for(
    world: World, config: dict[str, Any], read: int
) -> None:
    steps: dict[str, Any] = {"m": {"matrix": {"n": [1, 2, 3, 4]}}, "after": {"config": config}}
    await world.submit(await world.define(steps=steps))
    worker = await world.worker()
    for claim in await worker.take():
        await worker.end(claim, Completed({"n": claim.values["n"]}))
    claim = await worker.take_one()
    found = claim.results.get("m")
    assert len((found.items or {}) if found else {}) == read
    await worker.end(claim)
