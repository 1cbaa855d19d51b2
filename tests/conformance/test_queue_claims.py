"""Claims and their fences: whoever no longer holds a task changes nothing of it but an event."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.oracle.world import ScriptedWorker, World
from windlass.clock import SECOND
from windlass.engine.claim import Claim
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.store.logs import NewChunk, chunks_after


@pytest.fixture(params=["store", "http"])
def over(request: pytest.FixtureRequest) -> str:
    """Return how workers reach the queue: every way of doing so is to keep this."""
    return str(request.param)


WHEN = {"when": "${{ 1 < 2 }}"}
OUTCOMES: list[Outcome] = [
    Completed({"stolen": True}),
    Failed("exit", "no", 1),
    Failed("lost", "gone"),
    TimedOut(1),
    Cancelled(),
    Skipped("no"),
    Waiting(SECOND, "later"),
]


def chunk(world: World, claim: Claim, seq: int = 0) -> NewChunk:
    return NewChunk(
        claim.queue_id, claim.fence, claim.run_id, claim.task, claim.attempt, seq, world.clock.now(), "stdout", b"text"
    )


async def lost_and_taken_again(world: World, **step: Any) -> tuple[bytes, ScriptedWorker, Claim, Claim]:
    """Return a run whose task was taken from one worker and started by another, with both claims."""
    run_id = await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry", **step}}))
    old = await world.worker("old")
    first = await old.take_one()
    await world.lose()
    await world.tick()
    second = await (await world.worker("new")).take_one()
    return run_id, old, first, second


async def test_each_claim_has_a_higher_fence(world: World) -> None:
    _, _, first, second = await lost_and_taken_again(world)
    assert (first.queue_id, first.attempt, second.attempt) == (second.queue_id, 1, 2)
    assert second.fence > first.fence


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
async def test_a_report_under_an_old_fence_changes_nothing_but_an_event(world: World, outcome: Outcome) -> None:
    run_id, old, first, _ = await lost_and_taken_again(world)
    before, task = await world.run(run_id), await world.task(run_id, "a")
    events = await world.told(run_id)
    await old.end(first, outcome)
    assert (await world.run(run_id), await world.task(run_id, "a")) == (before, task)
    assert await world.told(run_id) == [*events, "task.late 0"]
    late = (await world.events(run_id))[-1]
    assert late.data == {"attempt": 1, "worker": "old", "outcome": type(outcome).__name__}


async def test_output_and_progress_under_an_old_fence_are_refused(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry"}}))
    old, new = await world.worker("old"), await world.worker("new")
    first = await old.take_one()
    await world.lose()
    await world.tick()
    assert await new.take() == []  # it was found gone as well, and has joined anew
    second = await new.take_one()
    assert await old.queue.append([chunk(world, first), chunk(world, first, 1)]) == 2
    assert await new.queue.append([chunk(world, second), chunk(world, first)]) == 1
    events = await world.told(run_id)
    await old.queue.progress(first, 99, "almost")
    assert await world.told(run_id) == events
    assert await world.engine.store.read(chunks_after, run_id, 0, 1) == []
    assert len(await world.engine.store.read(chunks_after, run_id, 0, 2)) == 1


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
async def test_whoever_was_lost_is_refused_before_anybody_else_takes_over(world: World, outcome: Outcome) -> None:
    run_id = await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry"}}))
    old = await world.worker("old")
    claim = await old.take_one()
    await world.lose()
    events = await world.told(run_id)
    assert await old.queue.append([chunk(world, claim)]) == 1
    await old.queue.progress(claim, 99, "almost")
    assert await world.told(run_id) == events
    assert not await old.queue.start(claim)
    await old.end(claim, outcome)
    assert await world.states(run_id) == {"a": "scheduled"}
    await world.tick()
    await old.end(claim, outcome)
    assert await world.states(run_id) == {"a": "queued"}


async def test_a_task_that_ended_takes_no_further_word(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    report = worker.report(claim, Completed({"n": 1}))
    await worker.exchange([report] * 3)
    await worker.end(claim, Failed("exit", "no", 1))
    assert await worker.queue.append([chunk(world, claim)]) == 1
    task = await world.task(run_id, "a")
    assert (task["state"], task["outputs"]) == ("completed", {"n": 1})
    assert (await world.told(run_id)).count("task.late 0") == 3


async def test_the_place_of_a_task_that_ended_is_not_given_to_another(world: World) -> None:
    job = await world.define(steps={"a": {}})
    old, new = await world.worker("old"), await world.worker("new")
    first_run = await world.submit(job)
    first = await old.take_one()
    await old.end(first, Completed({"of": "first"}))
    second_run = await world.submit(job)
    second = await new.take_one()
    assert (second.queue_id, second.fence) != (first.queue_id, first.fence)
    await old.end(first, Completed({"of": "late"}))
    assert await old.queue.append([chunk(world, first)]) == 1
    await old.queue.progress(first, 99, "almost")
    assert (await world.run(second_run))["state"] == "running"
    await new.end(second, Completed({"of": "second"}))
    assert (await world.run(first_run))["outputs"] == {"of": "first"}
    assert (await world.run(second_run))["outputs"] == {"of": "second"}


async def test_the_number_of_a_worker_that_left_is_not_given_to_another(world: World) -> None:
    first = await world.worker("first")
    await first.queue.leave(())
    second = await world.worker("second")
    assert second.queue.worker_id != first.queue.worker_id


async def test_a_claim_is_not_a_start(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": WHEN}))
    worker = await world.worker()
    claim = await worker.take_one()
    task = await world.task(run_id, "a")
    assert (task["state"], task["attempt"], task["startedAt"]) == ("queued", 0, None)
    assert await worker.take() == []
    world.clock.advance(5)
    assert await worker.queue.start(claim)
    assert claim.started_at == world.clock.now()
    assert (await world.run(run_id))["state"] == "running"
    await worker.end(claim)
    assert await world.attempts(run_id) == [("a", 1, "completed")]


async def test_a_claim_starts_once_however_often_it_is_asked_for(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": WHEN}))
    worker = await world.worker()
    claim = await worker.take_one()
    assert await worker.queue.start(claim)
    assert await worker.queue.start(claim), "the first answer may have been lost"
    assert (await world.told(run_id)).count("task.started 0") == 1
    await worker.end(claim)
    assert not await worker.queue.start(claim)


async def test_a_claim_that_is_given_back_was_never_taken(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": WHEN}))
    first = await world.worker("first")
    claim = await first.take_one()
    events = await world.told(run_id)
    await first.queue.leave([(claim.queue_id, claim.fence)])
    assert await world.told(run_id) == events
    assert not await first.queue.start(claim), "nobody holds it now"
    second = await world.worker("second")
    again = await second.take_one()
    assert again.attempt == 1
    assert not await first.queue.start(claim)
    assert await second.queue.start(again)
    await second.end(again)
    assert await world.attempts(run_id) == [("a", 1, "completed")]


async def test_giving_back_what_another_one_holds_does_nothing(world: World) -> None:
    await world.submit(await world.define(steps={"a": WHEN}))
    first = await world.worker("first")
    claim = await first.take_one()
    await first.queue.leave([(claim.queue_id, claim.fence)])
    second = await world.worker("second")
    again = await second.take_one()
    await first.queue.leave([(claim.queue_id, claim.fence)])
    assert await second.take() == []
    assert await second.queue.start(again)
    await second.end(again)


async def test_stops_are_told_to_the_worker_that_holds_the_task(world: World) -> None:
    steps: dict[str, Any] = {"a": {}, "b": {}, "join": {"dependsOn": ["a", "b"]}}
    run_id = await world.submit(await world.define(steps=steps))
    first, second = await world.worker("first"), await world.worker("second")
    a, b = await first.take_one(), await second.take_one()
    await world.cancel(run_id)
    for worker, claim in ((first, a), (second, b)):
        for _ in range(2):
            assert (await worker.exchange()).stops == [(claim.queue_id, claim.fence, "cancel")]
    for worker, claim in ((first, a), (second, b)):
        assert (await worker.end(claim, Cancelled())).stops == []


async def test_reports_and_claims_of_one_exchange_are_one_transaction(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker(slots=1)
    claim = await worker.take_one()
    exchange = await worker.exchange([worker.report(claim, Completed())], 1)
    assert [claim.step.name for claim in exchange.claims] == ["b"]
    await worker.exchange([worker.report(exchange.claims[0], Completed())])
    assert (await world.run(run_id))["state"] == "completed"


async def test_progress_is_kept_and_told(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.queue.progress(claim, 40, "half way")
    assert (await world.run(run_id))["progress"] == {"percent": 40, "message": "half way", "items": None}
    of_task, of_run = (await world.events(run_id))[-2:]
    assert (of_task.type, of_task.data["percent"], of_task.data["message"]) == ("task.progress", 40, "half way")
    assert (of_run.type, of_run.data) == ("run.progress", {"percent": 40, "message": "half way"})
    await worker.end(claim)
    assert (await world.run(run_id))["progress"]["percent"] == 100


@pytest.mark.parametrize(
    ("percent", "kept"), [(-5.0, 0.0), (250.0, 100.0), (math.nan, 0.0), (math.inf, 0.0), (None, 0.0)]
)
async def test_progress_that_is_none_harms_nobody(world: World, percent: float | None, kept: float) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.queue.progress(claim, percent, "half a letter: \udcff")
    said = (await world.run(run_id))["progress"]
    assert (said["percent"], said["message"]) == (kept, "half a letter: ?")
    await worker.end(claim)


async def test_progress_of_one_of_many_steps_is_not_that_of_the_run(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    await worker.queue.progress(claim, 99, "almost")
    assert (await world.run(run_id))["progress"]["percent"] == 0
    await worker.end(claim)
    assert (await world.run(run_id))["progress"]["percent"] == 50


async def test_output_is_kept_once_and_in_order(world: World) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    claim = await worker.take_one()
    chunks = [chunk(world, claim, seq) for seq in (2, 0, 1)]
    assert await worker.queue.append(chunks) == 0
    assert await worker.queue.append([chunks[1]._replace(data=b"another text")]) == 0
    kept = await world.engine.store.read(chunks_after, run_id, 0, 1)
    assert [(one.seq, one.data) for one in kept] == [(0, b"text"), (1, b"text"), (2, b"text")]
