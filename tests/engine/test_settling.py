"""Ends of many tasks that are handed in together come to the same as those that come one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import pytest

from tests.oracle.world import ScriptedWorker, World
from windlass.clock import SECOND, to_text
from windlass.engine.claim import Claim
from windlass.engine.reading import list_attempts
from windlass.model.outcome import Completed, Failed, Outcome

#: Steps side by side, some of many tasks; joins by rule; one that fails; some that are skipped for it or for its lack.
STEPS: Final[dict[str, dict[str, Any]]] = {
    "first": {},
    "one": {"dependsOn": ["first"]},
    "bad": {"dependsOn": ["first"]},
    "many": {"dependsOn": ["first"], "matrix": {"n": [1, 2, 3, 4, 5]}},
    "all": {"dependsOn": ["one", "many"]},
    "some": {"dependsOn": ["one", "bad"], "triggerRule": "one_success"},
    "good": {"dependsOn": ["bad", "many"]},
    "behind": {"dependsOn": ["good"]},
    "failed": {"dependsOn": ["one"], "triggerRule": "all_failed"},
    "end": {"dependsOn": ["all", "some", "behind", "failed"], "triggerRule": "always"},
}


def ends(claim: Claim) -> Outcome:
    return Failed("error", "as it should") if claim.step.name == "bad" else Completed({"of": claim.step.name})


async def worked_off(world: World, worker: ScriptedWorker, most: int) -> tuple[Any, ...]:
    """Run all steps, as many at a time as may be; return what became of each, and what was told of it."""
    run_id = await world.submit(await world.define("graph", steps=STEPS))
    claims = (await worker.exchange((), most)).claims
    while claims:
        claims = (await worker.exchange([worker.report(claim, ends(claim)) for claim in claims], most)).claims
    run = await world.run(run_id)
    told = Counter(await world.told(run_id))
    return run["state"], run["outputs"], run["counts"], await world.states(run_id), told


@pytest.mark.parametrize("most", [2, 3, 20])
async def test_together_they_come_to_the_same_as_one_by_one(world: World, most: int) -> None:
    worker = await world.worker()
    expected = await worked_off(world, worker, 1)
    assert expected[0] == "failed"
    assert expected[3]["behind"] == "skipped"
    assert await worked_off(world, worker, most) == expected


async def test_who_takes_what_follows_tells_nobody_and_knows_what_came_before(world: World) -> None:
    heard: list[int] = []
    job = await world.define("chain", steps={"a": {}, "b": {"dependsOn": ["a"]}, "c": {"dependsOn": ["b"]}})
    await world.submit(job)
    worker = await world.worker()
    first = await worker.take_one()
    world.engine.store.on_hint("ready", lambda: heard.append(1))
    (second,) = (await worker.exchange([worker.report(first, Completed({"x": 1}))], 1)).claims
    assert second.results["a"].outputs == {"x": 1}
    await world.engine.store.run(lambda _: None)
    assert not heard
    assert not (await worker.exchange([worker.report(second, Completed())], 0)).claims
    await world.engine.store.run(lambda _: None)
    assert heard


async def test_an_end_that_comes_again_changes_nothing_of_those_with_it(world: World) -> None:
    job = await world.define("wide", steps={"a": {}, "b": {}, "c": {"dependsOn": ["a", "b"]}})
    run_id = await world.submit(job)
    worker = await world.worker()
    a, b = await worker.take(2)
    once = worker.report(a, Completed())
    await worker.exchange([once])
    (last,) = (await worker.exchange([once, worker.report(b, Completed()), worker.report(b, Completed())], 5)).claims
    await worker.end(last)
    assert await world.states(run_id) == {"a": "completed", "b": "completed", "c": "completed"}
    assert (await world.told(run_id)).count("task.completed 1") == 1


@pytest.mark.parametrize("most", [1, 20])
async def test_no_attempt_ends_after_what_follows_it_whatever_the_clock_of_its_worker_says(
    world: World, most: int
) -> None:
    fails = {"retry": {"attempts": 2, "delay": 0}}
    jobs = [
        await world.define("short", steps={"a": {}}),
        await world.define("chain", steps={"a": {}, "b": {"dependsOn": ["a"]}}),
        await world.define("again", steps={"bad": fails}),
    ]
    runs = [await world.submit(job) for job in jobs for _ in range(2)]
    worker = await world.worker()
    claims = (await worker.exchange((), most)).claims
    while claims:
        reports = [worker.report(claim, ends(claim)) for claim in claims]
        ahead = [replace(one, finished_at=one.finished_at + 3600 * SECOND) for one in reports]
        world.clock.advance(1)
        claims = (await worker.exchange(ahead, most)).claims
    last = to_text(world.clock.now())
    for run_id in runs:
        found = await list_attempts(world.engine, run_id)
        assert found
        assert all(one["startedAt"] <= one["finishedAt"] <= last for one in found)
        by_step = sorted((one["startedAt"], one["finishedAt"]) for one in found)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(by_step))
