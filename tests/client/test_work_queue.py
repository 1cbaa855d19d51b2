"""The queue over HTTP while requests and answers are lost: nothing starts twice, and no end is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.wire import Fate, WiredQueue, wired_queue
from tests.oracle.world import World
from windlass.engine.claim import Claim, Exchange
from windlass.engine.queue import LeaseLost, WorkerFace
from windlass.engine.remote.work import RemoteWork
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.secret import Secrets
from windlass.errors import ServerGone, UserError
from windlass.model.outcome import Completed, Failed

RUNS = 40
SEEDS = range(12)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = World(str(tmp_path / "windlass.db"), tmp_path)
    yield found
    await found.assert_sound()
    await found.close()


class Clerk:
    """A worker as the loop of a worker is: it keeps reports until they are taken, and begins what it is given."""

    def __init__(self, world: World, name: str) -> None:
        """Prepare; `join` comes next."""
        self.world = world
        self.name = name
        self.queue: Any = None
        self.active: dict[tuple[int, int], Claim] = {}
        self.reports: list[Report] = []
        #: Every claim that was begun, as often as it was.
        self.begun: list[tuple[bytes, int, int]] = []

    async def join(self, fates: Iterator[Fate] | None = None) -> WiredQueue:
        """Join, with what becomes of each exchange."""
        face = WorkerFace(name=self.name, host="h", pid=1, slots=5)
        instance = self.name.encode().hex().rjust(32, "0")
        world = self.world
        self.queue = await wired_queue(world.engine, face, world.home, world.threads, instance=instance, fates=fates)
        self.queue.held = lambda: [*self.active, *((one.queue_id, one.fence) for one in self.reports)]
        wired: WiredQueue = self.queue
        return wired

    async def exchange(self, capacity: int) -> Exchange | None:
        """Hand in what there is and take more; None where nobody knows what came of it."""
        reports, self.reports = self.reports, []
        try:
            found: Exchange = await self.queue.exchange(reports, capacity)
        except ServerGone:
            self.reports = reports + self.reports
            return None
        for claim in found.claims:
            key = (claim.queue_id, claim.fence)
            assert key not in self.active
            self.active[key] = claim
            self.begun.append((claim.run_id, claim.task, claim.attempt))
        return found

    def end(self, claim: Claim, outcome: Any = None) -> None:
        """End one attempt."""
        del self.active[claim.queue_id, claim.fence]
        ended = Ended(outcome or Completed({"n": 1}))
        self.reports.append(report_on(claim, ended, worker=self.name, finished_at=self.world.clock.now()))


def fates(seed: int) -> Iterator[Fate]:
    """Yield what becomes of exchanges: half of them go wrong in one way or another."""
    chance = random.Random(seed)  # noqa: S311 - a test's own chance
    for _ in range(400):
        yield chance.choice(("fine", "fine", "fine", "answer", "answer", "request", "twice"))


@pytest.mark.promise("H13")
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_lost_on_the_way_each_task_starts_once_and_every_end_arrives(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - as above
    single = await world.define("single", steps={"a": {}})
    double = await world.define("double", steps={"a": {}, "b": {"dependsOn": ["a"]}})
    runs = [await world.submit(chance.choice((single, double))) for _ in range(RUNS)]
    clerks = [Clerk(world, "one"), Clerk(world, "two")]
    for number, clerk in enumerate(clerks):
        await clerk.join(fates(seed * 10 + number))
    async with asyncio.timeout(60):
        while {(await world.run(run))["state"] for run in runs} != {"completed"}:
            for clerk in clerks:
                await clerk.exchange(5 - len(clerk.active))
                for claim in list(clerk.active.values()):
                    if chance.random() < 0.7:
                        clerk.end(claim)
    starts = Counter(key for clerk in clerks for key in clerk.begun)
    assert set(starts.values()) == {1}
    assert {attempt for _, _, attempt in starts} == {1}
    told = [event.type for event in await world.events()]
    assert "task.late" not in told
    assert told.count("task.started") == told.count("task.completed") == len(starts)


async def test_a_claim_that_no_answer_brought_is_brought_by_the_next_one(world: World) -> None:
    run = await world.submit(await world.define(steps={"a": {}}))
    clerk = Clerk(world, "one")
    await clerk.join(iter(["answer"]))
    assert await clerk.exchange(5) is None
    assert (await world.run(run))["state"] == "running"
    assert await clerk.exchange(0) is not None
    (claim,) = clerk.active.values()
    assert claim.attempt == 1
    assert claim.started_at is not None
    clerk.end(claim)
    assert await clerk.exchange(0) is not None
    assert (await world.run(run))["state"] == "completed"


async def test_an_end_is_told_once_although_its_answer_was_lost_and_others_came_meanwhile(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job) for _ in range(3)]
    clerk = Clerk(world, "one")
    await clerk.join(iter(["fine", "answer"]))
    await clerk.exchange(3)
    first, second, third = clerk.active.values()
    clerk.end(first)
    assert await clerk.exchange(0) is None
    clerk.end(second)
    clerk.end(third)
    assert await clerk.exchange(0) is not None
    assert [(await world.run(run))["state"] for run in runs] == ["completed"] * 3
    assert "task.late" not in [event.type for event in await world.events()]


async def test_a_worker_that_was_found_gone_hears_so_even_if_the_answer_that_said_so_was_lost(world: World) -> None:
    run = await world.submit(await world.define(steps={"a": {}}))
    clerk = Clerk(world, "one")
    wired = await clerk.join(iter(["fine", "answer"]))
    await clerk.exchange(1)
    before = wired.worker_id
    await world.lose()
    assert await clerk.exchange(1) is None
    with pytest.raises(LeaseLost):
        await clerk.exchange(1)
    clerk.active.clear()
    assert wired.worker_id != before
    assert (await world.run(run))["reason"] == "worker_lost"


async def test_a_worker_goes_on_with_the_next_server_of_the_same_store(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job) for _ in range(2)]
    clerk = Clerk(world, "one")
    await clerk.join(iter(["fine", "answer"]))
    await clerk.exchange(1)
    (first,) = clerk.active.values()
    clerk.end(first)
    assert await clerk.exchange(1) is None  # done, and its answer went with the server
    await world.reopen()
    world.engine.remote = RemoteWork(world.engine, Secrets({}), world.home / "artifacts")
    await world.lose(8)
    assert await clerk.exchange(1) is not None
    (second,) = clerk.active.values()
    clerk.end(second)
    await clerk.exchange(0)
    assert [(await world.run(run))["state"] for run in runs] == ["completed"] * 2
    assert [attempt for run in runs for attempt in await world.attempts(run)] == [("a", 1, "completed")] * 2


async def test_an_end_that_the_server_cannot_take_fails_its_task_and_no_other(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job) for _ in range(2)]
    clerk = Clerk(world, "one")
    await clerk.join()
    await clerk.exchange(2)
    first, second = clerk.active.values()
    clerk.end(first, Completed({"n": 1}, exit_code="none"))  # type: ignore[arg-type] - what a step type may do
    clerk.end(second, Failed("exit", "no", 3))
    await clerk.exchange(0)
    assert [(await world.run(run))["state"] for run in runs] == ["completed", "failed"]


async def test_what_a_worker_forgot_is_settled_when_it_says_what_it_knows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await world.submit(await world.define(steps={"a": {}}))
    clerk = Clerk(world, "one")
    await clerk.join()
    await clerk.exchange(1)
    clerk.active.clear()
    await clerk.exchange(0)
    assert (await world.run(run))["state"] == "running"
    monkeypatch.setattr("windlass.client.work.queue._INVENTORY", 0.0)
    await clerk.exchange(0)
    assert (await world.run(run))["reason"] == "worker_lost"


async def test_a_worker_gets_secrets_of_nothing_that_it_does_not_hold(world: World) -> None:
    await world.submit(await world.define(steps={"a": {}}))
    clerk, other = Clerk(world, "one"), Clerk(world, "two")
    await clerk.join()
    await other.join()
    await clerk.exchange(1)
    (claim,) = clerk.active.values()
    with pytest.raises(UserError, match="does not hold that task"):
        await other.queue.secrets(claim, ["secret://env/TOKEN"])
    with pytest.raises(UserError, match="names no secret"):
        await clerk.queue.secrets(claim, ["secret://env/TOKEN"])
    clerk.end(claim)
    await clerk.exchange(0)


async def test_a_job_that_a_worker_cannot_read_fails_its_task_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange, plain = await world.define("strange", steps={"a": {}}), await world.define("plain", steps={"a": {}})
    runs = [await world.submit(strange), await world.submit(plain)]
    clerk = Clerk(world, "one")
    wired = await clerk.join()
    compile_ = wired._jobs.compile

    def refuse(**said: Any) -> Any:
        if said["alias"] == "strange":
            raise ValueError("of a later version")
        return compile_(**said)

    monkeypatch.setattr(wired._jobs, "compile", refuse)
    await clerk.exchange(5)
    (claim,) = clerk.active.values()
    clerk.end(claim)
    await clerk.exchange(0)
    found = [await world.run(run) for run in runs]
    assert [run["state"] for run in found] == ["failed", "completed"]
    assert "of a later version" in found[0]["error"]["message"]


async def test_a_task_of_a_job_that_another_server_told_of_is_asked_for_again(world: World) -> None:
    job = await world.define(steps={"a": {}})
    runs = [await world.submit(job) for _ in range(2)]
    clerk = Clerk(world, "one")
    wired = await clerk.join()
    await clerk.exchange(1)
    wired._known.clear()
    assert await clerk.exchange(1) is None
    assert await clerk.exchange(0) is not None
    for claim in list(clerk.active.values()):
        clerk.end(claim)
    await clerk.exchange(0)
    assert [(await world.run(run))["state"] for run in runs] == ["completed"] * 2
    assert [attempt for run in runs for attempt in await world.attempts(run)] == [("a", 1, "completed")] * 2


async def test_outputs_may_be_whatever_the_store_takes(world: World) -> None:
    run = await world.submit(await world.define(steps={"a": {}}))
    clerk = Clerk(world, "one")
    await clerk.join()
    await clerk.exchange(1)
    (claim,) = clerk.active.values()
    clerk.end(claim, Completed({"at": datetime(2026, 1, 2, tzinfo=UTC), "big": 2**60, "text": "\u2028 \x00"}))
    await clerk.exchange(0)
    found = await world.run(run)
    assert found["state"] == "completed", found
    assert found["outputs"]["at"] == "2026-01-02T00:00:00+00:00"
