"""Events as an application subscribes to them: every kind, by type, on from a cursor, in a later process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import sample
from tests.sdk.conftest import MakeApp
from windlass import Progress, RetryPolicy, RunNotCompleted, Windlass
from windlass import job as as_job
from windlass.errors import UserError

pytestmark = pytest.mark.promise("H08")
SECONDS = 20.0


async def until(events: AsyncIterator[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    """Return the events up to the first of a type."""
    found = []
    async with asyncio.timeout(SECONDS):
        async for event in events:
            found.append(event)
            if event["type"] == type_:
                return found
    raise AssertionError(f"no {type_} but {found}")


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def test_a_run_tells_that_it_was_created_queued_started_how_far_it_is_and_completed(sdk: Windlass) -> None:
    events = sdk.subscribe()
    run = await sdk.submit(sample.Price, sample.Order("tea"))
    told = await until(events, "run.completed")
    assert {event["runId"] for event in told} == {run.id}
    assert [type_ for type_ in types(told) if not type_.endswith(".progress")] == [
        "run.created", "run.queued", "task.queued", "run.started", "task.started", "task.completed", "run.completed",
    ]  # fmt: skip
    progress = [event["data"] for event in told if event["type"] == "task.progress"]
    assert [(one["percent"], one["message"]) for one in progress] == [(50, "pricing tea")]
    await events.aclose()


async def test_a_run_tells_that_it_was_retried_and_failed(sdk: Windlass) -> None:
    @as_job(retry=RetryPolicy(attempts=2, delay=0))
    def broken() -> None:
        raise ValueError("it is broken")

    events = sdk.subscribe(["task.retried", "task.failed", "run.failed"])
    run = await sdk.submit(broken)
    told = await until(events, "run.failed")
    assert types(told) == ["task.retried", "task.failed", "run.failed"]
    assert [told[0]["data"]["attempt"], told[1]["data"]["attempt"]] == [1, 2]
    assert {event["runId"] for event in told} == {run.id}
    await events.aclose()


async def test_a_run_tells_that_it_was_scheduled_and_cancelled(sdk: Windlass) -> None:
    events = sdk.subscribe("run.*")
    run = await sdk.submit(sample.double, 1, start_after=3600)
    await run.cancel()
    told = await until(events, "run.cancelled")
    assert types(told) == ["run.created", "run.scheduled", "run.cancel_requested", "run.cancelled"]
    with pytest.raises(RunNotCompleted, match="was cancelled"):
        await run.wait(SECONDS)
    await events.aclose()


async def test_a_subscriber_may_stop_after_any_event_and_go_on_behind_it(sdk: Windlass) -> None:
    @as_job
    async def steady(number: int, progress: Progress) -> int:
        await progress(50, "half")
        return number

    for number in range(3):
        await (await sdk.submit(steady, number)).wait(SECONDS)
    last = await sdk.submit(steady, 3)
    await last.wait(SECONDS)
    async with aclosing(sdk.subscribe(after="0")) as events:  # type: ignore[type-var]
        whole = []
        while len([one for one in whole if one["type"] == "run.completed"]) < 4:
            whole += await until(events, "run.completed")
    assert [event["seq"] for event in whole] == sorted({event["seq"] for event in whole})
    for number, event in enumerate(whole[:-1]):
        async with aclosing(sdk.subscribe(after=event["cursor"])) as rest:  # type: ignore[type-var]
            assert await anext(rest) == whole[number + 1]
    assert whole[-1]["runId"] == last.id


async def test_a_later_application_goes_on_where_an_earlier_one_stopped(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with Windlass(url) as app:
        events = app.subscribe("run.*")
        first = await app.submit(sample.double, 1)
        seen = await until(events, "run.completed")
    async with Windlass(url) as app:
        second = await app.submit(sample.double, 2)
        await second.wait(SECONDS)
        rest = app.subscribe("run.*", after=seen[-1]["cursor"])
        told = await until(rest, "run.completed")
        again = app.subscribe("run.*", run=first.id, after="0")
        assert await until(again, "run.completed") == seen
    assert {event["runId"] for event in told} == {second.id}
    assert types(told) == types(seen) == ["run.created", "run.queued", "run.started", "run.completed"]


async def test_applications_are_told_the_same_each_at_its_own_pace(make_app: MakeApp) -> None:
    app = await make_app()
    quick, slow = app.subscribe("run.*"), app.subscribe("run.*")
    told = []
    for number in range(3):
        await (await app.submit(sample.double, number)).wait(SECONDS)
        told += await until(quick, "run.completed")
    late = []
    for _ in range(3):
        late += await until(slow, "run.completed")
    assert late == told
    assert len(told) == 12


async def test_an_application_tells_events_of_its_own(sdk: Windlass) -> None:
    told = sdk.subscribe(["deploy.*", "run.completed"])
    seq = await sdk.send_event("deploy.done", {"env": "prod"}, source="ci")
    (event,) = await until(told, "deploy.done")
    assert (event["seq"], event["source"], event["data"]) == (seq, "ci", {"env": "prod"})
    with pytest.raises(UserError, match=r"a type of Windlass's own"):
        await sdk.send_event("run.completed")
    await told.aclose()
