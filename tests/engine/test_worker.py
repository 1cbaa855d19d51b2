"""The worker's loop: slots, reports, stops, draining, and a queue that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.oracle.world import World
from windlass.engine.claim import Claim, Exchange
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.queue import LeaseLost
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.worker import StopSignal, Worker
from windlass.errors import Unavailable
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome
from windlass.store.logs import NewChunk

_DEADLINE = 20


@dataclass
class ScriptedQueue:
    """A queue in the hands of a test; everything that the worker says is written down."""

    claims: list[Claim] = field(default_factory=list)
    stops: list[tuple[int, int, str]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    capacities: list[int] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    away: bool = False
    left: bool = False
    told_ending: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    #: What an exchange waits for before it answers.
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Answer at once unless a test closes the gate."""
        self.gate.set()

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        async with self.changed:
            self.capacities.append(capacity)
            self.changed.notify_all()
        await self.gate.wait()
        if self.away:
            raise Unavailable("away")
        if self.trouble:
            raise self.trouble.pop(0)
        given, self.claims = self.claims[:capacity], self.claims[capacity:]
        async with self.changed:
            self.reports.extend(reports)
            self.changed.notify_all()
        return Exchange(given, self.stops)

    async def start(self, claim: Claim) -> bool:
        return claim.started_at is not None

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        return len(chunks)

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        del claim, percent, message

    async def ending(self) -> None:
        self.told_ending = True

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        del unstarted
        if self.away:
            raise Unavailable("away")
        self.left = True

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_DEADLINE), self.changed:
            await self.changed.wait_for(condition)


@dataclass
class ScriptedRunner:
    """Runs attempts that last until a test ends them, or until they are asked to stop."""

    running: dict[int, tuple[Claim, StopSignal]] = field(default_factory=dict)
    ends: dict[int, asyncio.Future[Outcome | None]] = field(default_factory=dict)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    stubborn: bool = False

    async def run(self, claim: Claim, stop: StopSignal) -> Report | None:
        self.running[claim.task] = (claim, stop)
        end = self.ends[claim.task] = asyncio.get_running_loop().create_future()
        self.started.set()
        stopped = asyncio.create_task(stop.event.wait())
        await asyncio.wait([end] if self.stubborn else [end, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        del self.running[claim.task]
        outcome = end.result() if end.done() else Cancelled()
        return None if outcome is None else report_on(claim, Ended(outcome), worker="w", finished_at=0)

    async def until_running(self, count: int) -> None:
        async with asyncio.timeout(_DEADLINE):
            while len(self.running) < count:
                self.started.clear()
                await self.started.wait()


@dataclass
class Bench:
    """A worker with two slots between a queue and a runner."""

    queue: ScriptedQueue
    runner: ScriptedRunner
    worker: Worker


@pytest.fixture
async def claims(world: World) -> list[Claim]:
    """Return six real claims."""
    job = await world.define(steps={"m": {"matrix": {"n": list(range(6))}}})
    await world.submit(job)
    return await (await world.worker()).take()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Give a started worker; it is drained at the end."""
    queue, runner = ScriptedQueue(), ScriptedRunner()
    heartbeat = Heartbeat(lambda: True, interval=60, on_lost=lambda: None)
    worker = Worker(queue, runner, heartbeat, slots=2)
    await worker.start()
    yield Bench(queue, runner, worker)
    queue.gate.set()
    runner.stubborn = False
    for end in runner.ends.values():
        if not end.done():
            end.set_result(None)
    async with asyncio.timeout(_DEADLINE):
        await worker.drain(0)


def give(bench: Bench, claims: list[Claim]) -> None:
    bench.queue.claims.extend(claims)
    bench.worker.hint()


async def test_it_takes_as_much_as_it_has_slots_and_more_when_one_is_free(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims)
    await bench.runner.until_running(2)
    assert (set(bench.runner.running), bench.worker.busy) == ({0, 1}, 2)
    bench.runner.ends[0].set_result(Completed({"n": 1}))
    await bench.queue.until(lambda: bool(bench.queue.reports))
    await bench.runner.until_running(2)
    assert set(bench.runner.running) == {1, 2}
    assert max(bench.queue.capacities) == 2
    assert [(report.task, report.outcome) for report in bench.queue.reports] == [(0, Completed({"n": 1}))]


async def test_a_worker_with_full_slots_asks_for_nothing_until_one_ends(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims)
    await bench.runner.until_running(2)
    asked = len(bench.queue.capacities)
    bench.runner.ends[0].set_result(Completed())
    await bench.queue.until(lambda: bool(bench.queue.reports))
    assert bench.queue.capacities[asked:] == [1]


async def test_while_one_exchange_is_written_ends_are_handed_in_with_the_next(
    bench: Bench, claims: list[Claim]
) -> None:
    give(bench, claims)
    await bench.runner.until_running(2)
    bench.queue.gate.clear()
    bench.runner.ends[0].set_result(Completed())
    await bench.queue.until(lambda: bench.queue.capacities[-1] == 1)
    bench.runner.ends[1].set_result(Completed())
    before = len(bench.queue.capacities)
    await bench.queue.until(lambda: len(bench.queue.capacities) > before)
    assert bench.queue.capacities[-2:] == [1, 1]
    bench.queue.gate.set()
    await bench.runner.until_running(2)
    assert set(bench.runner.running) == {2, 3}
    assert [report.task for report in bench.queue.reports] == [0, 1]


async def test_an_attempt_that_never_started_is_not_reported(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:2])
    await bench.runner.until_running(2)
    bench.runner.ends[0].set_result(None)
    bench.runner.ends[1].set_result(Completed())
    await bench.queue.until(lambda: bool(bench.queue.reports))
    assert [report.task for report in bench.queue.reports] == [1]


async def test_it_stops_what_is_to_stop_and_nothing_else(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:2])
    await bench.runner.until_running(2)
    other = bench.runner.running[1][1]
    bench.queue.stops = [(claims[0].queue_id, claims[0].fence, "cancel"), (99, 1, "cancel")]
    bench.worker.hint()
    await bench.queue.until(lambda: bool(bench.queue.reports))
    assert bench.queue.reports[0].outcome == Cancelled()
    assert not other.event.is_set()


@pytest.mark.parametrize("trouble", [Unavailable("away"), ValueError("a defect"), KeyError("another")])
async def test_reports_survive_a_queue_that_is_away(bench: Bench, claims: list[Claim], trouble: Exception) -> None:
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.queue.trouble = [trouble, Unavailable("still away")]
    bench.runner.ends[0].set_result(Completed())
    await bench.queue.until(lambda: bool(bench.queue.reports))
    assert [report.task for report in bench.queue.reports] == [0]
    give(bench, claims[1:2])
    await bench.runner.until_running(1)


async def test_draining_waits_for_what_runs_and_takes_nothing_more(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims)
    await bench.runner.until_running(2)
    draining = asyncio.create_task(bench.worker.drain(_DEADLINE))
    await bench.queue.until(lambda: bench.queue.capacities[-1] == 0)
    for task in (0, 1):
        bench.runner.ends[task].set_result(Completed())
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert [(report.task, report.outcome) for report in bench.queue.reports] == [(0, Completed()), (1, Completed())]
    assert (bench.queue.left, len(bench.queue.claims), bench.worker.busy) == (True, 4, 0)
    assert bench.queue.told_ending


async def test_after_the_grace_what_runs_is_stopped(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    stop = bench.runner.running[0][1]
    async with asyncio.timeout(_DEADLINE):
        await bench.worker.drain(0)
    assert stop.why == "drain"
    assert [report.outcome for report in bench.queue.reports] == [Cancelled()]


async def test_a_second_drain_does_not_wait(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    draining = asyncio.create_task(bench.worker.drain(3600))
    await bench.queue.until(lambda: bench.queue.capacities[-1] == 0)
    await bench.worker.drain(3600)
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert bench.queue.left


async def test_tasks_that_arrive_while_it_begins_to_drain_are_not_forgotten(bench: Bench, claims: list[Claim]) -> None:
    await bench.queue.until(lambda: bool(bench.queue.capacities))
    bench.queue.gate.clear()
    bench.queue.claims = claims[:2]
    seen = len(bench.queue.capacities)
    bench.worker.hint()
    await bench.queue.until(lambda: len(bench.queue.capacities) > seen)
    draining = asyncio.create_task(bench.worker.drain(0))
    await asyncio.wait([draining], timeout=0)
    bench.queue.gate.set()
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert [report.outcome for report in bench.queue.reports] == [Cancelled(), Cancelled()]


async def test_a_cancel_reaches_an_attempt_that_has_its_grace(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    stop = bench.runner.running[0][1]
    draining = asyncio.create_task(bench.worker.drain(3600))
    await bench.queue.until(lambda: bench.queue.capacities[-1] == 0)
    bench.queue.stops = [(claims[0].queue_id, claims[0].fence, "cancel")]
    bench.worker.hint()
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert stop.why == "cancel"


async def test_it_may_be_drained_without_having_started() -> None:
    queue = ScriptedQueue()
    worker = Worker(queue, ScriptedRunner(), Heartbeat(lambda: True, interval=1, on_lost=lambda: None), slots=1)
    async with asyncio.timeout(_DEADLINE):
        await worker.drain(1)
    assert queue.left


async def test_the_first_reason_to_stop_stays() -> None:
    stop = StopSignal()
    stop.set("cancel")
    stop.set("drain")
    assert (stop.why, stop.event.is_set()) == ("cancel", True)


def leaving_bench(*, parting: float = 3600, last: float = 3600) -> Bench:
    queue, runner = ScriptedQueue(), ScriptedRunner()
    heartbeat = Heartbeat(lambda: True, interval=60, on_lost=lambda: None)
    return Bench(queue, runner, Worker(queue, runner, heartbeat, slots=2, parting=parting, last=last))


async def test_a_store_that_stays_away_does_not_hold_who_leaves(claims: list[Claim]) -> None:
    bench = leaving_bench(parting=0)
    await bench.worker.start()
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.queue.away = True
    async with asyncio.timeout(_DEADLINE):
        await bench.worker.drain(0)
    assert (bench.queue.reports, bench.queue.left, bench.worker.busy) == ([], False, 0)


async def test_ends_are_kept_for_a_store_that_comes_back(claims: list[Claim]) -> None:
    bench = leaving_bench()
    await bench.worker.start()
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.queue.trouble = [Unavailable("away")]
    async with asyncio.timeout(_DEADLINE):
        await bench.worker.drain(0)
    assert ([report.outcome for report in bench.queue.reports], bench.queue.left) == ([Cancelled()], True)


async def test_a_second_drain_waits_for_no_store(claims: list[Claim]) -> None:
    bench = leaving_bench()
    await bench.worker.start()
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.queue.away = True
    draining = asyncio.create_task(bench.worker.drain(0))
    seen = len(bench.queue.capacities)
    await bench.queue.until(lambda: len(bench.queue.capacities) > seen)
    assert not draining.done()
    await bench.worker.drain(0)
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert not bench.queue.left


async def test_a_second_drain_leaves_what_hangs_as_it_is(claims: list[Claim]) -> None:
    bench = leaving_bench(last=0)
    bench.runner.stubborn = True
    await bench.worker.start()
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.queue.gate.clear()
    draining = asyncio.create_task(bench.worker.drain(0))
    await asyncio.wait([draining], timeout=0)
    await bench.worker.drain(0)
    async with asyncio.timeout(_DEADLINE):
        await draining
    assert not bench.queue.left


async def test_a_store_that_is_away_at_the_good_bye_is_no_error(claims: list[Claim]) -> None:
    del claims
    bench = leaving_bench()
    await bench.worker.start()
    await bench.queue.until(lambda: bool(bench.queue.capacities))
    bench.queue.away = True
    async with asyncio.timeout(_DEADLINE):
        await bench.worker.drain(0)
    assert not bench.queue.left


async def test_a_worker_that_was_found_gone_stops_all_before_it_takes_more(bench: Bench, claims: list[Claim]) -> None:
    bench.runner.stubborn = True
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    stop = bench.runner.running[0][1]
    bench.queue.trouble = [LeaseLost()]
    give(bench, claims[1:3])
    await bench.queue.until(lambda: not bench.queue.trouble)
    async with asyncio.timeout(_DEADLINE):
        await stop.event.wait()
    assert stop.why == "lost"
    seen = len(bench.queue.capacities)
    bench.worker.hint()
    await bench.queue.until(lambda: len(bench.queue.capacities) > seen)
    assert (bench.queue.capacities[-1], set(bench.runner.running)) == (0, {0})
    bench.runner.stubborn = False
    bench.runner.ends[0].set_result(Cancelled())
    await bench.runner.until_running(2)
    assert set(bench.runner.running) == {1, 2}


@pytest.mark.parametrize("answers", [[False], [Unavailable("away")], [ValueError("a defect")]])
async def test_the_heart_beats_on_whatever_it_hears(answers: list[Any]) -> None:
    loop, beats, lost = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    said = [*answers, True]

    def renew() -> bool:
        if not said:
            loop.call_soon_threadsafe(beats.set)
            return True
        answer = said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    heartbeat = Heartbeat(renew, interval=0.001, on_lost=lambda: loop.call_soon_threadsafe(lost.set))
    heartbeat.start()
    heartbeat.start()
    async with asyncio.timeout(_DEADLINE):
        await beats.wait()
    heartbeat.stop()
    heartbeat.stop()
    assert lost.is_set() is (answers == [False])


async def test_what_may_start_elsewhere_is_stopped_before_the_lease_ends(world: World) -> None:
    job = await world.define(steps={"again": {"onWorkerLost": "retry"}, "once": {"dependsOn": []}})
    await world.submit(job)
    joined = await world.worker()
    queue, runner, now = ScriptedQueue(), ScriptedRunner(), [100.0]
    answers: list[Exception | None] = []

    def renew() -> bool:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return True

    heartbeat = Heartbeat(renew, interval=3600, on_lost=lambda: None, lease=10.0, clock=lambda: now[0])
    worker = Worker(queue, runner, heartbeat, slots=2)
    queue.claims = await joined.take()
    await worker.start()
    await runner.until_running(2)
    signals = {claim.step.name: stop for claim, stop in runner.running.values()}

    async def beat(at: float, answer: Exception | None) -> dict[str, str | None]:
        now[0] = at
        answers.append(answer)
        heartbeat.beat()
        seen = len(queue.capacities)
        worker.hint()
        await queue.until(lambda: len(queue.capacities) > seen)
        return {name: stop.why for name, stop in signals.items()}

    untouched = {"again": None, "once": None}
    assert await beat(104.0, Unavailable("away")) == untouched
    assert await beat(104.5, None) == untouched
    assert await beat(109.0, ValueError("a defect")) == untouched
    assert await beat(109.6, Unavailable("away")) == {"again": "lease", "once": None}
    assert await beat(140.0, None) == {"again": "lease", "once": None}
    runner.ends[next(task for task, one in runner.running.items() if one[0].step.name == "once")].set_result(
        Completed()
    )
    async with asyncio.timeout(_DEADLINE):
        await worker.drain(0)


async def test_a_store_that_is_only_slow_costs_nothing() -> None:
    now = [0.0]
    heartbeat = Heartbeat(lambda: True, interval=3600, on_lost=lambda: None, lease=10.0, clock=lambda: now[0])
    now[0] = 1000.0  # as after the machine has slept
    assert not heartbeat.expiring
    heartbeat.beat()
    assert not heartbeat.expiring
    nobody = Heartbeat(lambda: 1 / 0 > 0, interval=3600, on_lost=lambda: None, clock=lambda: now[0])
    nobody.beat()
    now[0] = 9000.0
    assert not nobody.expiring


async def test_a_store_that_others_reach_and_that_is_silent_is_out_of_reach_in_time() -> None:
    now = [0.0]
    heartbeat = Heartbeat(
        lambda: True, interval=3600, on_lost=lambda: None, lease=9.0, shared=True, clock=lambda: now[0]
    )
    heartbeat.beat()
    now[0] = 5.9  # an answer that takes seconds is one
    assert not heartbeat.expiring
    now[0] = 6.1
    assert heartbeat.expiring
    heartbeat.beat()
    assert not heartbeat.expiring


async def test_a_failed_attempt_is_reported_like_any_other(bench: Bench, claims: list[Claim]) -> None:
    give(bench, claims[:1])
    await bench.runner.until_running(1)
    bench.runner.ends[0].set_result(Failed("exit", "no", 1))
    await bench.queue.until(lambda: bool(bench.queue.reports))
    assert bench.queue.reports[0].outcome == Failed("exit", "no", 1)
