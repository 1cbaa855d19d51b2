"""Figures of runs: each run once, whenever and by whomever it is counted; and how jobs and parts are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fixtures.world import embedded_worlds
from tests.oracle.world import World, always, by_step
from windlass.clock import to_text
from windlass.engine.health import health, health_shape, ready
from windlass.engine.services.tallier import Tallier
from windlass.engine.statistics import Asked, jobs_health, statistics
from windlass.engine.tallying import tally, tally_all
from windlass.errors import NotFound, Unavailable
from windlass.model.outcome import Completed, Failed
from windlass.store.jobs import JobFilter
from windlass.store.run_hours import HOUR, counted_to, ended_after

pytestmark = pytest.mark.promise("H09")
BAD = always(Failed("exit", "no"))


async def figures(world: World, **asked: Any) -> dict[str, Any]:
    return await statistics(world.engine, Asked(**asked))


async def ended(world: World, job: Any, count: int, *, script: Any = None, takes: float = 2, waits: float = 4) -> None:
    """Let runs wait, take some time, and end."""
    worker = await world.worker(f"w{world.clock.now()}")
    for _ in range(count):
        await world.submit(job)
    world.clock.advance(waits)
    claims = await worker.take()
    for claim in claims:
        if claim.started_at is None:
            assert await worker.queue.start(claim)
    world.clock.advance(takes)
    for claim in claims:
        await worker.end(claim, None if script is None else script(claim))


@pytest.mark.promise("O05", part="statistics")
async def test_runs_are_counted_by_state_with_their_times(world: World) -> None:
    job = await world.define("a", steps={"only": {}})
    other = await world.define("b", steps={"only": {}}, metadata={"alias": "b", "labels": {"team": "data"}})
    await ended(world, job, 3)
    await ended(world, job, 1, script=BAD)
    await ended(world, other, 2)
    waiting = await world.submit(job, delay=600)
    found = await figures(world)
    assert (found["runs"], found["counts"], found["attempts"]) == (6, {"completed": 5, "failed": 1}, 6)
    assert (found["live"], found["successRate"]) == ({"scheduled": 1}, round(5 / 6, 6))
    assert found["durations"]["p50"] == pytest.approx(2, rel=0.05)
    assert found["waits"]["p95"] == pytest.approx(4, rel=0.05)
    assert sum(sum(hour["counts"].values()) for hour in found["hours"]) == 6
    one = await figures(world, job="a")
    assert (one["job"], one["runs"], one["counts"]) == ("a", 4, {"completed": 3, "failed": 1})
    assert (await figures(world, labels={"team": "data"}))["runs"] == 2
    assert (await figures(world, labels={"team": None}, states=("failed",)))["runs"] == 0
    assert (await figures(world, states=("failed",)))["counts"] == {"failed": 1}
    assert (await figures(world, project="other"))["runs"] == 0
    assert (await figures(world, project=None))["runs"] == 6
    with pytest.raises(NotFound):
        await figures(world, job="none")
    await world.cancel(waiting)
    assert (await figures(world, job="a"))["counts"]["cancelled"] == 1
    assert (await figures(world, job="a"))["successRate"] == 0.75


async def test_figures_go_back_as_far_as_is_asked(world: World) -> None:
    job = await world.define("a", steps={"only": {}})
    first = world.clock.now()
    await ended(world, job, 1)
    world.clock.advance(30 * 3600)
    await ended(world, job, 2)
    assert (await figures(world))["runs"] == 2
    assert (await figures(world, job="a"))["runs"] == 3
    assert (await figures(world, since=first))["runs"] == 3
    assert (await figures(world, since=first, until=first))["runs"] == 1
    found = await figures(world, since=first)
    assert [sum(hour["counts"].values()) for hour in found["hours"]] == [1, 2]
    assert found["since"] == to_text(first // HOUR * HOUR)


async def test_what_several_count_at_once_is_counted_once(world: World) -> None:
    job = await world.define("a", steps={"only": {}})
    for _ in range(4):
        await ended(world, job, 5)
        await asyncio.gather(*(tally_all(world.engine) for _ in range(5)))
    assert (await figures(world))["runs"] == 20
    assert await tally(world.engine) is False


async def test_a_count_that_is_cut_off_is_taken_up_where_it_was(
    kept_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.engine.tallying.PAGE", 3)
    job = await kept_world.define("a", steps={"only": {}})
    await ended(kept_world, job, 7)
    assert await tally(kept_world.engine)
    await kept_world.reopen()
    await tally_all(kept_world.engine)
    await kept_world.reopen()
    assert (await figures(kept_world))["runs"] == 7


async def test_starts_are_counted_of_every_task_and_times_of_runs_that_began(world: World) -> None:
    retried = await world.define("r", steps={"only": {"retry": {"attempts": 3, "delay": "1s", "jitter": False}}})
    chain = await world.define("c", steps={"one": {}, "two": {"dependsOn": "one"}})
    await world.submit(retried)
    await world.submit(chain)
    never = await world.submit(retried, delay=3600)
    worker = await world.worker()
    for _ in range(3):
        await worker.work(by_step(only=Failed("exit", "no"), one=Completed(), two=Completed()))
        await world.tick(60)
    await world.cancel(never)
    found = await figures(world)
    assert found["counts"] == {"failed": 1, "completed": 1, "cancelled": 1}
    assert found["attempts"] == 3 + 2
    assert (await figures(world, states=("cancelled",)))["durations"] == {"p50": None, "p95": None}


async def test_the_next_count_waits_unless_there_is_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windlass.engine.tallying.PAGE", 6)
    tallier = Tallier(world.engine)
    await ended(world, await world.define("a", steps={"only": {}}), 3)  # three facts each
    assert [await tallier.turn() < 1, await tallier.turn() < 1] == [True, False]
    counted = await world.engine.store.read(counted_to)
    rest, _ = await world.engine.store.read(ended_after, counted, 6)
    assert rest.empty


@embedded_worlds
async def test_counting_adds_nothing_to_the_way_of_a_run(world: World) -> None:
    seen: list[str] = []
    job = await world.define("a", steps={"only": {}})
    driver = world.engine.store.connection.connection.driver_connection  # type: ignore[attr-defined]
    driver.set_trace_callback(seen.append)
    await ended(world, job, 1)
    driver.set_trace_callback(None)
    assert seen
    assert not [statement for statement in seen if "run_hours" in statement]


@pytest.mark.promise("O05", part="health")
async def test_each_job_tells_how_it_is_doing(world: World) -> None:
    good, bad = await world.define("good", steps={"only": {}}), await world.define("bad", steps={"only": {}})
    await world.define("never", steps={"only": {}})
    await ended(world, good, 2)
    await ended(world, bad, 1)
    await ended(world, bad, 2, script=BAD)
    await world.submit(good, delay=60)
    first, cursor = await jobs_health(world.engine, JobFilter(project="default", limit=2))
    rest, end = await jobs_health(world.engine, JobFilter(project="default", limit=2), cursor)
    assert end is None
    assert [(one["job"], one["status"], one["failuresInRow"], one["successRate"]) for one in [*first, *rest]] == [
        ("bad", "failing", 2, round(1 / 3, 6)),
        ("good", "healthy", 0, 1.0),
        ("never", "idle", 0, None),
    ]
    assert first[1]["lastRun"]["state"] == "scheduled"
    assert (await jobs_health(world.engine, JobFilter(project="other")))[0] == []


async def test_parts_are_told_by_name(world: World) -> None:
    def status(parts: Any) -> dict[str, str]:
        return {part.name: part.status for part in parts}

    found = await health(world.engine)
    assert status(found) == {"store": "ok", "writer": "ok", "workers": "down", "timer": "ok", "disk": "ok"}
    assert ready(found)
    assert health_shape(found)["status"] == "degraded"
    await world.worker()
    job = await world.define("a", steps={"only": {}})
    await world.submit(job, delay=1)
    world.engine.parts["supervisor"] = lambda: "its process was lost"
    world.clock.advance(12)
    late = await health(world.engine)
    assert status(late) == {
        "store": "ok", "writer": "ok", "workers": "ok", "timer": "down", "supervisor": "degraded", "disk": "ok",
    }  # fmt: skip
    del world.engine.parts["supervisor"]
    await world.tick()
    assert health_shape(await health(world.engine))["status"] == "ok"


async def test_a_store_that_takes_nothing_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(world.engine.store, "run", full)
    found = await health(world.engine)
    assert not ready(found)
    assert {part.name: part.message for part in found}["writer"] == "The disk is full."
    monkeypatch.undo()
    assert ready(await health(world.engine))
