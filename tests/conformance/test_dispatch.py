"""What operators say while work goes on: pauses, limits of queues and pools, maintenance, slots, drains."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine import dispatching
from windlass.engine.executing import execute
from windlass.engine.manifests import ManifestText
from windlass.engine.starting import Start
from windlass.errors import Conflict, NotFound, UserError

pytestmark = pytest.mark.promise("H04")


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world(queue_limits={"narrow": 1}, pool_limits={"small": 3})
    yield found
    await found.assert_sound()
    await found.close()


async def fill(world: World, alias: str, count: int, **fields: Any) -> list[bytes]:
    job = await world.define(alias, steps={"a": {}}, **fields)
    return [await world.submit(job) for _ in range(count)]


async def test_a_paused_queue_hands_nothing_out_and_what_runs_goes_on(world: World) -> None:
    await fill(world, "paused", 2, queue="reports")
    (other,) = await fill(world, "other", 1)
    worker = await world.worker()
    running = await worker.take_one()
    said = await dispatching.pause_queue(world.engine, "reports", by="ann", why="disk")
    assert (said["paused"]["by"], said["paused"]["why"], said["counts"]) == ("ann", "disk", {"queued": 1, "running": 1})
    assert [claim.run_id for claim in await worker.take()] == [other]
    await worker.end(running)
    later = await world.worker("later")
    assert await later.take() == []
    again = await dispatching.pause_queue(world.engine, "reports", by="bob")
    assert again["paused"] == said["paused"], "who paused it first stays"
    assert (await dispatching.resume_queue(world.engine, "reports"))["paused"] is None
    assert await later.work() == ["a"]


async def test_a_queue_may_be_paused_before_it_is_used_and_has_a_name(world: World) -> None:
    await dispatching.pause_queue(world.engine, "new", by="ann")
    await fill(world, "late", 1, queue="new")
    assert await (await world.worker()).take() == []
    for wrong in ("", "A", "a b", "x" * 64, "../x"):
        with pytest.raises(UserError, match="no name of a queue"):
            await dispatching.pause_queue(world.engine, wrong, by="ann")


@pytest.mark.promise("H04", part="limits")
async def test_so_many_tasks_of_a_queue_by_all_workers_together(world: World) -> None:
    await fill(world, "j", 5, queue="narrow")
    first, second = await world.worker("first"), await world.worker("second")
    claims = [*await first.take(), *await second.take()]
    assert len(claims) == 1
    await dispatching.limit_queue(world.engine, "narrow", 3)
    more = await second.take()
    assert len(more) == 2
    assert await first.take() == []
    await second.end(more[0])
    assert len(await first.take()) == 1
    await dispatching.limit_queue(world.engine, "narrow", None)
    assert await first.take() == []
    found = await world.engine.store.read(dispatching.list_queues, world.engine)
    assert [(queue["name"], queue["limit"]) for queue in found] == [("narrow", 1)]


@pytest.mark.promise("H04", part="limits")
async def test_so_many_tasks_of_a_pool_over_all_its_queues(world: World) -> None:
    await fill(world, "x", 3, queue="x", requires={"pool": "small"})
    await fill(world, "y", 3, queue="y", requires={"pool": "small"})
    await fill(world, "z", 3)
    worker, general = await world.worker("small", pool="small"), await world.worker("general")
    assert [claim.job.alias for claim in await worker.take()] == ["x"] * 3
    assert len(await general.take()) == 3


@pytest.mark.promise("H04", part="limits")
async def test_a_lost_worker_gives_its_part_of_a_limit_back(world: World) -> None:
    await fill(world, "j", 2, queue="narrow")
    worker = await world.worker()
    assert len(await worker.take()) == 1
    await world.lose()
    assert len(await (await world.worker("next")).take()) == 1


@pytest.mark.promise("H12")
async def test_maintenance_starts_nothing_says_why_and_lets_what_runs_go_on(world: World) -> None:
    (first, second) = await fill(world, "j", 2)
    worker = await world.worker()
    running = await worker.take_one()
    said = await dispatching.set_maintenance(world.engine, on=True, by="ann", why="new disks")
    assert (said["on"], said["by"], said["why"]) == (True, "ann", "new disks")
    assert await worker.take() == []
    await worker.end(running)
    assert (await world.run(first))["state"] == "completed"
    text = b"apiVersion: v1\nkind: Job\nmetadata: {alias: now}\nsteps: [{name: a, type: fake}]\n"
    now, start = ManifestText("now.yaml", text), Start(project="default", job="")
    with pytest.raises(Conflict, match=r"Maintenance is on since .*, by ann \(new disks\): nothing is started"):
        await execute(world.engine, now, start, folder=None, by="ann")
    await dispatching.set_maintenance(world.engine, on=False, by="ann")
    assert (await world.engine.store.read(dispatching.maintenance))["on"] is False
    assert await worker.work() == ["a"]
    assert (await world.run(second))["state"] == "completed"


@pytest.mark.promise("H04", part="size while it runs")
@pytest.mark.promise("H04", part="drain")
async def test_slots_and_drains_reach_the_worker_with_its_next_exchange(world: World) -> None:
    await fill(world, "j", 3)
    worker = await world.worker("w", slots=4)
    assert (await worker.exchange()).slots == 4
    await dispatching.drain_worker(world.engine, "w")
    exchange = await worker.exchange((), 4)
    assert (exchange.slots, exchange.claims) == (0, [])
    await dispatching.set_slots(world.engine, "w", 2)
    assert (await worker.exchange()).slots == 2
    assert await worker.work() == ["a"] * 3
    with pytest.raises(NotFound, match='No worker "x" is at work'):
        await dispatching.set_slots(world.engine, "x", 2)
    await worker.queue.leave(())
    with pytest.raises(NotFound):
        await dispatching.drain_worker(world.engine, "w")


async def test_a_change_that_was_undone_is_not_taken_for_one_that_was_kept(world: World) -> None:
    await fill(world, "j", 1)
    worker = await world.worker()

    def undone(tx: Any) -> None:
        dispatching.dispatch.pause_queue(tx, "default", "ann", None)
        assert worker.queue._served(tx, dispatching.dispatch.changes(tx)).routes == ()
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        await world.engine.store.run(undone)
    await dispatching.limit_queue(world.engine, "default", 5)
    assert len(await worker.take()) == 1
