"""So many runs of a project at one time: who goes on, who waits, and that a free place is never left empty."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.clock import SECOND
from windlass.engine.admission import admit_all
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.dependencies import Dependency
from windlass.engine.explaining import why
from windlass.engine.manifests import ManifestText
from windlass.engine.setting_aside import set_aside
from windlass.engine.starting import prepare
from windlass.engine.submission import Submission, submit
from windlass.ids import id_text
from windlass.model.outcome import ChildRun, Waiting

pytestmark = pytest.mark.promise("H04", part="limits")


async def states(world: World, *run_ids: bytes) -> list[str]:
    return [(await world.run(run_id))["state"] for run_id in run_ids]


async def test_one_more_waits_says_for_whom_and_follows_in_the_order_of_the_queue(make_world: MakeWorld) -> None:
    world = make_world(max_runs=2)
    job, other = await world.define(steps={"a": {}}), await world.define("other", steps={"a": {}, "b": {}})
    first, second, third = [await world.submit(job) for _ in range(3)]
    (urgent,) = await world.submit_all(other, [Submission(priority=15)])
    assert await states(world, first, second, third, urgent) == ["queued", "queued", "waiting", "waiting"]
    waiting = await world.run(third)
    assert (waiting["reason"], waiting["queuedAt"]) == ("max_runs", None)
    holders = [id_text(first), id_text(second)]
    assert waiting["waitingFor"] == {"limit": "max_runs", "allowed": 2, "holders": holders, "ahead": 1}
    (cause,) = (await why(world.engine, third))["because"]
    assert (cause["kind"], cause["limit"], cause["holders"]) == ("limit", "max_runs", holders)
    assert cause["message"].startswith("No more than 2 runs go on in its project at one time (WINDLASS_MAX_RUNS)")
    worker = await world.worker()
    claims = await worker.take()
    assert [claim.run_id for claim in claims] == [first, second]
    await worker.end(claims[0])
    assert await states(world, third, urgent) == ["waiting", "queued"]
    assert (await world.told(urgent))[:3] == ["run.created", "run.waiting", "run.queued"]
    await world.lose()
    assert await states(world, second, third) == ["failed", "queued"]
    assert await (await world.worker("last")).work() == ["a", "b", "a"]
    await world.assert_sound(at_rest=True)
    await world.close()


async def test_projects_do_not_count_together(make_world: MakeWorld) -> None:
    world = make_world(max_runs=1)
    job = await world.define(steps={"a": {}})
    text = b"apiVersion: v1\nkind: Job\nmetadata: {alias: job}\nsteps: [{name: a, type: fake}]\n"
    await apply(world.engine, [ManifestText("job.yaml", text)], ApplyOptions(project="second"))
    theirs = await world.engine.store.run(prepare, world.engine, "second", "job", None)
    mine = await world.submit(job)
    (one,) = await submit(world.engine, theirs, [Submission()])
    assert await states(world, mine, one.run_id) == ["queued", "queued"]
    await world.close()


async def test_a_run_that_waits_for_its_child_is_not_stopped_by_it(make_world: MakeWorld) -> None:
    world = make_world(max_runs=1)
    await world.define("child", steps={"c": {}})
    parent = await world.define("parent", steps={"p": {"type": "job", "config": {"job": "child"}}})
    run, later = await world.submit(parent), await world.submit(parent)
    worker = await world.worker()
    claim = await worker.take_one()
    waiting = Waiting(world.clock.now() + 99 * SECOND, "child", child=ChildRun("child"))
    await worker.end(claim, waiting)
    assert await states(world, run, later) == ["running", "waiting"]
    assert (await worker.take_one()).step.name == "c"
    await world.close()


async def test_later_runs_and_those_behind_others_ask_when_their_time_has_come(make_world: MakeWorld) -> None:
    world = make_world(max_runs=1)
    job = await world.define(steps={"a": {}, "b": {"dependsOn": []}})
    later = await world.submit(job, delay=10)
    first = await world.submit(job)
    behind = await world.submit(job, depends_on=[Dependency(first, "always")])
    assert await states(world, later, first, behind) == ["scheduled", "queued", "waiting"]
    await world.tick(10)
    assert await states(world, later, first) == ["waiting", "queued"]
    assert await world.states(later) == {"a": "pending", "b": "pending"}
    await world.cancel(first)
    await world.tick()
    assert await states(world, later, behind) == ["queued", "waiting"]
    assert (await world.run(behind))["reason"] == "max_runs"
    assert await world.states(later) == {"a": "queued", "b": "queued"}
    await world.cancel(behind)
    assert await states(world, behind) == ["cancelled"]
    await world.assert_sound()
    await world.close()


@pytest.mark.promise("C19")
async def test_a_place_under_a_key_is_kept_while_its_run_waits_for_one_in_the_project(make_world: MakeWorld) -> None:
    world = make_world(max_runs=1)
    plain = await world.define(steps={"a": {}})
    alone = await world.define("alone", steps={"a": {}}, concurrency={"limit": 1})
    first = await world.submit(plain)
    second, third = await world.submit(alone), await world.submit(alone)
    reasons = [(await world.run(run))["reason"] for run in (second, third)]
    assert reasons == ["max_runs", "concurrency"]
    await world.cancel(second)
    reasons = [(await world.run(run))["reason"] for run in (second, third)]
    assert reasons == ["cancelled", "max_runs"], "the next one under the key stands in the line of the project now"
    await world.cancel(first)
    assert await states(world, third) == ["queued"]
    await world.assert_sound()
    await world.close()


async def test_places_that_nobody_gave_on_and_a_limit_that_was_changed_are_found(make_world: MakeWorld) -> None:
    world = make_world(max_runs=1)
    job = await world.define(steps={"a": {}})
    runs = await world.submit_all(job, [Submission()] * 4)
    await world.engine.store.run(set_aside, runs[0], ValueError("no"))
    assert await world.engine.store.run(admit_all, world.engine) == 1
    assert await states(world, *runs) == ["failed", "queued", "waiting", "waiting"]
    settings: Any = world.engine.settings
    object.__setattr__(settings, "max_runs", None)
    assert await world.engine.store.run(admit_all, world.engine) == 2
    assert await states(world, *runs[1:]) == ["queued"] * 3
    object.__setattr__(settings, "max_runs", 2)
    more = await world.submit(job)
    assert await states(world, more) == ["waiting"], "what goes on from before counts"
    await world.close()
