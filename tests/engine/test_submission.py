"""Accepting runs: all or none, once under one key, and each with the revision it was accepted with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.oracle.world import World, always
from windlass.clock import from_text
from windlass.engine.once import KEY_LIFE
from windlass.engine.reading import list_runs
from windlass.engine.starting import Start, retry_run
from windlass.engine.submission import Submission, submit
from windlass.errors import Conflict, LimitExceeded, NotFound, UserError
from windlass.ids import id_text
from windlass.model.outcome import Failed
from windlass.store.keys import drop_ended_keys
from windlass.store.runs import RunFilter

ONE: dict[str, Any] = {"a": {}}


@pytest.mark.promise("H07")
async def test_many_runs_are_accepted_together_in_order(world: World) -> None:
    job = await world.define(steps=ONE)
    run_ids = await world.submit_all(job, [Submission(note=str(number)) for number in range(300)])
    assert run_ids == sorted(set(run_ids))
    assert [(await world.run(run_id))["note"] for run_id in run_ids[::100]] == ["0", "100", "200"]


async def test_of_runs_asked_for_together_all_or_none_are_accepted(world: World) -> None:
    job = await world.define(steps=ONE)
    await world.submit(job, idempotency_key="k", note="first")
    wrong = [Submission(note="x"), Submission(idempotency_key="k", parameters={"other": "1"}), Submission(note="y")]
    with pytest.raises(UserError, match='The idempotency key "k" already stands for run'):
        await submit(world.engine, job, wrong)
    assert len(await (await world.worker()).take()) == 1


async def test_one_key_is_one_run(world: World) -> None:
    job = await world.define(steps=ONE)
    asked = Submission(idempotency_key="k", parameters={"day": "1"}, priority=7, labels={"a": "b"})
    first, second = [(await submit(world.engine, job, [asked]))[0] for _ in range(2)]
    assert (first.created, second.created) == (True, False)
    assert first.run_id == second.run_id
    assert (await world.run(first.run_id))["idempotencyKey"] == "k"
    worker = await world.worker()
    assert await worker.work() == ["a"]
    again = (await submit(world.engine, job, [asked]))[0]
    assert (again.run_id, again.created) == (first.run_id, False)


async def test_one_key_asked_for_by_many_at_once_is_one_run(world: World) -> None:
    job = await world.define(steps=ONE)
    asked = Submission(idempotency_key="k")
    answers = await asyncio.gather(*(submit(world.engine, job, [asked, asked]) for _ in range(50)))
    accepted = [one for answer in answers for one in answer]
    assert len({one.run_id for one in accepted}) == 1
    assert sum(one.created for one in accepted) == 1
    assert len(await (await world.worker()).take()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"day": "2"}},
        {"priority": 3},
        {"scheduled_at": 10**16},
        {"labels": {"a": "b"}},
        {"note": "n"},
        {"revision": 1},
    ],
)
async def test_a_key_with_other_content_is_refused(world: World, other: dict[str, Any]) -> None:
    job = await world.define(steps=ONE)
    await world.submit(job, idempotency_key="k")
    with pytest.raises(UserError, match="use another key"):
        await world.submit(job, idempotency_key="k", **other)
    second = await world.define("another", steps=ONE)
    with pytest.raises(UserError, match="use another key"):
        await world.submit(second, idempotency_key="k")


async def test_a_key_is_free_again_after_a_day(world: World) -> None:
    job = await world.define(steps=ONE)
    first = await world.submit(job, idempotency_key="k")
    world.clock.advance(KEY_LIFE / 1_000_000 - 1)
    assert await world.submit(job, idempotency_key="k") == first
    world.clock.advance(1)
    second = await world.submit(job, idempotency_key="k", parameters={"day": "2"})
    assert second != first
    assert await world.engine.store.run(drop_ended_keys) == 0
    world.clock.advance(KEY_LIFE / 1_000_000)
    assert await world.engine.store.run(drop_ended_keys) == 1


async def test_a_key_of_a_refused_submission_is_free(world: World) -> None:
    job = await world.define(steps=ONE)
    await world.submit(job, idempotency_key="taken")
    both = [Submission(idempotency_key="free"), Submission(idempotency_key="taken", priority=1)]
    with pytest.raises(UserError):
        await submit(world.engine, job, both)
    assert (await submit(world.engine, job, [Submission(idempotency_key="free", priority=9)]))[0].created


async def test_too_wide_a_fan_out_is_refused_whole(world: World) -> None:
    parameters = {"n": {"type": "array"}}
    job = await world.define(parameters=parameters, steps={"m": {"matrix": {"n": "${{ parameters.n }}"}}})
    wide = Submission(parameters={"n": list(range(20_001))})
    with pytest.raises(LimitExceeded, match="20,001 is over the limit of 20,000"):
        await submit(world.engine, job, [Submission(parameters={"n": [1]}), wide])
    with pytest.raises(UserError, match=r"matrix\.n must be a list"):
        await submit(world.engine, job, [Submission(parameters={"n": "x"})])
    assert await (await world.worker()).take() == []


async def test_a_run_keeps_what_it_was_asked_for(world: World) -> None:
    job = await world.define(priority="low", queue="slow", steps=ONE)
    fields = {"parameters": {"é": "\U0001f600\n"}, "labels": {"team": "data"}, "note": "why", "correlation_id": "c-1"}
    run_id = await world.submit(job, **fields, trigger={"type": "manual", "by": "me"})
    run = await world.run(run_id)
    shown = {name: run[name] for name in ("parameters", "labels", "note", "priority", "queue", "trigger")}
    assert shown == {
        "parameters": {"é": "\U0001f600\n"}, "labels": {"team": "data"}, "note": "why", "priority": 1, "queue": "slow",
        "trigger": {"type": "manual", "by": "me"},
    }  # fmt: skip
    assert run["correlationId"] == "c-1"


async def test_runs_are_found_by_their_labels(world: World) -> None:
    job = await world.define(steps=ONE)
    first = await world.submit(job, labels={"team": "data", "é": "ü"})
    second = await world.submit(job, labels={"team": "data"}, idempotency_key="k")
    await world.submit(job, labels={"team": "data"}, idempotency_key="k")
    await world.submit(job)
    for labels, expected in (({"team": "data"}, [second, first]), ({"é": "ü", "team": "data"}, [first])):
        found, _ = await list_runs(world.engine, RunFilter(labels=labels))
        assert [run["id"] for run in found] == [id_text(run_id) for run_id in expected]


@pytest.mark.promise("O04", part="runs")
async def test_a_run_stays_with_the_revision_it_was_accepted_with(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}, "c": {}})
    run_id = await world.submit(job)
    worker = await world.worker()
    first = await worker.take_one()
    newer = await world.define(steps={"x": {}, "a": {"triggerRule": "all_failed"}})
    assert (newer.job.number, newer.job.revision_id != job.job.revision_id) == (2, True)
    new_run = await world.submit(newer)
    await worker.end(first)
    assert sorted(await worker.work()) == ["b", "c", "x"]
    assert await world.states(run_id) == {"a": "completed", "b": "completed", "c": "completed"}
    assert await world.states(new_run) == {"x": "completed", "a": "skipped"}
    revisions = [(await world.run(one))["revision"] for one in (run_id, new_run)]
    assert revisions == [1, 2]


@pytest.mark.promise("O04", part="runs")
async def test_a_run_goes_on_with_its_revision_after_a_restart(kept_world: World) -> None:
    job = await kept_world.define(steps={"a": {"onWorkerLost": "retry"}, "b": {}})
    run_id = await kept_world.submit(job)
    await (await kept_world.worker()).take_one()
    await kept_world.define(steps={"z": {}})
    await kept_world.reopen()
    await kept_world.tick()
    assert await (await kept_world.worker()).work() == ["a", "b"]
    assert (await kept_world.run(run_id))["state"] == "completed"


@pytest.mark.promise("H08")
@pytest.mark.promise("O04", part="runs")
async def test_a_final_run_is_run_again_with_the_same_revision_and_parameters(world: World) -> None:
    parameters = {"hosts": {"type": "array", "items": {"type": "string"}}}
    steps = {"m": {"matrix": {"host": "${{ parameters.hosts }}"}}}
    job = await world.define(parameters=parameters, steps=steps)
    first = await world.submit(job, parameters={"hosts": ["a", "b"]}, labels={"x": "y"}, priority=9)
    worker = await world.worker()
    with pytest.raises(Conflict, match="is still queued"):
        await retry_run(world.engine, first)
    await worker.work(always(Failed("exit", "no", 1)))
    await world.define(steps={"other": {}})
    again, created = await retry_run(world.engine, first, by="me")
    assert created
    assert (again["revision"], again["priority"], again["labels"]) == (1, 9, {"x": "y"})
    assert again["trigger"] == {"type": "retry", "run": id_text(first), "by": "me"}
    assert await worker.work() == ["m", "m"]
    told = (await world.events(first))[-1]
    assert (told.type, told.data) == ("run.retried", {"run": again["id"], "by": "me"})
    with pytest.raises(NotFound):
        await retry_run(world.engine, b"\0" * 16)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "2127-01-01T00:00:00Z"])
async def test_a_time_that_nobody_lives_to_see_is_refused(world: World, at: str) -> None:
    job = await world.define(steps={"a": {}})
    with pytest.raises(UserError, match="within the next hundred years"):
        await world.submit(job, scheduled_at=from_text(at))
    assert await world.told(b"") == []


ASKED: dict[str, Any] = {"parameters": {"n": 5, "on": True, "text": "x", "list": [1, {"a": 2.0}]}, "priority": "high"}


@pytest.mark.parametrize(
    "same",
    [
        ASKED,
        {"parameters": {"n": 5.0, "on": True, "text": "x", "list": [1.0, {"a": 2}]}, "priority": 10},
        {"texts": {"n": "5", "on": "true", "text": "x", "list": '[ 1, {"a":2} ]'}, "priority": "high"},
        ASKED | {"labels": {}, "note": ""},
    ],
)
def test_a_request_is_the_same_whichever_way_it_comes(same: dict[str, Any]) -> None:
    first = Start(project="default", job="a", **ASKED).asked()
    assert Start(project="default", job="a", **same).asked() == first
    for other in ({"note": "n"}, {"delay": 5}, {"labels": {"a": "b"}}, {"depends_on": ["1:always"]}, {"revision": 1}):
        assert Start(project="default", job="a", **(same | other)).asked() != first
