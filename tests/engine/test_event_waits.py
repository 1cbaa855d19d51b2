"""Steps that wait for events: ended by the first that fits, once, without a slot, whatever happens in between."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from tests.oracle.world import ScriptedWorker, World
from windlass.clock import micros
from windlass.engine.archiving import sweep
from windlass.engine.cancellation import cancel
from windlass.engine.claim import Claim
from windlass.engine.explaining import why
from windlass.engine.listening import settle_all
from windlass.engine.sending import MOST_DATA, send_event
from windlass.engine.services.listener import POLL, Listener
from windlass.engine.submission import Prepared
from windlass.errors import LimitExceeded, UserError
from windlass.ids import id_text
from windlass.model.event_wait import EventPattern
from windlass.model.outcome import Completed, Outcome, Waiting
from windlass.store import event_waits as event_waits_store
from windlass.store.event_waits import open_waits
from windlass.store.garbage import drop_events
from windlass.store.tables import event_waits
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("H08")
HOUR = 3600.0
DAY = 24 * HOUR


def waiting(world: World, pattern: dict[str, Any], *, seconds: float = HOUR) -> Outcome:
    """Return what a step of type `wait` gives back."""
    until = world.clock.now() + micros(seconds)
    return Waiting(until, f"for event {pattern['type']}", "failed", event=pattern)


async def gate(world: World, **more: Any) -> Prepared:
    """Define a job with two waits in sequence, and a step after them."""
    steps: dict[str, Any] = {
        "first": {"type": "wait", "config": {"event": {"type": "go"}}},
        "second": {"type": "wait", "config": {"event": {"type": "go"}}},
        "last": {},
    }
    return await world.define("gate", steps=steps, **more)


async def begin(world: World, worker: ScriptedWorker, pattern: dict[str, Any] | None = None, **more: Any) -> list[str]:
    """Let a worker do what is queued; steps that wait do so for `go`, or for what is given."""
    wanted = {"type": "go"} if pattern is None else pattern

    def script(claim: Claim) -> Outcome:
        return waiting(world, wanted, **more) if claim.step.type == "wait" else Completed()

    return await worker.work(script)


async def look(world: World) -> None:
    """Compare everything that has happened with what is waited for."""
    while await world.engine.store.run(settle_all, world.engine):
        pass


async def send(world: World, name: str = "go", project: str = "default", source: str = "", **data: Any) -> int:
    """Tell an event; return its number."""
    return int((await send_event(world.engine, project, name, data, source=source))["seq"])


async def test_an_event_ends_a_wait_and_is_its_output(world: World) -> None:
    run_id = await world.submit(await gate(world))
    worker = await world.worker(slots=1)
    assert await begin(world, worker) == ["first"]
    assert await world.states(run_id) == {"first": "waiting", "second": "pending", "last": "pending"}
    assert (await worker.exchange(capacity=1)).claims == []
    seq = await send(world, env="prod")
    await look(world)
    assert await begin(world, worker) == ["second"]
    outputs = (await world.task(run_id, "first"))["outputs"]["event"]
    assert outputs.pop("at").endswith("Z")
    assert outputs == {"seq": seq, "type": "go", "source": "", "runId": None, "data": {"env": "prod"}}
    await send(world)
    await look(world)
    assert await begin(world, worker) == ["last"]
    assert (await world.run(run_id))["state"] == "completed"
    assert await world.engine.store.read(open_waits) == []


async def test_an_event_before_the_wait_counts_from_the_acceptance_of_the_run_on(world: World) -> None:
    job = await gate(world)
    await send(world, number=1)
    run_id = await world.submit(job)
    seq = await send(world, number=2)
    worker = await world.worker()
    await begin(world, worker)
    await look(world)
    assert (await world.task(run_id, "first"))["outputs"]["event"]["seq"] == seq
    await begin(world, worker)
    await look(world)
    assert (await world.states(run_id))["second"] == "waiting", "what ended the wait before it ends no other"


async def test_waits_side_by_side_are_ended_by_one_event(world: World) -> None:
    step = {"type": "wait", "config": {"event": {"type": "go"}}, "matrix": {"n": [1, 2]}}
    run_id = await world.submit(await world.define(steps={"both": step}))
    await begin(world, await world.worker())
    await send(world)
    await look(world)
    assert (await world.run(run_id))["state"] == "completed"


@pytest.mark.parametrize(
    ("pattern", "ends"),
    [
        ({"type": "run.completed", "filter": {"job": "other"}}, True),
        ({"type": "run.*", "source": "windlass", "filter": {"labels.team": "data"}}, True),
        ({"type": "task.completed", "filter": {"step": "b", "key": "2"}}, True),
        ({"type": "task.skipped", "filter": {"step": "c"}}, True),
        ({"type": "task.queued", "filter": {"step": "c"}}, False),
        ({"type": "run.completed", "filter": {"job": "gate"}}, False),
        ({"type": "run.failed"}, False),
        ({"type": "run.completed", "source": "ci"}, False),
    ],
)
async def test_events_of_runs_end_waits_by_what_they_are_about(
    world: World, pattern: dict[str, Any], *, ends: bool
) -> None:
    other = await world.define(
        "other",
        steps={
            "a": {"type": "branch", "config": {"run": "x"}, "next": ["b", "c"]},
            "b": {"matrix": {"n": [1, 2]}},
            "c": {},
        },
    )
    run_id = await world.submit(await gate(world))
    worker = await world.worker()
    await begin(world, worker, pattern)
    await world.submit(other, labels={"team": "data"})
    await worker.work(lambda claim: Completed(branches=("b",)) if claim.step.branch else Completed(), most=3)
    await look(world)
    assert (await world.states(run_id))["first"] == ("completed" if ends else "waiting")


async def test_neither_its_own_events_nor_those_of_other_projects_count(world: World) -> None:
    run_id = await world.submit(await gate(world))
    await begin(world, await world.worker(), {"type": "*"})
    await send(world, project="other")
    await look(world)
    assert (await world.states(run_id))["first"] == "waiting"


async def test_the_deadline_fails_the_step_and_says_for_what_it_waited(world: World) -> None:
    run_id = await world.submit(await gate(world))
    await begin(world, await world.worker(), {"type": "go", "filter": {"env": "prod"}}, seconds=60)
    await send(world, env="test")
    await world.tick(61)
    task = await world.task(run_id, "first")
    assert (task["state"], task["reason"]) == ("failed", "wait_timeout")
    assert task["error"]["message"] == "An event go with env=prod did not come in time."


async def test_an_event_that_nobody_read_before_the_deadline_counts_and_a_later_one_does_not(world: World) -> None:
    job = await gate(world)
    early, late = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    wanted = iter([{"type": "early"}, {"type": "late"}])
    await worker.work(lambda _: waiting(world, next(wanted), seconds=60))
    await send(world, "early")
    world.clock.advance(61)
    await send(world, "late")
    await world.tick()
    assert (await world.states(early))["first"] == "completed"
    assert (await world.states(late))["first"] == "failed"


async def test_a_cancelled_wait_is_over(world: World) -> None:
    run_id = await world.submit(await gate(world))
    await begin(world, await world.worker())
    await cancel(world.engine, run_id)
    await send(world)
    await look(world)
    assert (await world.run(run_id))["state"] == "cancelled"
    assert await world.engine.store.read(_rows) == 0, "the row of a wait that is over goes"


async def test_why_says_what_is_waited_for(world: World) -> None:
    run_id = await world.submit(await gate(world))
    pattern = {"type": "go", "source": "ci", "filter": {"env": "prod"}}
    await begin(world, await world.worker(), pattern)
    (cause,) = (await why(world.engine, run_id, "first"))["because"]
    assert (cause["kind"], cause["event"]) == ("event", pattern)
    assert cause["message"].startswith("It waits for an event go from ci with env=prod, until ")


@pytest.mark.promise("C13")
async def test_events_and_waits_live_through_restarts_and_each_ends_once(kept_world: World) -> None:
    world = kept_world
    run_id = await world.submit(await gate(world))
    await begin(world, await world.worker("w1"))
    await look(world)
    await world.reopen()
    await send(world, number=1)
    await world.reopen()
    await look(world)
    assert (await world.states(run_id))["first"] == "completed"
    await begin(world, await world.worker("w2"))
    await world.reopen()
    await look(world)
    assert (await world.states(run_id))["second"] == "waiting"
    await send(world, number=2)
    await look(world)
    await look(world)
    assert await begin(world, await world.worker("w3")) == ["last"]
    assert (await world.told(run_id)).count("task.completed 0") == 1


async def turn(listener: Listener) -> float:
    """Let a listener take its next turn, a minute after the one before."""
    moment = getattr(listener.monotonic, "keywords", {"at": 0.0})["at"] + 60
    listener.monotonic = partial(lambda at: at, at=moment)
    return await listener.turn()


async def test_the_listener_ends_waits_and_notes_how_far_it_read(world: World) -> None:
    woken = asyncio.Event()
    listener = Listener(world.engine, woken.set)
    assert await turn(listener) > 0
    await send(world, "other")
    run_id = await world.submit(await gate(world))
    worker = await world.worker()
    await begin(world, worker)
    await settled()
    assert not woken.is_set(), "where nobody waits, events are nobody's business"
    (before,) = await world.engine.store.read(open_waits)
    listener.begun()
    assert woken.is_set()
    await turn(listener)
    (after,) = await world.engine.store.read(open_waits)
    assert after.after > before.after, "a restart goes on from here"
    woken.clear()
    await send(world)
    await asyncio.wait_for(woken.wait(), 10)
    while (await world.states(run_id))["first"] == "waiting":
        listener.begun()
        await turn(listener)
    await begin(world, worker)
    listener.begun()
    await turn(listener)
    assert (await world.states(run_id))["second"] == "waiting"
    await send(world)
    while (await world.states(run_id))["second"] == "waiting":
        listener.begun()
        await turn(listener)
    woken.clear()
    await send(world)
    await settled()
    assert not woken.is_set()


async def test_who_begins_to_wait_late_sends_nobody_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_waits_store, "SPAN", 5)
    listener = Listener(world.engine)
    job = await world.define("one", steps={"a": {"type": "wait", "config": {"event": {"type": "go"}}}})
    early, worker = await world.submit(job), await world.worker()
    await begin(world, worker)
    late = await world.submit(job)
    for _ in range(60):
        await send(world, "noise")
    await turn(listener)
    while await turn(listener) == 0:
        pass
    await begin(world, worker)
    latest = await world.submit(job)
    listener.begun()
    assert await turn(listener) == 0, "the late one is behind"
    await send(world)
    await begin(world, worker)
    listener.begun()
    await turn(listener)
    ended = [(await world.run(run_id))["state"] for run_id in (early, late, latest)]
    assert ended == ["completed", "running", "running"]
    for _ in range(60):
        await turn(listener)
    assert [(await world.run(run_id))["state"] for run_id in (late, latest)] == ["completed", "completed"]
    assert await world.engine.store.read(open_waits) == []


async def test_many_that_begin_to_wait_are_read_once_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    told = EventPattern.read
    monkeypatch.setattr(EventPattern, "read", lambda data: read.append(1) or told(data))
    listener = Listener(world.engine)
    step = {"type": "wait", "config": {"event": {"type": "go"}}, "matrix": {"n": list(range(20))}}
    job, worker = await world.define(steps={"each": step}), await world.worker()
    for number in range(1, 4):
        await world.submit(job)
        await begin(world, worker)
        listener.begun()
        await turn(listener)
        assert len(read) == 20 * number
    await send(world)
    while await world.engine.store.read(open_waits):
        await turn(listener)
    assert len(read) == 60


async def test_a_wait_that_begins_while_nobody_asks_is_looked_at_as_soon_as_somebody_may(world: World) -> None:
    times = iter(range(1, 1000))
    listener = Listener(world.engine, monotonic=lambda: next(times) / 10)  # so asking takes a tenth of a second
    assert await listener.turn() == POLL
    run_id = await world.submit(await gate(world))
    await begin(world, await world.worker())
    listener.begun()
    pause = await listener.turn()
    assert 0 < pause < 1, "asking took 0.1 s, so nobody asks for ten times as long"
    assert len(await world.engine.store.read(open_waits)) == 1
    assert (await world.states(run_id))["first"] == "waiting"


async def settled() -> None:
    """Let everything that was called on this loop happen."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def test_a_row_that_cannot_be_read_keeps_nobody_else_waiting(world: World) -> None:
    job = await gate(world)
    bad, good = await world.submit(job), await world.submit(job)
    await begin(world, await world.worker())
    await world.engine.store.run(_spoil, bad)
    await send(world)
    await look(world)
    assert (await world.states(good))["first"] == "completed"
    assert (await world.states(bad))["first"] == "waiting"
    await world.tick(2 * HOUR)
    assert (await world.run(bad))["state"] == "failed"


async def test_a_run_leaves_only_when_who_waits_for_its_events_has_them(kept_world: World) -> None:
    world = kept_world
    quick = await world.define("quick", steps={"a": {}}, retention={"runs": {"days": 1}})
    run_id = await world.submit(await gate(world))
    worker = await world.worker()
    await begin(world, worker, {"type": "run.completed", "filter": {"job": "quick"}}, seconds=3 * DAY)
    other = await world.submit(quick)
    await worker.work()
    world.clock.advance(DAY + 120)
    assert (await sweep(world.engine)).archived == 1
    event = (await world.task(run_id, "first"))["outputs"]["event"]
    assert (event["runId"], event["type"]) == (id_text(other), "run.completed")
    world.accepted.remove(other)


async def test_events_from_outside_go_at_their_time_but_not_before_those_who_wait_looked(world: World) -> None:
    await send(world, "old")
    await world.submit(await gate(world))
    await send(world)
    await begin(world, await world.worker(), {"type": "x"}, seconds=3 * DAY)
    world.clock.advance(DAY + 1)
    assert await world.engine.store.run(drop_events, micros(DAY)) == 1, "the one before the run was accepted"
    await look(world)
    while not (dropped := await world.engine.store.run(drop_events, micros(DAY))):
        await look(world)  # the upkeep of PostgreSQL itself may be under way, and nobody knows what it adds
    assert dropped == 1


@pytest.mark.parametrize(
    ("name", "source", "data", "sentence"),
    [
        ("run.completed", "", {}, "is a type of Windlass's own"),
        ("a b", "", {}, "is no type of an event"),
        ("go", "windlass", {}, "The source of an event"),
        ("go", "", {"x": {1, 2}}, "is JSON"),
    ],
)
async def test_what_cannot_be_an_event_is_refused(
    world: World, name: str, source: str, data: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        await send_event(world.engine, "default", name, data, source=source)


async def test_an_event_that_says_too_much_is_refused(world: World) -> None:
    with pytest.raises(LimitExceeded, match="Bytes of the data of an event"):
        await send(world, text="x" * MOST_DATA)
    with pytest.raises(UserError, match="name of a project"):
        await send(world, project="*")


def _rows(tx: Transaction) -> int:
    return len(tx.connection.execute(event_waits.select()).all())


def _spoil(tx: Transaction, run_id: bytes) -> None:
    tx.connection.execute(event_waits.update().where(event_waits.c.run_id == run_id).values(pattern="{"))
