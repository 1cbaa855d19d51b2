"""`run why` of runs whose time was up: by which limit, when, and what is the time for clean-up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World, by_step
from windlass.clock import SECOND, to_text
from windlass.engine.dependencies import Dependency
from windlass.engine.explaining import why
from windlass.model.outcome import Cancelled

pytestmark = pytest.mark.promise("W03")


async def test_a_run_whose_time_was_up_says_by_which_limit_and_when(world: World) -> None:
    steps = {"a": {}, "end": {"dependsOn": "a", "triggerRule": "always"}}
    run_id = await world.submit(await world.define("brief", steps=steps, timeout=2))
    up = to_text(world.clock.now() + 2_000_000)
    worker = await world.worker()
    held = await worker.take_one()
    await world.tick(7)
    for state in ("running", "timeout"):
        explained = await why(world.engine, run_id)
        assert explained["state"] == state
        first = explained["because"][0]
        assert first["message"] == f"Its time was up at {up}: the timeout of its job gives it 2s."
        assert (first["limit"], first["seconds"], first["deadline"]) == ("timeout", 2, up)
        if state == "running":
            await worker.end(held, Cancelled())
            await worker.work(by_step())
    step = await why(world.engine, run_id, "a")
    assert [one["kind"] for one in step["because"]] == ["attempt", "run_deadline"]
    assert step["because"][1]["message"] == first["message"]


@pytest.mark.parametrize("how", ["at once", "scheduled", "let in", "released", "has no place", "waits for a run"])
async def test_the_limit_that_a_run_had_is_told_whatever_the_settings_say_later(
    make_world: MakeWorld, how: str
) -> None:
    world = make_world(run_deadline=600.0)
    limited = {"concurrency": {"limit": 1}} if how in {"let in", "has no place"} else {}
    first = await world.submit(await world.define("job", steps={"a": {}}, timeout=9000, **limited))
    fields: dict[str, Any] = {}
    if how == "scheduled":
        fields["scheduled_at"] = world.clock.now() + 30 * SECOND
    elif how in {"released", "waits for a run"}:
        fields["depends_on"] = [Dependency(first, "always")]
    run_id = await world.submit(await world.define("job", steps={"a": {}}, **limited), **fields)
    begin = fields.get("scheduled_at", world.clock.now())
    await world.tick(40)
    if how in {"let in", "released"}:
        begin = world.clock.now()
        await world.cancel(first)
        await world.tick()
    await world.tick(700)
    world.engine.settings = replace(world.engine.settings, run_deadline=86_400.0)
    up = to_text(begin + 600 * SECOND)
    run, told = await world.run(run_id), (await why(world.engine, run_id))["because"][0]
    assert (run["state"], run["deadline"]) == ("timeout", up)
    waited = how in {"has no place", "waits for a run"}
    sentence = "a run waits for 10m at most" if waited else "a run whose job has no timeout gets 10m"
    assert told["message"] == f"Its time was up at {up}: {sentence} (WINDLASS_RUN_DEADLINE)."
    assert (told["limit"], told["seconds"], told["deadline"]) == ("run_deadline", 600, up)
    await world.close()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_the_time_for_clean_up_is_told_apart_from_that_of_the_run(make_world: MakeWorld, how: str) -> None:
    world = make_world(cleanup_grace=300.0)
    steps = {"a": {}, "end": {"dependsOn": "a", "triggerRule": "always"}}
    run_id = await world.submit(await world.define(steps=steps, timeout=60))
    own = to_text(world.clock.now() + 60 * SECOND)
    held = await (worker := await world.worker()).take_one()
    assert [(await world.run(run_id))[name] for name in ("deadline", "cleanupUntil")] == [own, None]
    await world.tick(61 if how == "timeout" else 5)
    if how == "cancel":
        await world.cancel(run_id)
    until = to_text(world.clock.now() + 300 * SECOND)
    assert [(await world.run(run_id))[name] for name in ("deadline", "cleanupUntil")] == [own, until]
    await worker.end(held, Cancelled())
    await worker.work()
    run = await world.run(run_id)
    assert (run["state"], run["deadline"]) == ("timeout" if how == "timeout" else "cancelled", own)
    await world.close()
