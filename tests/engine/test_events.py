"""Events: complete, legal, by run or all together, from a cursor on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from tests.oracle.world import World, by_step
from windlass.engine.ends import RunEnds
from windlass.engine.reading import list_tasks
from windlass.engine.watching import cursor_before_last, events, newest_cursor
from windlass.errors import NotFound, Unavailable
from windlass.model.outcome import Completed, Failed
from windlass.store.event_cursor import BEGINNING
from windlass.store.events import events_after

pytestmark = pytest.mark.promise("H08")
EXIT = Failed("exit", "it ended with exit code 1", 1)
GRAPH: dict[str, Any] = {
    "a": {}, "m": {"matrix": {"n": [1, 2, 3]}}, "join": {"triggerRule": "all_done"}, "end": {},
}  # fmt: skip


async def test_every_task_has_its_whole_history(world: World) -> None:
    run_id = await world.submit(await world.define(steps=GRAPH))
    await (await world.worker()).work(by_step(m=EXIT))
    told = await world.told(run_id)
    for task in range(len(await list_tasks(world.engine, run_id))):
        own = [name.partition(" ")[0] for name in told if name.endswith(f" {task}")]
        last = "task.failed" if task in {1, 2, 3} else "task.completed"
        assert own == ["task.queued", "task.started", last]
    assert [name for name in told if name.startswith("run.")] == [
        "run.created", "run.queued", "run.started", "run.failed",
    ]  # fmt: skip


async def test_events_carry_what_a_reader_needs(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker()
    await worker.work(by_step(a=EXIT))
    by_type = {event.type: event for event in await world.events(run_id)}
    assert by_type["task.started"].data == {"attempt": 1, "worker": "w1"}
    assert by_type["task.failed"].data == {"attempt": 1, "reason": "exit", "exitCode": 1}
    assert by_type["task.skipped"].data == {"reason": 'trigger rule all_success: step "a" failed'}
    assert by_type["run.failed"].data == {"reason": "task_failed"}
    assert by_type["run.started"].data == {}
    assert {event.run_id for event in by_type.values()} == {run_id}


async def test_a_reader_may_stop_after_any_event_and_go_on(world: World) -> None:
    job = await world.define(steps=GRAPH)
    for _ in range(3):
        await world.submit(job)
    worker = await world.worker()
    await worker.work(by_step(m=EXIT), most=9)
    whole = await world.events()
    assert [event.seq for event in whole] == sorted({event.seq for event in whole})
    for number, event in enumerate(whole):
        assert await world.events(after=event.cursor) == whole[number + 1 :]
    for limit in (1, 2, 3):
        seen, after = [], BEGINNING
        while found := await world.engine.store.read(events_after, after, limit=limit):
            seen += found
            after = found[-1].cursor
        assert seen == whole


async def test_events_of_one_run_are_those_of_no_other(world: World) -> None:
    job = await world.define(steps=GRAPH)
    run_ids = [await world.submit(job) for _ in range(3)]
    await (await world.worker()).work()
    whole = await world.events()
    for run_id in run_ids:
        assert await world.events(run_id) == [event for event in whole if event.run_id == run_id]


async def test_a_cursor_of_now_sees_only_what_comes(world: World) -> None:
    job = await world.define(steps={"a": {}})
    cursor = await newest_cursor(world.engine)
    first = await world.submit(job)
    assert {event.run_id for event in await world.events(after=cursor)} == {first}
    cursor = await newest_cursor(world.engine)
    assert await world.events(after=cursor) == []
    second = await world.submit(job)
    assert {event.run_id for event in await world.events(after=cursor)} == {second}


async def test_a_subscriber_gets_the_types_it_asks_for_as_they_come(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}})
    seen: list[str] = []
    enough = asyncio.Event()

    async def follow() -> None:
        async with aclosing(events(world.engine, types={"run.completed", "run.failed"})) as stream:
            async for event in stream:
                seen.append(event.type)
                if len(seen) == 3:
                    enough.set()

    follower = asyncio.create_task(follow())
    worker = await world.worker()
    for script in (by_step(), by_step(b=EXIT), by_step()):
        await world.submit(job)
        await worker.work(script)
    async with asyncio.timeout(20):
        await enough.wait()
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    assert seen == ["run.completed", "run.failed", "run.completed"]


async def test_a_reader_that_does_not_follow_ends_with_the_newest(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    seen = [event.type async for event in events(world.engine, run_id=run_id, follow=False)]
    assert seen == ["run.created", "run.queued", "task.queued"]


@pytest.fixture
async def ends(world: World) -> AsyncIterator[RunEnds]:
    """Give the reader of ends."""
    found = RunEnds(world.engine)
    yield found
    await found.close()


async def test_whoever_waits_for_a_run_hears_its_end(world: World, ends: RunEnds) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    waiting = [asyncio.create_task(ends.wait(run_id)) for _ in range(3)]
    await (await world.worker()).work(by_step(a=Completed()))
    async with asyncio.timeout(20):
        assert [end.state for end in await asyncio.gather(*waiting)] == ["completed"] * 3
        assert (await ends.wait(run_id)).state == "completed"


async def test_nobody_waits_for_a_run_that_is_not_there(ends: RunEnds) -> None:
    with pytest.raises(NotFound):
        await ends.wait(b"\0" * 16)


async def test_whoever_waits_when_it_is_closed_hears_so(world: World, ends: RunEnds) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    waiting = asyncio.create_task(ends.wait(run_id))
    await asyncio.wait([waiting], timeout=0)
    await ends.close()
    with pytest.raises(Unavailable, match="the run goes on"):
        await waiting
    with pytest.raises(Unavailable):
        await ends.wait(run_id)


async def test_the_last_events_of_a_rare_type_are_found_however_far_back(world: World) -> None:
    bad = await world.submit(await world.define("rare", steps={"a": {}, "b": {}}))
    worker = await world.worker()
    await worker.work(by_step(a=EXIT))
    common = await world.define("common", steps={"a": {}})
    for _ in range(50):
        await world.submit(common)
    await worker.work()

    async def last(count: int, *types: str, **which: str) -> list[tuple[str, bytes | None]]:
        after = await cursor_before_last(world.engine, count, types, **which)
        found = [event async for event in events(world.engine, after, types=types, follow=False)]
        return [(event.type, event.run_id) for event in found]

    assert await last(1, "task.skipped") == [("task.skipped", bad)]
    assert await last(5, "run.failed", "task.failed") == [("task.failed", bad), ("run.failed", bad)]
    assert len(await last(3, "run.completed")) == 3
    assert (await last(4, job="rare"))[-1] == (await last(1))[-1]
    assert (await last(4, job="rare"))[0][1] == bad
    assert await last(1, "run.completed", job="rare", project="other") == await last(99, "run.completed")
