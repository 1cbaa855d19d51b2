"""Retries over the store: when the next attempt is due, what is kept of the earlier ones, and when there is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World, always, by_step
from windlass.clock import to_text
from windlass.model.outcome import Completed, Failed, TimedOut

pytestmark = pytest.mark.promise("H05")
EXIT = Failed("exit", "it ended with exit code 75", 75)


def retry(**policy: Any) -> dict[str, Any]:
    return {"retry": {"attempts": 4, "delay": 10, "maxDelay": 30, "jitter": False, **policy}}


async def due_after(world: World, outcome: Any = EXIT) -> list[float]:
    """Fail again and again; return the seconds until each next attempt."""
    worker, delays = await world.worker(), []
    while claims := await worker.take(1):
        failed_at = world.clock.now()
        following = (await worker.end(claims[0], outcome)) and await world.tick()
        task = await world.task(claims[0].run_id, "a")
        if task["state"] != "scheduled":
            break
        assert following is not None
        delays.append((following - failed_at) / 1_000_000)
        await world.tick(delays[-1] - 0.000_001)
        assert await worker.take(1) == [], "not before its time"
        await world.tick(0.000_001)
    return delays


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [("exponential", [10, 20, 30]), ("linear", [10, 20, 30]), ("fixed", [10, 10, 10])],
)
async def test_each_attempt_waits_for_its_delay(world: World, strategy: str, delays: list[float]) -> None:
    run_id = await world.submit(await world.define(steps={"a": retry(strategy=strategy)}))
    begun = to_text(world.clock.now())
    assert await due_after(world) == delays
    task = await world.task(run_id, "a")
    assert task["startedAt"] == begun
    assert (task["state"], task["attempt"], task["maxAttempts"]) == ("failed", 4, 4)
    assert await world.attempts(run_id) == [("a", number, "failed") for number in (1, 2, 3, 4)]
    assert (await world.run(run_id))["state"] == "failed"


async def test_jitter_takes_the_chance_that_the_engine_has(make_world: MakeWorld) -> None:
    world = make_world()
    world.engine.chance = lambda: 0.5
    await world.submit(await world.define(steps={"a": retry(jitter=True, strategy="fixed")}))
    assert await due_after(world) == [7.5, 7.5, 7.5]
    await world.assert_sound()
    await world.close()


async def test_an_attempt_that_completes_ends_the_retries(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": retry(delay=0), "b": {}}))
    worker = await world.worker()
    script = by_step(a=[EXIT, EXIT, Completed({"n": 3})])
    for expected in (["a"], ["a"], ["a", "b"]):
        assert await worker.work(script) == expected
        await world.tick()
    task, run = await world.task(run_id, "a"), await world.run(run_id)
    assert (task["state"], task["attempt"], task["outputs"], task["error"]) == ("completed", 3, {"n": 3}, None)
    assert (run["state"], run["error"], run["allowedFailures"]) == ("completed", None, 0)
    assert [event.data["at"] for event in await world.events(run_id) if event.type == "task.retried"]


async def test_the_history_says_how_each_attempt_ended(world: World) -> None:
    run_id = await world.submit(
        await world.define(steps={"a": retry(delay=5, strategy="fixed", on=["exit", "timeout"])})
    )
    worker = await world.worker()
    for outcome in (EXIT, TimedOut(60), Failed("connection", "no route to host")):
        claim = await worker.take_one()
        world.clock.advance(1)
        await worker.end(claim, outcome)
        await world.tick(5)
    assert await world.attempts(run_id) == [("a", 1, "failed"), ("a", 2, "timeout"), ("a", 3, "failed")]
    retried = [event.data for event in await world.events(run_id) if event.type == "task.retried"]
    assert [(data["attempt"], data["outcome"], data["reason"]) for data in retried] == [
        (1, "failed", "exit"), (2, "timeout", "timeout"),
    ]  # fmt: skip
    error = (await world.run(run_id))["error"]
    assert (error["reason"], error["message"]) == ("connection", "no route to host")


async def test_only_some_exit_codes_may_be_worth_another_attempt(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": retry(delay=0, on=["exit:75,111"])}))
    worker = await world.worker()
    await worker.work(always(EXIT))
    await world.tick()
    await worker.work(always(Failed("exit", "it ended with exit code 1", 1)))
    assert [outcome for *_, outcome in await world.attempts(run_id)] == ["failed", "failed"]
    assert (await world.run(run_id))["state"] == "failed"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e300])
async def test_a_step_that_names_a_delay_that_is_none_harms_nobody(world: World, wrong: float) -> None:
    job = await world.define(steps={"a": retry()})
    run_id, other = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    first, second = await worker.take()
    outcome = Failed("connection", "try later", retry_after=wrong)
    await worker.exchange([worker.report(first, outcome), worker.report(second, Completed())])
    assert (await world.task(run_id, "a"))["state"] == "scheduled"
    assert (await world.run(other))["state"] == "completed"


async def test_a_step_may_name_its_delay(world: World) -> None:
    await world.submit(await world.define(steps={"a": retry()}))
    assert await due_after(world, Failed("connection", "try later", retry_after=120)) == [120, 120, 120]


async def test_each_cell_of_a_matrix_has_its_own_attempts(world: World) -> None:
    run_id = await world.submit(
        await world.define(steps={"m": {"matrix": {"n": [1, 2]}, **retry(delay=0)}, "join": {}})
    )
    worker = await world.worker()

    def script(claim: Any) -> Any:
        return EXIT if claim.key == "2" and claim.attempt < 3 else Completed()

    for _ in range(4):
        await worker.work(script)
        await world.tick()
    assert (await world.task(run_id, "m[1]"))["attempt"] == 1
    assert (await world.task(run_id, "m[2]"))["attempt"] == 3
    assert (await world.run(run_id))["state"] == "completed"
