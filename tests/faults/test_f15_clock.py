"""F15: the clock is set, forward and back, while work is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.crash import open_runs, until
from tests.oracle.history import check_history
from tests.oracle.scene import Scene, step
from tests.oracle.world import World
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.statistics import Asked, statistics
from windlass.engine.tallying import tally_all
from windlass.model.metric import Distribution
from windlass.model.outcome import Failed
from windlass.store.event_cursor import newest_cursor

pytestmark = pytest.mark.fault("F15")
HOUR = 3600.0
#: Forward, back, and further than any run may take.
JUMPS = (HOUR, -HOUR, 5 * 365 * 24 * HOUR)
#: What the oracle reads from times that the clock told; the ledger has times of its own.
BY_THE_CLOCK = ("go back in time", "overlap")


def apart_from_the_clock(found: list[str]) -> list[str]:
    """Leave out what is told by times that were set back."""
    return [one for one in found if not one.endswith(BY_THE_CLOCK)]


@pytest.fixture
async def moved(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """Give a world whose clock may be set back."""
    request.node.user_properties.append(("store", "memory"))
    return World(":memory:", tmp_path)


async def assert_sound(world: World) -> None:
    """Fail where the oracle finds anything but times that went back."""
    assert apart_from_the_clock(await check_history(world.engine, accepted=world.accepted)) == []


@pytest.mark.parametrize("jump", JUMPS)
async def test_f15_no_lease_is_lost_when_the_clock_is_set(moved: World, jump: float) -> None:
    run_id = await moved.submit(await moved.define(timeout="2000d", steps={"a": {}, "b": {}}))
    worker = await moved.worker()
    claim = await worker.take_one()
    for seconds in (jump, -jump, jump):
        moved.clock.advance(seconds)
        await Rescuer(moved.engine, lambda: (worker.queue.worker_id,)).turn()
        await moved.tick()
        assert await moved.states(run_id) == {"a": "running", "b": "pending"}
        assert worker.queue.renew()
    await worker.end(claim)
    assert await worker.work() == ["b"]
    assert await moved.attempts(run_id) == [("a", 1, "completed"), ("b", 1, "completed")]
    await assert_sound(moved)


async def test_f15_what_was_due_once_is_not_due_again_when_the_clock_goes_back(moved: World) -> None:
    job = await moved.define(steps={"a": {"retry": {"attempts": 2, "delay": 10}}})
    run_id = await moved.submit(job, delay=60.0)
    worker = await moved.worker()
    await moved.tick(61)
    assert [claim.step.name for claim in await worker.take()] == ["a"]
    told = await moved.told(run_id)
    for _ in range(3):
        await moved.tick(-HOUR)
        await moved.tick(HOUR)
    assert await moved.told(run_id) == told
    assert await worker.take() == []
    await assert_sound(moved)


async def test_f15_a_retry_waits_for_its_delay_from_the_clock_as_it_then_goes(moved: World) -> None:
    run_id = await moved.submit(await moved.define(steps={"a": {"retry": {"attempts": 2, "delay": 10}}}))
    worker = await moved.worker()
    claim = await worker.take_one()
    moved.clock.advance(-HOUR)
    await worker.end(claim, Failed("exit", "no", 1))
    await moved.tick(11)
    assert await worker.work() == ["a"]
    assert await moved.attempts(run_id) == [("a", 1, "failed"), ("a", 2, "completed")]
    await assert_sound(moved)


async def test_f15_figures_do_not_go_back_with_the_clock(moved: World) -> None:
    engine = moved.engine
    engine.metrics.begin(await engine.store.read(newest_cursor), engine.settings)
    await moved.submit(await moved.define(steps={"a": {"retry": {"attempts": 2, "delay": 0}}}))
    worker = await moved.worker()
    claim = await worker.take_one()
    moved.clock.advance(-HOUR)
    await worker.end(claim, Failed("exit", "no", 1))
    await moved.tick(1)
    claim = await worker.take_one()
    moved.clock.advance(-HOUR)
    await worker.end(claim)
    figures = await engine.metrics.collect(engine.store, engine.settings)
    series = {(name, key): found for name, by_key in figures.items() for key, found in by_key.items()}
    sums = {key: found.sum for key, found in series.items() if isinstance(found, Distribution) and found.count}
    assert {name for name, _ in sums} >= {"windlass_run_duration_seconds", "windlass_attempt_duration_seconds"}
    assert all(value >= 0 for value in sums.values()), sums
    await tally_all(engine)
    assert (await statistics(engine, Asked()))["durations"]["p50"] >= 0


def put(file: Path, text: str) -> None:
    """Let a file say something at once: whoever reads it finds it whole."""
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").rename(file)


def test_f15_an_owner_goes_on_when_its_clock_is_set(scene: Scene) -> None:
    ahead = scene.folder / "ahead"
    put(ahead, "0")
    scene.define(
        slow=step("sleep 1"),
        again=step('[ "$WINDLASS_ATTEMPT" = 2 ] || exit 1', retry={"attempts": 2, "delay": 0.5}),
        later={"steps": [{"name": "w", "type": "wait", "config": {"duration": "1s"}}, {"name": "a", **step(":")}]},
    )
    client = scene.victim.start_doomed(AHEAD=str(ahead), WINDLASS_LEASE="1s", WINDLASS_HEARTBEAT="200ms")
    assert client is not None
    for seconds in ("3600", "-3600", "0"):
        before = scene.started()
        for job in ("slow", "again", "later"):
            scene.begin(client, job)
        until(lambda: scene.started() >= before + 2, "the start of steps")  # noqa: B023 - called at once
        put(ahead, seconds)
    put(ahead, "3700")  # what was to happen an hour ahead waits for that hour
    until(lambda: not open_runs(client), "the end of all runs")
    assert set(scene.ends(client).values()) == {("completed", None)}
    assert scene.victim.stop() == 0
    assert apart_from_the_clock(scene.victim.problems(scene.accepted, at_rest=True)) == []
