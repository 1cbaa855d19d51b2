"""Two servers on one store: what one of them changes the other sees, and what both do at once happens once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.fixtures.pair import Pair, another
from tests.oracle.world import ScriptedWorker, manifest
from windlass.clock import SECOND, Clocks, micros
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.claim import Claim
from windlass.engine.dispatching import limit_queue, pause_queue, resume_queue, set_maintenance
from windlass.engine.ends import RunEnds
from windlass.engine.engine import Engine
from windlass.engine.executing import execute, serving
from windlass.engine.manifests import ManifestText
from windlass.engine.moving import moving_runs
from windlass.engine.queue import WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.sending import send_event
from windlass.engine.services.alerter import Alerter
from windlass.engine.services.doorkeeper import Doorkeeper
from windlass.engine.services.listener import Listener
from windlass.engine.services.reconciler import Reconciler
from windlass.engine.services.remover import Remover
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.services.tallier import Tallier
from windlass.engine.services.timer import Timer
from windlass.engine.starting import Start, start_run
from windlass.engine.statistics import Asked, statistics
from windlass.engine.submission import Submission
from windlass.engine.telemetry.duties import SpanDuty
from windlass.engine.telemetry.records import SpanRecord
from windlass.engine.watch import Watch
from windlass.engine.watching import events
from windlass.errors import Unavailable
from windlass.ids import parse_id
from windlass.model.outcome import Completed, Failed, Outcome, Waiting
from windlass.store.duties import held_duties
from windlass.store.event_cursor import newest_cursor
from windlass.store.transaction import Transaction

if TYPE_CHECKING:
    from windlass.engine.telemetry.spans import Spans

EXIT = Failed("exit", "it ended with exit code 1", 1)
PATIENCE = 60.0
LEASE = 15.0
INSTANTS = 1000


async def worker_of(
    pair: Pair, engine: Engine, name: str, *, slots: int = 100, queues: tuple[str, ...] = ("*",)
) -> ScriptedWorker:
    """Return a worker of one of the servers."""
    face = WorkerFace(name=name, host="host", pid=1, slots=slots, queues=queues)
    return ScriptedWorker(pair.world, name, slots, await StoreQueue.join(engine, face))


async def both(pair: Pair, make: Callable[[Engine], Any], turns: int = 1) -> None:
    """Let the same duty of both servers take its turns at the same time."""
    duties = [make(engine) for engine in pair.both]
    for _ in range(turns):
        await asyncio.gather(*(duty.turn() for duty in duties))


def timers(pair: Pair, turns: int = 1) -> Awaitable[None]:
    return both(pair, Timer, turns)


@pytest.mark.promise("C12")
async def test_two_timers_that_race_over_a_thousand_instants_make_each_once(pair: Pair) -> None:
    world, third = pair.world, INSTANTS // 3
    now = world.clock.now()
    later = await world.define("later", steps={"a": {}})
    retry = {"attempts": 2, "strategy": "fixed", "delay": 60, "jitter": False}
    again = await world.define("again", steps={"a": {"retry": retry}})
    waits = await world.define("waits", steps={"a": {}, "b": {}})
    scheduled = await world.submit_all(
        later, [Submission(scheduled_at=now + (1 + number % 50) * SECOND) for number in range(INSTANTS - 2 * third)]
    )
    retried = await world.submit_all(again, [Submission() for _ in range(third)])
    waiting = await world.submit_all(waits, [Submission() for _ in range(third)])
    here, there = await worker_of(pair, pair.here, "here"), await worker_of(pair, pair.there, "there")

    async def take_turns(worker: ScriptedWorker) -> list[bytes]:
        """Fail, or let wait, the first attempt of each; return whose steps were started."""
        started = []
        while claims := await worker.take(20):
            started += [claim.run_id for claim in claims]
            outcomes = {
                claim.queue_id: EXIT
                if claim.run_id in failing
                else Waiting(world.clock.now() + 70 * SECOND, "a while")
                if claim.run_id in pausing and claim.step.name == "a"
                else Completed()
                for claim in claims
            }
            await worker.exchange([worker.report(claim, outcomes[claim.queue_id]) for claim in claims])
        return started

    failing, pausing = set(retried), set(waiting)
    starts = Counter([*await take_turns(here), *await take_turns(there)])
    failing.clear()
    for _ in range(90):
        world.clock.advance(1)
        for _ in range(2):
            found = await asyncio.gather(timers(pair), take_turns(here), take_turns(there))
            starts.update(run for more in found[1:] for run in more)
    told = Counter((event.run_id, event.type, event.task) for event in await world.events())
    assert {count for (_, kind, _), count in told.items() if kind not in {"task.queued", "task.started"}} == {1}
    assert {starts[run] for run in scheduled} == {1}
    assert {starts[run] for run in retried} == {2}
    assert {starts[run] for run in waiting} == {2}  # both of its steps, each once
    ended = Counter(run for run, kind, _ in told if kind == "run.completed")
    assert ended == Counter([*scheduled, *retried, *waiting])
    assert sum(told[run, "task.queued", 0] for run in scheduled) == len(scheduled)
    assert sum(told[run, "task.started", 0] for run in retried) == 2 * len(retried)


DUTIES: dict[str, Callable[[Engine], Any]] = {
    "timer": Timer,
    "rescuer": Rescuer,
    "doorkeeper": Doorkeeper,
    "alerter": Alerter,
    "tallier": Tallier,
    "remover": Remover,
    "reconciler": Reconciler,
    "listener": Listener,
}


@pytest.mark.parametrize("name", DUTIES)
async def test_two_who_do_the_same_duty_at_once_do_no_harm(pair: Pair, name: str) -> None:
    world = pair.world
    steps: dict[str, Any] = {"a": {"onWorkerLost": "retry"}, "b": {}}
    busy = await world.define("busy", steps=steps, sla={"duration": 5}, concurrency={"limit": 2})
    runs = await world.submit_all(busy, [Submission() for _ in range(5)])
    told = await world.define("told", steps={"w": {"type": "wait", "config": {"event": {"type": "go"}}}})
    waits = await world.submit_all(told, [Submission() for _ in range(3)])
    doomed = await world.submit(await world.define("doomed", timeout=30, steps={"a": {}}), delay=10)

    def script(claim: Claim) -> Outcome:
        until = world.clock.now() + micros(3600)
        return Waiting(until, "for go", "failed", event={"type": "go"}) if claim.run_id in waits else Completed()

    await (await worker_of(pair, pair.here, "silent")).take(2)  # and nothing more is heard of it
    here = await worker_of(pair, pair.here, "here")
    await here.work(script, most=5)
    await send_event(pair.there, "default", "go", {})
    for seconds in (1, 6, 20, 100):
        world.clock.advance(seconds)
        await both(pair, DUTIES[name], 3)
    await world.lose()
    everybody = [[make(engine) for make in DUTIES.values()] for engine in pair.both]
    for _ in range(6):
        world.clock.advance(60)
        there = await worker_of(pair, pair.there, "there")
        await there.work(script)
        for together in zip(*everybody, strict=True):
            await asyncio.gather(*(duty.turn() for duty in together))
    states = Counter([(await world.run(run))["state"] for run in (*runs, *waits)])
    assert states == {"completed": 8}
    assert (await world.run(doomed))["state"] in {"completed", "timeout"}
    counted = Counter((event.run_id, event.type) for event in await world.events())
    assert {counted[run, "run.sla_missed"] for run in runs} == {1}
    assert {counted[run, "run.completed"] for run in (*runs, *waits)} == {1}
    assert [counted[run, "task.lost"] for run in runs].count(1) == 2
    figures = await statistics(pair.there, Asked())
    assert figures["counts"]["completed"] == 8 + counted[doomed, "run.completed"]


async def test_what_one_says_of_queues_holds_for_workers_of_the_other(pair: Pair) -> None:
    job = await pair.world.define(steps={"a": {}})
    await pair.world.submit(job)
    there = await worker_of(pair, pair.there, "there")
    await pause_queue(pair.here, "default", by="test")
    assert await there.take(1) == []
    await resume_queue(pair.here, "default")
    await set_maintenance(pair.here, on=True, by="test")
    assert await there.take(1) == []
    await set_maintenance(pair.here, on=False, by="test")
    assert len(await there.take(1)) == 1


@pytest.mark.promise("H04", part="limits")
async def test_limits_of_queues_and_pools_hold_for_the_workers_of_both_together(pair: Pair) -> None:
    world = pair.world
    pools = [another(one, settings=replace(one.settings, pool_limits={"default": 4})) for one in pair.both]
    workers = [await worker_of(pair, engine, f"w{number}") for number, engine in enumerate(pools)]
    await world.submit_all(await world.define(steps={"a": {}}), [Submission() for _ in range(40)])

    async def taken() -> list[Claim]:
        return list(itertools.chain.from_iterable(await asyncio.gather(*(one.take() for one in workers * 3))))

    first = await taken()
    assert len(first) == 4  # the pool's
    await limit_queue(pair.there, "default", 6)
    assert await taken() == []  # it is larger than the pool's
    await limit_queue(pair.there, "default", 2)
    for claim in first[:3]:
        holder = next(worker for worker in workers if (claim.queue_id, claim.fence) in worker.held())
        await holder.end(claim)
    assert len(await taken()) == 1
    await limit_queue(pair.here, "default", None)
    assert len(await taken()) == 2


async def test_a_new_revision_of_one_is_what_the_other_starts(pair: Pair) -> None:
    world = pair.world

    async def apply_here(engine: Engine, name: str) -> None:
        text = (
            f'{{"apiVersion": "v1", "kind": "Job", "metadata": {{"alias": "job"}}, '
            f'"steps": [{{"name": "{name}", "type": "fake"}}]}}'
        )
        await apply(engine, [ManifestText("job.yaml", text.encode())], ApplyOptions())

    async def started(engine: Engine) -> str:
        run, _ = await start_run(engine, Start(project="default", job="job"))
        run_id = parse_id(run["id"])
        assert run_id is not None
        world.accepted.append(run_id)
        worker = await worker_of(pair, engine, "w")
        return (await worker.work())[0]

    await apply_here(pair.here, "first")
    assert await started(pair.there) == "first"
    await apply_here(pair.there, "second")
    assert await started(pair.here) == "second"
    assert await started(pair.there) == "second"


async def test_figures_count_each_run_once_whoever_adds_them_up(pair: Pair) -> None:
    world = pair.world
    await world.submit_all(await world.define(steps={"a": {}}), [Submission() for _ in range(40)])
    await (await worker_of(pair, pair.here, "here")).work()
    found = await asyncio.gather(*(statistics(engine, Asked()) for engine in pair.both * 4))
    assert {one["counts"]["completed"] for one in found} == {40}


async def test_what_is_executed_with_one_home_is_run_by_who_has_it(pair: Pair, tmp_path: Path) -> None:
    elsewhere = another(pair.there, settings=replace(pair.there.settings, home=tmp_path / "elsewhere"))
    text = ManifestText("job.yaml", manifest("now", steps={"a": {}}).encode())
    await execute(pair.here, text, Start(project="default", job=""), folder="/srv", by="ann")
    await submit_usual(pair)
    other = await worker_of(pair, elsewhere, "other", queues=queues_of(elsewhere))
    here = await worker_of(pair, pair.here, "here", queues=queues_of(pair.here))
    taken = [claim.job.alias for claim in await other.take()]
    assert taken == ["usual"]
    assert [claim.job.alias for claim in await here.take()] == ["now"]


def queues_of(engine: Engine) -> tuple[str, ...]:
    """Return the queues that the worker of a server takes from."""
    return serving(engine, alone=False).settings.queues or ("*",)


async def submit_usual(pair: Pair) -> None:
    """Let a usual run wait, which anybody takes."""
    await pair.world.submit(await pair.world.define("usual", steps={"a": {}}))


@pytest.mark.promise("H14", part="prometheus")
async def test_what_several_servers_are_asked_for_adds_up_to_what_happened_once(pair: Pair) -> None:
    world, leader = pair.world, ["here"]
    pair.here.leads, pair.there.leads = lambda: leader == ["here"], lambda: leader == ["there"]
    for engine in pair.both:
        engine.metrics.begin(await engine.store.read(newest_cursor), engine.settings)
    job = await world.define(steps={"a": {}})
    worker = await worker_of(pair, pair.here, "here")

    async def told(count: int) -> list[tuple[float, float]]:
        """Let so many runs end and as many wait; return how many ended, and how many wait, as each server tells."""
        for _ in range(count):
            await world.submit(job)
            await worker.work()
        found = []
        for engine in pair.both:
            figures = await engine.metrics.collect(engine.store, engine.settings, leads=engine.leads())
            ended = figures.get("windlass_runs_ended_total", {}).values()
            workers = figures.get("windlass_workers", {}).values()
            assert "windlass_store_transaction_units" in figures  # what is of the process, each tells
            found.append((sum(cast("Any", ended)), sum(cast("Any", workers))))
        return found

    assert await told(3) == [(3, 1), (0, 0)]
    leader[0] = "there"
    assert await told(0) == [(0, 0), (0, 1)]  # what the other one has told nobody tells again
    assert await told(4) == [(0, 0), (4, 1)]
    leader[0] = "here"
    assert await told(0) == [(3, 1), (0, 0)]
    assert await told(2) == [(5, 1), (0, 0)]


async def test_who_waits_for_a_run_at_one_server_hears_of_its_end_at_the_other(pair: Pair) -> None:
    run_id = await pair.world.submit(await pair.world.define(steps={"a": {}}))
    ends = RunEnds(pair.there)
    seen: list[str] = []

    async def watch() -> None:
        async for event in events(pair.there, run_id=run_id):
            seen.append(event.type)
            if event.type == "run.completed":
                return

    waiting, watching = asyncio.create_task(ends.wait(run_id)), asyncio.create_task(watch())
    await (await worker_of(pair, pair.here, "here")).work()
    async with asyncio.timeout(PATIENCE):
        assert (await waiting).state == "completed"
        await watching
    await ends.close()
    assert seen[0] == "run.created"


async def test_a_cancel_at_one_server_reaches_the_worker_of_the_other(pair: Pair) -> None:
    run_id = await pair.world.submit(await pair.world.define(steps={"a": {}}))
    there = await worker_of(pair, pair.there, "there")
    claim = await there.take_one()
    await pair.world.cancel(run_id)
    assert (await there.exchange()).stops == [(claim.queue_id, claim.fence, "cancel")]
    await there.end(claim)


async def test_a_worker_of_one_server_is_lost_to_the_rescuer_of_the_other_after_a_lease(pair: Pair) -> None:
    run_id = await pair.world.submit(await pair.world.define(steps={"a": {}}))
    there = await worker_of(pair, pair.there, "there")
    await there.take_one()
    rescuer = Rescuer(pair.here, watch=Watch(micros(LEASE)))
    for _ in range(3):
        await rescuer.turn()
        assert (await pair.world.run(run_id))["state"] == "running"
        pair.world.clock.advance(LEASE / 3)
    await rescuer.turn()
    assert (await pair.world.run(run_id))["state"] == "running"  # heard of exactly a lease ago
    pair.world.clock.advance(LEASE / 3)
    await rescuer.turn()
    assert (await pair.world.run(run_id))["reason"] == "worker_lost"


async def test_after_the_store_was_away_every_worker_has_a_fresh_lease(pair: Pair) -> None:
    run_id = await pair.world.submit(await pair.world.define(steps={"a": {}}))
    there = await worker_of(pair, pair.there, "there")
    claim = await there.take_one()
    rescuer = Rescuer(pair.here, watch=Watch(micros(LEASE)))
    for _ in range(5):
        await rescuer.turn()
        pair.world.clock.advance(LEASE / 3)
        assert there.queue.renew()
    pair.world.clock.advance(100 * LEASE)  # nobody reaches it
    await rescuer.turn()
    pair.world.clock.advance(LEASE / 3)
    assert there.queue.renew()
    for _ in range(2):
        await rescuer.turn()
        pair.world.clock.advance(LEASE / 3)
    await rescuer.turn()
    await there.end(claim)
    assert (await pair.world.run(run_id))["state"] == "completed"


async def test_starts_are_counted_by_the_clock_of_the_store(pair: Pair) -> None:
    world = pair.world
    booted = itertools.count(1)

    def elsewhere() -> Clocks:
        """Return what the clocks of a machine say that boots all the time."""
        return Clocks(f"boot {next(booted)}", 5, 7)

    away = another(pair.there, clocks=elsewhere)
    rates = [{"resource": "api", "limit": 2, "window": "1m"}]
    job = await world.define(steps={"a": {}}, rateLimits=rates)
    await world.submit_all(job, [Submission() for _ in range(7)])
    workers = [await worker_of(pair, pair.here, "here"), await worker_of(pair, away, "away")]
    taken = []
    for _ in range(4):
        for _ in range(3):
            taken.append(sum([len(await worker.take(10)) for worker in workers]))
            world.clock.advance(20)
    assert taken == [2, 0, 0, 2, 0, 0, 2, 0, 0, 1, 0, 0]
    for worker in workers:
        await worker.queue.leave(())


async def test_one_moves_runs_at_a_time(pair: Pair) -> None:
    inside: list[str] = []
    begun, free = asyncio.Event(), asyncio.Event()

    async def move(engine: Engine, name: str) -> None:
        async with moving_runs(engine) as ours:
            assert ours
            inside.append(name)
            begun.set()
            assert len(inside) == 1
            await free.wait()
            inside.remove(name)

    first = asyncio.create_task(move(pair.here, "here"))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    second = asyncio.create_task(move(pair.there, "there"))
    async with moving_runs(pair.there, wait=False) as ours:
        assert not ours
    assert [duty.name for duty in await pair.here.store.read(held_duties)] == ["archive"]
    free.set()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(first, second)
    assert await pair.here.store.read(held_duties) == []


async def test_who_cannot_keep_the_right_to_move_runs_is_stopped(pair: Pair) -> None:
    settings = pair.here.settings
    quick = another(pair.here, settings=replace(settings, lease=0.3, heartbeat=0.1))

    def steal(tx: Transaction) -> None:
        tx.cursor.execute("UPDATE duties SET holder = 'another', until = until + 3600000000")

    async def move() -> None:
        async with moving_runs(quick):
            await pair.there.store.run(steal)
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable, match="The right to move runs could not be kept"):
            await move()
    assert [duty.holder for duty in await pair.here.store.read(held_duties)] == ["another"]


@dataclass
class Sent:
    """What was handed on of spans, in place of what sends them."""

    taken: list[str] = field(default_factory=list)

    def take(self, record: SpanRecord) -> None:
        self.taken.append(record.span_id)


async def test_spans_are_sent_by_one_of_them_and_none_is_left_out_when_another_takes_over(pair: Pair) -> None:
    world, leader = pair.world, ["here"]
    here, there = Sent(), Sent()
    pair.here.sends_spans, pair.there.sends_spans = lambda: leader == ["here"], lambda: leader == ["there"]
    duties = [SpanDuty(pair.here, cast("Spans", here)), SpanDuty(pair.there, cast("Spans", there))]
    for duty in duties:
        await duty.begin()
    job = await world.define(steps={"a": {}})
    worker = await worker_of(pair, pair.here, "here")

    async def end_one() -> None:
        await world.submit(job)
        await worker.work()

    for _ in range(12):
        await end_one()
        for duty in duties:
            await duty.turn()
    assert (len(here.taken), len(set(here.taken)), there.taken) == (36, 36, [])
    leader.clear()  # killed: nobody leads for a while
    for _ in range(4):
        await end_one()
        await duties[1].turn()
    leader.append("there")
    await end_one()
    while await duties[1].turn() == 0.0:
        pass
    missed = 5 * 3
    assert len(set(here.taken) | set(there.taken)) == 36 + missed
    assert missed <= len(there.taken) <= missed + 10 * 3
