"""Alerts of late runs: each once, at its time, over restarts and clocks that are set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.world import World
from windlass.clock import SECOND, from_text
from windlass.engine.dependencies import Dependency
from windlass.engine.explaining import why
from windlass.engine.punctuality import raise_alerts
from windlass.engine.reading import list_runs
from windlass.engine.services.alerter import IDLE, MAX_PAUSE, Alerter
from windlass.engine.shapes import event_shape
from windlass.model.outcome import Failed
from windlass.store.runs import RunFilter

pytestmark = pytest.mark.promise("C19")


async def look(world: World, seconds: float = 0) -> int | None:
    world.clock.advance(seconds)
    return await world.engine.store.run(raise_alerts)


async def alerts(world: World, run_id: bytes) -> list[str]:
    return [str(event.data["sla"]) for event in await world.events(run_id) if event.type == "run.sla_missed"]


async def late(world: World, **filters: Any) -> list[str]:
    found, _ = await list_runs(world.engine, RunFilter(sla_missed=True, **filters))
    return [run["id"] for run in found]


async def test_a_run_that_takes_too_long_raises_one_alert_and_goes_on(world: World) -> None:
    job = await world.define(sla={"duration": "90m"}, steps={"a": {}})
    run_id = await world.submit(job)
    begun = world.clock.now()
    worker = await world.worker()
    claim = await worker.take_one()
    assert await look(world, 5399) == begun + 5400 * SECOND
    assert await alerts(world, run_id) == []
    assert await look(world, 1) is None
    assert await look(world, 5) is None
    assert await alerts(world, run_id) == ["duration"]
    run = await world.run(run_id)
    assert (run["state"], run["sla"]["duration"]["missedAt"]) == ("running", run["sla"]["duration"]["due"])
    assert await late(world) == [run["id"]]
    causes = (await why(world.engine, run_id))["because"]
    assert causes[-1]["kind"] == "sla_missed"
    assert causes[-1]["due"] == run["sla"]["duration"]["due"]
    assert causes[-1]["message"].startswith("It is late: by the sla of its job (duration) it should have ended by ")
    await worker.end(claim)
    causes = (await why(world.engine, run_id))["because"]
    assert causes[-1]["message"].startswith("It was late: by the sla of its job (duration) it should have ended by ")
    assert (await world.run(run_id))["state"] == "completed"
    assert await late(world, states=("completed",)) == [run["id"]]
    assert await late(world, states=("failed",)) == []
    await world.assert_sound()


async def test_the_event_says_what_was_missed_and_when(world: World) -> None:
    job = await world.define(sla={"duration": 1}, steps={"a": {}})
    run_id = await world.submit(job)
    await look(world, 2)
    (event,) = [event for event in await world.events(run_id) if event.type == "run.sla_missed"]
    run = await world.run(run_id)
    assert event_shape(event)["data"] == {"sla": "duration", "due": run["sla"]["duration"]["due"]}


@pytest.mark.parametrize(("seconds", "found"), [(59, []), (60, []), (61, ["duration"])])
async def test_a_run_that_ends_just_in_time_has_kept_it(world: World, seconds: int, found: list[str]) -> None:
    job = await world.define(sla={"duration": "1m"}, steps={"a": {}})
    run_id = await world.submit(job)
    worker = await world.worker()
    world.clock.advance(seconds)
    await worker.work()
    await look(world, 3600)
    assert await alerts(world, run_id) == found
    assert await look(world) is None


async def test_a_failure_in_time_is_no_alert(world: World) -> None:
    job = await world.define(sla={"duration": "1m"}, steps={"a": {"retry": {"attempts": 1}}})
    run_id = await world.submit(job)
    await (await world.worker()).work(lambda _: Failed("error", "no"))
    await look(world, 3600)
    assert ((await world.run(run_id))["state"], await alerts(world, run_id)) == ("failed", [])


async def test_what_passed_while_nobody_was_there_is_told_once_after_the_restart(kept_world: World) -> None:
    world = kept_world
    job = await world.define(sla={"duration": "1m", "completedBy": "06:00"}, steps={"a": {}})
    run_id = await world.submit(job)
    world.clock.advance(3 * 86_400)
    await world.reopen()
    assert await look(world) is None
    await world.reopen()
    await look(world)
    assert sorted(await alerts(world, run_id)) == ["completedBy", "duration"]


async def test_a_clock_that_is_set_back_raises_no_second_alert(world: World) -> None:
    job = await world.define(sla={"duration": "1m"}, steps={"a": {}})
    run_id = await world.submit(job)
    await look(world, 61)
    await look(world, -3600)
    await look(world, 7200)
    assert await alerts(world, run_id) == ["duration"]


async def test_time_begins_when_the_run_may_begin(world: World) -> None:
    job = await world.define(sla={"duration": "1m"}, steps={"a": {}})
    begun = world.clock.now()
    later = await world.submit(job, scheduled_at=begun + 600 * SECOND)
    assert await look(world, 599) == begun + 660 * SECOND
    assert await look(world, 60) == begun + 660 * SECOND
    await look(world, 1)
    assert await alerts(world, later) == ["duration"]


async def test_waiting_for_other_runs_does_not_count_and_waiting_for_a_place_does(world: World) -> None:
    first = await world.define("first", steps={"a": {}})
    job = await world.define(sla={"duration": "1m"}, concurrency={"limit": 1}, steps={"a": {}})
    before = await world.submit(first)
    dependent = await world.submit(job, depends_on=(Dependency(before),))
    assert await look(world, 3600) is None
    worker = await world.worker()
    await worker.work(most=1)
    await world.tick()
    second = await world.submit(job)
    assert (await world.run(second))["state"] == "waiting"
    assert await look(world, 60) is None
    assert (await alerts(world, dependent), await alerts(world, second)) == (["duration"], ["duration"])


async def test_the_time_of_day_is_that_of_the_zone_of_its_trigger(world: World) -> None:
    job = await world.define(
        sla={"completedBy": "06:00"},
        triggers=[{"type": "cron", "configuration": {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}}],
        steps={"a": {}},
    )
    world.clock.advance((from_text("2026-03-29T00:30:00Z") - world.clock.now()) / SECOND)
    run_id = await world.submit(job)
    run = await world.run(run_id)
    assert run["sla"] == {
        "completedBy": {"due": "2026-03-29T04:00:00.000000Z", "zone": "Europe/Berlin", "missedAt": None}
    }
    await look(world, 3.5 * 3600 - 1)
    assert await alerts(world, run_id) == []
    await look(world, 1)
    assert await alerts(world, run_id) == ["completedBy"]


async def test_a_promise_that_cannot_be_read_stops_no_other(world: World) -> None:
    job = await world.define(sla={"duration": 1}, steps={"a": {}})
    broken, whole = await world.submit(job), await world.submit(job)
    await world.engine.store.run(
        lambda tx: tx.cursor.execute("UPDATE runs SET sla = '{\"duration\": 1}' WHERE id = ?", (broken,))
    )
    assert await look(world, 2) is None
    assert (await alerts(world, broken), await alerts(world, whole)) == ([], ["duration"])
    # the oracle looks at the world afterwards, and cannot read it either
    await world.engine.store.run(lambda tx: tx.cursor.execute("UPDATE runs SET sla = NULL WHERE id = ?", (broken,)))


async def test_the_alerter_wakes_for_a_promise_and_pauses_until_its_end(world: World) -> None:
    woken: list[bool] = []
    world.engine.store.on_hint("sla", lambda: woken.append(True))
    alerter = Alerter(world.engine)
    assert await alerter.turn() == IDLE
    plain = await world.define("plain", steps={"a": {}})
    await world.submit(plain)
    job = await world.define(sla={"duration": 0.25}, steps={"a": {}})
    run_id = await world.submit(job)
    await world.engine.store.run(lambda _: None)
    assert woken == [True]
    assert await alerter.turn() == 0.25
    world.clock.advance(0.25)
    assert await alerter.turn() == IDLE
    assert await alerts(world, run_id) == ["duration"]
    await world.submit(await world.define("far", sla={"duration": "2h"}, steps={"a": {}}))
    assert await alerter.turn() == MAX_PAUSE
