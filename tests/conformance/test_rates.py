"""Limited resources: so many starts in any window, whatever happens in between, and none later than it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import ScriptedWorker, World, manifest
from windlass.clock import SECOND, to_text
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.dispatching import list_queues
from windlass.engine.explaining import why
from windlass.engine.jobs import delete_job
from windlass.engine.manifests import ManifestText
from windlass.engine.recovery import settle_all
from windlass.model.outcome import Failed, Skipped

pytestmark = pytest.mark.promise("C19")


def limited(limit: int = 1, window: Any = "1m", *, resource: str = "api", **fields: Any) -> dict[str, Any]:
    rates = [{"resource": resource, "limit": limit, "window": window}]
    return {"steps": {"a": {}}, "rateLimits": rates, **fields}


async def submitted(world: World, alias: str, count: int, **fields: Any) -> list[bytes]:
    job = await world.define(alias, **fields)
    return [await world.submit(job) for _ in range(count)]


async def taken(worker: ScriptedWorker) -> int:
    """Take what may be taken, end it, and return how many that were."""
    claims = await worker.take()
    for claim in claims:
        if claim.started_at is None:
            assert await worker.queue.start(claim)
        await worker.end(claim)
    return len(claims)


async def test_so_many_starts_in_any_window_in_the_order_of_the_queue(world: World) -> None:
    runs = await submitted(world, "j", 5, **limited(2))
    worker = await world.worker()
    assert [claim.run_id for claim in await worker.take()] == runs[:2]
    world.clock.advance(59.9)
    exchange = await worker.exchange((), 100)
    assert exchange.claims == []
    assert exchange.again == pytest.approx(0.1)
    world.clock.advance(0.1)
    exchange = await worker.exchange((), 100)
    assert [claim.run_id for claim in exchange.claims] == runs[2:4]
    assert exchange.again == pytest.approx(60)
    exchange = await worker.exchange((), 100)
    assert exchange.again == pytest.approx(1), "whoever waits looks again now and then"


async def test_a_window_slides(world: World) -> None:
    await submitted(world, "j", 6, **limited(3))
    worker = await world.worker()
    counts = []
    for _ in range(2):
        counts.append(len(await worker.take(1)))
        world.clock.advance(30)
    counts.append(await taken(worker))
    world.clock.advance(30)
    counts.append(await taken(worker))
    world.clock.advance(30)
    counts.append(await taken(worker))
    assert counts == [1, 1, 2, 1, 1]


async def test_jobs_of_a_project_share_a_resource_and_resources_do_not_count_together(world: World) -> None:
    await submitted(world, "j", 2, **limited(1))
    await submitted(world, "k", 1, **limited(1), queue="other")
    await submitted(world, "l", 1, **limited(1, resource="disk"))
    await submitted(world, "plain", 1, steps={"a": {}})
    worker = await world.worker()
    assert sorted(claim.job.alias for claim in await worker.take()) == ["j", "l", "plain"]
    world.clock.advance(60)
    assert [claim.job.alias for claim in await worker.take()] == ["j"]
    world.clock.advance(60)
    assert [claim.job.alias for claim in await worker.take()] == ["k"]


async def test_a_step_may_take_of_two_resources_and_more_than_one_unit(world: World) -> None:
    steps = {
        "both": {"rateLimits": [{"resource": "api", "units": 3}, {"resource": "disk", "limit": 1, "window": 10}]},
        "one": {"dependsOn": [], "rateLimit": {"resource": "api", "units": 2}},
        "none": {"dependsOn": [], "rateLimit": {"resource": "api", "units": 0}},
    }
    await submitted(world, "j", 2, steps=steps, rateLimits=limited(5)["rateLimits"])
    worker = await world.worker()
    assert [claim.step.name for claim in await worker.take()] == ["both", "one", "none", "none"]
    world.clock.advance(10)
    assert await worker.take() == []
    world.clock.advance(50)
    assert [claim.step.name for claim in await worker.take()] == ["both", "one"]


async def test_every_try_counts_and_what_was_never_started_does_not(world: World) -> None:
    steps = {"a": {"when": "${{ 1 < 2 }}", "retry": {"attempts": 2, "delay": 0}}}
    await submitted(world, "j", 2, **limited(1) | {"steps": steps})
    worker = await world.worker()
    (held,) = await worker.take()
    assert held.started_at is None
    assert await worker.take() == [], "it holds the one place without having started"
    await worker.end(held, Skipped("when"))
    (held,) = await worker.take()
    await world.engine.store.run(settle_all, world.engine)  # its worker dies before the start
    other = await world.worker("other")
    (held,) = await other.take()
    world.clock.advance(30)
    assert await other.queue.start(held)
    assert await other.queue.start(held), "asked again because the answer was lost"
    await other.end(held, Failed("exit", "no", 1))
    await world.tick(1)
    assert await other.take() == []
    world.clock.advance(58.9)
    assert await other.take() == [], "the window begins with the start, not with the claim"
    world.clock.advance(0.2)
    assert len(await other.take()) == 1


async def test_the_newest_revision_holds_for_those_who_wait_already(world: World) -> None:
    await submitted(world, "j", 4, **limited(1, "1h"))
    worker = await world.worker()
    assert await taken(worker) == 1
    assert await taken(worker) == 0
    await world.define("j", **limited(3, "1h"))
    assert await taken(worker) == 2
    await world.define("j", **limited(3, "1m"))
    world.clock.advance(60)
    assert await taken(worker) == 1


async def test_a_deleted_job_keeps_its_limit_for_those_who_wait(world: World) -> None:
    await submitted(world, "j", 3, **limited(1))
    worker = await world.worker()
    assert await taken(worker) == 1
    await delete_job(world.engine, "default", "j")
    assert await taken(worker) == 0
    world.clock.advance(60)
    assert await taken(worker) == 1


async def test_the_limit_of_a_deleted_job_holds_no_other_back_and_is_held_back_by_none(world: World) -> None:
    await submitted(world, "gone", 2, **limited(1, "1h"))
    worker = await world.worker()
    assert await taken(worker) == 1
    await delete_job(world.engine, "default", "gone")
    for _ in range(3):
        await submitted(world, "j", 2, **limited(100))
        assert await taken(worker) == 2, "they pass the one that waits for its own window"
        world.clock.advance(1300)
        worker.queue.renew()
    assert await taken(worker) == 1, "what others started does not count under its own limit"


async def test_of_several_limits_of_one_resource_all_hold(world: World) -> None:
    await submitted(world, "j", 4, **limited(3, "1m"))
    await submitted(world, "k", 1, **limited(2, "1h"))
    worker = await world.worker()
    assert await taken(worker) == 2
    world.clock.advance(60)
    assert await taken(worker) == 0
    await delete_job(world.engine, "default", "k")
    assert await taken(worker) == 2
    world.clock.advance(3540)
    assert await taken(worker) == 1, "its own limit holds for what the deleted job left"


async def test_a_large_one_is_not_starved_by_small_ones_of_another_queue(world: World) -> None:
    rates = limited(4)["rateLimits"]
    small = await world.define("small", steps={"a": {}}, rateLimits=rates)
    large = {"a": {"rateLimit": {"resource": "api", "units": 4}}}
    await world.submit(small)
    first, second = await world.worker("first", queues=("default",)), await world.worker("second", queues=("big",))
    assert await taken(first) == 1
    await submitted(world, "large", 1, steps=large, rateLimits=rates, queue="big")
    world.clock.advance(1)
    for _ in range(3):
        await world.submit(small)
        assert await taken(second) == 0
        assert await taken(first) == 0, "the large one stands before it"
        world.clock.advance(10)
    world.clock.advance(30)
    assert await taken(first) == 0, "it would fit, and a worker with a free slot serves it"
    assert await taken(second) == 1
    world.clock.advance(60)
    await submitted(world, "large", 1, steps=large, rateLimits=rates, queue="big")
    await second.queue.leave(())
    assert await taken(first) == 3


async def test_a_line_waits_for_nobody_whom_nobody_serves(world: World) -> None:
    rates = limited(2)["rateLimits"]
    steps = {"a": {"rateLimit": {"resource": "api", "units": 2}}}
    await submitted(world, "unserved", 1, steps=steps, rateLimits=rates, requires={"pool": "nowhere"})
    await submitted(world, "j", 2, steps={"a": {}}, rateLimits=rates)
    worker = await world.worker()
    assert len(await worker.take(1)) == 1
    assert await taken(worker) == 1


@pytest.mark.parametrize("seconds", [-86_400, -10, 10, 86_400, 10_000_000])
async def test_setting_the_clock_lets_nothing_in_early_and_nothing_late(make_world: MakeWorld, seconds: float) -> None:
    world = make_world()  # its history goes back in time with its clock
    await submitted(world, "j", 4, **limited(1))
    worker = await world.worker()
    assert len(await worker.take()) == 1
    world.clock.set_by(seconds)
    assert await worker.take() == []
    world.clock.advance(59)
    assert await worker.take() == []
    world.clock.advance(1)
    assert len(await worker.take()) == 1
    world.clock.set_by(-seconds)
    world.clock.advance(59)
    assert await worker.take() == []
    world.clock.advance(1)
    assert len(await worker.take()) == 1
    await world.close()


async def test_what_was_taken_is_known_after_the_end_of_the_owner_and_of_the_machine(tmp_path: Path) -> None:
    kept_world = World(str(tmp_path / "windlass.db"), tmp_path)
    await submitted(kept_world, "j", 9, **limited(1, "1h"))
    assert await taken(await kept_world.worker("w0")) == 1
    await kept_world.reopen()
    worker = await kept_world.worker("w1")
    kept_world.clock.set_by(7200)
    assert await taken(worker) == 0
    kept_world.clock.advance(3000)
    kept_world.clock.reboot()
    await kept_world.reopen()
    worker = await kept_world.worker("w2")
    assert await taken(worker) == 0, "the clock was set before the boot, and is still"
    kept_world.clock.advance(600)
    assert await taken(worker) == 1
    kept_world.clock.reboot()
    kept_world.clock.set_by(-1_000_000_000)
    await kept_world.reopen()
    worker = await kept_world.worker("w3")
    assert await taken(worker) == 0
    kept_world.clock.advance(3600)
    assert await taken(worker) == 1, "a clock that begins anew holds nothing back for longer than a window"
    await kept_world.close()


async def test_a_start_that_is_undone_takes_nothing(world: World) -> None:
    await submitted(world, "j", 1, **limited(1))
    worker = await world.worker()

    def undone(tx: Any) -> None:
        exchange = worker.queue.exchange_within(tx, worker.queue.worker_id, (), 1)
        assert exchange is not None
        assert len(exchange.claims) == 1
        again = worker.queue.exchange_within(tx, worker.queue.worker_id, (), 1)
        assert again is not None
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        await world.engine.store.run(undone)
    world.clock.advance(1)
    assert await taken(worker) == 1


async def test_a_thousand_starts_are_kept_in_few_rows(world: World) -> None:
    await submitted(world, "j", 300, **limited(200, "1m"))
    worker = await world.worker(slots=1)
    for _ in range(200):
        assert await taken(worker) == 1
        world.clock.advance(0.001)
    assert await taken(worker) == 0

    def rows(tx: Any) -> int:
        return int(tx.cursor.execute("SELECT count(*) FROM rate_starts").fetchone()[0])

    assert await world.engine.store.read(rows) < 10
    world.clock.advance(60)
    assert await taken(worker) == 1


@pytest.mark.promise("W03")
async def test_who_waits_is_told_of_how_many_how_many_and_when_next(world: World) -> None:
    runs = await submitted(world, "j", 2, **limited(1))
    worker = await world.worker()
    assert await taken(worker) == 1
    explained = await why(world.engine, runs[1], "a")
    (cause,) = explained["because"]
    at = to_text(world.clock.now() + 60 * SECOND)
    assert (cause["kind"], cause["resource"], cause["used"], cause["limit"], cause["window"], cause["nextAt"]) == (
        "rate_limit",
        "api",
        1,
        1,
        60,
        at,
    )
    assert cause["message"] == f'It takes "api", of which 1 of 1 were taken within 1m; there is room again at {at}.'
    (queue,) = await world.engine.store.read(list_queues, world.engine)
    shape = {"project": "default", "resource": "api", "limit": 1, "window": 60, "used": 1, "nextAt": at}
    assert queue["rateLimits"] == [shape]
    world.clock.advance(60)
    (queue,) = await world.engine.store.read(list_queues, world.engine)
    assert queue["rateLimits"] == [shape | {"used": 0, "nextAt": None}]


async def test_other_limits_of_a_resource_are_warned_of_and_gone_ones_are_not(world: World) -> None:
    def texts(*documents: tuple[str, dict[str, Any]]) -> list[ManifestText]:
        return [ManifestText(f"{alias}.yaml", manifest(alias, **fields).encode()) for alias, fields in documents]

    both = texts(("j", limited(3)), ("k", limited(2, "1h")))
    told = (
        'k.yaml:1:1: warning: "api" is limited to 2 in 1h here and to 3 in 1m in job "j": both limits hold for both '
        "jobs"
    )
    assert (await apply(world.engine, both, ApplyOptions())).warnings == (told,)
    assert (await apply(world.engine, both[1:], ApplyOptions(dry_run=True))).warnings == (told,)
    assert (await apply(world.engine, both[1:], ApplyOptions())).warnings == (told,)
    await delete_job(world.engine, "default", "j")
    assert (await apply(world.engine, both[1:], ApplyOptions())).warnings == ()
    assert (await apply(world.engine, both[:1], ApplyOptions())).warnings != (), "it lives again, with its limit"
