"""Applications: runs accepted, worked on, waited for, followed and stopped."""
# ruff: noqa: ARG002 - jobs take what applications give them

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from tests.sdk import sample
from tests.sdk.conftest import MakeApp
from windlass import (
    Conflict,
    Job,
    NotFound,
    Progress,
    RetryPolicy,
    RunNotCompleted,
    StillRunning,
    Unavailable,
    UserError,
    Windlass,
)
from windlass import job as as_job
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.jobs import enable_job
from windlass.engine.manifests import ManifestText
from windlass.engine.reading import list_attempts
from windlass.ids import parse_id
from windlass.sdk.run import Run
from windlass.store.workers import live

AT_ONCE = RetryPolicy(attempts=3, delay=0)
SECONDS = 20.0


def engine_of(app: Windlass) -> Any:
    return app._backend._engine  # type: ignore[union-attr]


async def attempts_of(app: Windlass, run_id: str) -> list[dict[str, Any]]:
    raw = parse_id(run_id)
    assert raw is not None
    return await list_attempts(engine_of(app), raw)


@pytest.mark.promise("K01")
async def test_a_class_gets_its_context_and_gives_its_result(sdk: Windlass) -> None:
    run = await sdk.submit(sample.Price, sample.Order("tea", 2))
    assert (await run.wait(SECONDS))["price"] == 6
    shape = await run.refresh()
    assert (shape["state"], shape["job"], shape["parameters"]) == ("completed", "price", {"item": "tea", "count": 2})
    assert shape["progress"]["message"] == "pricing tea"


@pytest.mark.promise("K01")
async def test_classes_and_functions_inside_of_functions_are_jobs_too(sdk: Windlass) -> None:
    @dataclass
    class Pair:
        left: int
        right: int

    class Sum(Job[Pair, int]):
        async def execute(self, context: Pair, progress: Progress) -> int:
            return context.left + context.right

    @as_job
    def where() -> str:
        return threading.current_thread().name

    assert await (await sdk.submit(Sum, Pair(1, 2))).wait(SECONDS) == 3
    assert await (await sdk.submit(where)).wait(SECONDS) != threading.main_thread().name


async def test_every_isolation_gives_the_same_result(sdk: Windlass) -> None:
    runs = [await sdk.submit(job, sample.Order("tea")) for job in (sample.IsolatedPrice, sample.InlinePrice)]
    isolated, inline = [await run.wait(SECONDS) for run in runs]
    assert isolated["price"] == inline["price"] == 3
    assert isolated["pid"] != inline["pid"]
    assert await runs[0].logs() == "pricing tea\n"


async def test_many_are_accepted_at_once_and_all_run(sdk: Windlass) -> None:
    runs = await sdk.submit_many(sample.double, range(50))
    assert await asyncio.gather(*(run.wait(SECONDS) for run in runs)) == [2 * number for number in range(50)]
    assert len({run.id for run in runs}) == 50


async def test_of_a_batch_with_one_bad_context_nothing_is_accepted(sdk: Windlass) -> None:
    events = sdk.subscribe(["run.created"])
    with pytest.raises(UserError, match="Expected `int`, got `str`"):
        await sdk.submit_many(sample.double, [1, "two", 3])
    run = await sdk.submit(sample.double, 4)
    assert (await anext(events))["runId"] == run.id


@pytest.mark.promise("K03")
async def test_a_failure_is_tried_again_and_told_with_its_reason(sdk: Windlass) -> None:
    class Broken(Job[Any, None]):
        retry = AT_ONCE

        async def execute(self) -> None:  # type: ignore[override]
            raise ValueError("it is broken")

    run = await sdk.submit(Broken)
    with pytest.raises(RunNotCompleted, match="failed: ValueError: it is broken") as caught:
        await run.wait(SECONDS)
    assert (caught.value.run_id, caught.value.state) == (run.id, "failed")
    assert [attempt["outcome"] for attempt in await attempts_of(sdk, run.id)] == ["failed"] * 3
    assert (await run.logs()).count("ValueError: it is broken") == 3


@pytest.mark.promise("K03")
async def test_a_job_decides_itself_whether_and_when(sdk: Windlass) -> None:
    class Refused(Exception):
        def __init__(self, status: int) -> None:
            super().__init__(f"status {status}")
            self.status = status

    class Fetch(Job[list[int], int]):
        retry = RetryPolicy(attempts=5, delay=3600)
        tries = 0

        async def execute(self, context: list[int], progress: Progress) -> int:
            Fetch.tries += 1
            raise Refused(context[Fetch.tries - 1])

        def should_retry(self, attempt: Any) -> bool:
            return attempt.error.status >= 500

        def retry_delay(self, attempt: Any) -> float:
            return 0.0

    run = await sdk.submit(Fetch, [503, 500, 404, 500])
    with pytest.raises(RunNotCompleted, match="status 404"):
        await run.wait(SECONDS)
    assert Fetch.tries == 3


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_an_attempt_past_its_timeout_is_stopped(sdk: Windlass, asynchronous: bool) -> None:
    release = threading.Event()

    class Slow(Job[Any, None]):
        timeout = 0.05
        retry = RetryPolicy(attempts=1)

        async def execute(self) -> None:  # type: ignore[override]
            await asyncio.Event().wait()

    @as_job(timeout=0.05, retry=RetryPolicy(attempts=1))
    def slow() -> None:
        release.wait(SECONDS)

    run = await sdk.submit(Slow if asynchronous else slow)
    if not asynchronous:
        asyncio.get_running_loop().call_later(0.1, release.set)
    with pytest.raises(RunNotCompleted, match=r"ran longer than its timeout of 0\.05 s"):
        await run.wait(SECONDS)


@pytest.mark.promise("H11")
async def test_a_running_job_is_cancelled_and_says_so(sdk: Windlass) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    class Endless(Job[Any, None]):
        async def execute(self) -> None:  # type: ignore[override]
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    run = await sdk.submit(Endless)
    await begun.wait()
    await run.cancel()
    with pytest.raises(RunNotCompleted, match="was cancelled") as caught:
        await run.wait(SECONDS)
    assert ended.is_set()
    assert caught.value.state == "cancelled"
    assert [one["outcome"] for one in await attempts_of(sdk, run.id)] == ["cancelled"]
    done = await sdk.submit(sample.double, 1)
    await done.wait(SECONDS)
    with pytest.raises(Conflict, match="already completed"):
        await done.cancel()


async def test_waiting_can_end_before_the_run_does(sdk: Windlass) -> None:
    go = asyncio.Event()

    async def patient() -> str:
        await go.wait()
        return "done"

    run = await sdk.submit(patient)
    with pytest.raises(StillRunning, match="it goes on"):
        await run.wait(0.01)
    with pytest.raises(TimeoutError):
        await run.wait(0)
    go.set()
    assert await run.wait(SECONDS) == "done"
    assert await run.wait() == "done"


async def test_an_error_of_the_job_that_is_a_timeout_is_an_error(sdk: Windlass) -> None:
    @as_job(retry=RetryPolicy(attempts=1))
    async def impatient() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(RunNotCompleted, match="TimeoutError"):
        await (await sdk.submit(impatient)).wait(SECONDS)


@pytest.mark.promise("H01")
async def test_high_goes_before_normal_and_low(make_app: MakeApp) -> None:
    app = await make_app(workers=1)
    go, order = asyncio.Event(), []

    async def first() -> None:
        await go.wait()

    async def note(name: str) -> None:
        order.append(name)

    blocking = await app.submit(first)
    runs = [
        await app.submit(note, {"name": str(priority)}, priority=priority)
        for priority in ("low", "normal", 7, "high", "critical")
    ]
    go.set()
    for run in (blocking, *runs):
        await run.wait(SECONDS)
    assert order == ["critical", "high", "7", "normal", "low"]


@pytest.mark.promise("H02")
async def test_a_run_can_begin_later(sdk: Windlass) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for option in ({"scheduled_at": later}, {"start_after": 3600}, {"start_after": timedelta(hours=1)}):
        run = await sdk.submit(sample.double, 1, **option)
        shape = await run.refresh()
        assert shape["state"] == "scheduled"
        assert abs(datetime.fromisoformat(shape["scheduledAt"]) - later) < timedelta(minutes=5)
        await run.cancel()
        with pytest.raises(RunNotCompleted):
            await run.wait(SECONDS)
    soon = await sdk.submit(sample.double, 1, start_after=0.01)
    assert await soon.wait(SECONDS) == 2


async def test_a_key_stands_for_one_run(sdk: Windlass) -> None:
    first = await sdk.submit(sample.double, 1, key="once")
    again = await sdk.submit(sample.double, 1, key="once")
    assert first.id == again.id
    with pytest.raises(UserError, match="use another key"):
        await sdk.submit(sample.double, 2, key="once")


async def test_a_key_stands_for_its_run_whatever_became_of_the_job(sdk: Windlass) -> None:
    asked = {"key": "later", "start_after": timedelta(hours=1)}
    first = await sdk.submit(sample.double, 1, **asked)
    assert (await sdk.submit(sample.double, 1, **asked)).id == first.id
    await enable_job(engine_of(sdk), "default", "double", enabled=False)
    assert (await sdk.submit(sample.double, 1, **asked)).id == first.id
    assert (await sdk.submit("double", 1, **asked)).id == first.id
    with pytest.raises(Conflict, match="disabled"):
        await sdk.submit(sample.double, 1, key="another")


@pytest.mark.promise("K04")
async def test_the_current_trace_is_the_correlation_id_unless_one_is_given(sdk: Windlass) -> None:
    span = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use_span(NonRecordingSpan(span)):
        traced = await (await sdk.submit(sample.double, 1, key="one")).refresh()
        given = await (await sdk.submit(sample.double, 1, correlation_id="mine")).refresh()
    again = await sdk.submit(sample.double, 1, key="one")  # whoever asks again may be in another trace
    other = await (await sdk.submit(sample.double, 1)).refresh()
    assert (traced["correlationId"], given["correlationId"]) == (f"{0xABC:032x}", "mine")
    assert {one["trigger"]["traceparent"] for one in (traced, given)} == {f"00-{0xABC:032x}-{0xDEF:016x}-01"}
    assert again.id == traced["id"]
    assert other["correlationId"] is None
    assert "traceparent" not in other["trigger"]


@pytest.mark.parametrize("definition", [sample.traced, sample.InlineTraced])
async def test_code_of_a_job_is_in_the_span_that_its_run_was_started_in(sdk: Windlass, definition: Any) -> None:
    given = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use_span(NonRecordingSpan(given)):
        run = await sdk.submit(definition, 1)
    assert await run.wait(SECONDS) == [f"{0xABC:032x}", f"{0xDEF:016x}"]
    plain = await sdk.submit(definition, 1)
    assert await plain.wait(SECONDS) == ["0" * 32, "0" * 16]


async def test_events_come_from_the_moment_of_the_subscription(sdk: Windlass) -> None:
    await (await sdk.submit(sample.double, 1)).wait(SECONDS)
    events = sdk.subscribe(["run.*"])
    only = sdk.subscribe("run.completed")
    run = await sdk.submit(sample.double, 2)
    found = [await anext(events) for _ in range(4)]
    assert [event["type"] for event in found] == ["run.created", "run.queued", "run.started", "run.completed"]
    assert {event["runId"] for event in found} == {run.id}
    assert (await anext(only))["seq"] == found[-1]["seq"]
    past = sdk.subscribe(run=run, after="0")
    assert (await anext(past))["seq"] == found[0]["seq"]
    for one in (events, only, past):
        await one.aclose()
    with pytest.raises(UserError, match=r'There is no event type "run\.complete"; did you mean'):
        sdk.subscribe(["run.complete"])


async def test_an_applied_job_is_started_by_its_alias(sdk: Windlass) -> None:
    manifest = """
apiVersion: v1
kind: Job
metadata: {alias: nightly-etl}
parameters: {region: {type: string, enum: [eu, us], default: eu}}
steps:
  - {name: load, type: python, config: {function: "tests.sdk.sample:double", isolation: thread, arguments: {number: 4}}}
"""
    await apply(engine_of(sdk), [ManifestText("etl.yaml", manifest)], ApplyOptions())
    run = await sdk.submit("nightly-etl", {"region": "us"})
    assert await run.wait(SECONDS) == {"result": 8}
    assert (await run.refresh())["parameters"] == {"region": "us"}
    with pytest.raises(UserError, match="region"):
        await sdk.submit("nightly-etl", {"region": "mars"})
    with pytest.raises(NotFound, match=r'There is no job "nightly-elt".*did you mean'):
        await sdk.submit("nightly-elt")


async def test_the_alias_of_a_job_of_ones_own_works_too(make_app: MakeApp) -> None:
    app = await make_app(jobs=[sample.Price])
    run = await app.submit("price", sample.Order("tea"))
    assert (await run.wait(SECONDS))["price"] == 3


async def test_a_python_job_does_not_take_the_place_of_a_manifest(sdk: Windlass) -> None:
    manifest = "{apiVersion: v1, kind: Job, metadata: {alias: price}, steps: [{name: a, run: x}]}"
    await apply(engine_of(sdk), [ManifestText("price.yaml", manifest)], ApplyOptions())
    with pytest.raises(Conflict, match="give the Python job another `name`"):
        await sdk.submit(sample.Price, sample.Order("tea"))


async def test_a_disabled_job_is_not_started(sdk: Windlass) -> None:
    await (await sdk.submit(sample.double, 1)).wait(SECONDS)
    await enable_job(engine_of(sdk), "default", "double", enabled=False)
    with pytest.raises(Conflict, match='Job "double" is disabled'):
        await sdk.submit(sample.double, 1)
    await enable_job(engine_of(sdk), "default", "double", enabled=True)
    assert await (await sdk.submit(sample.double, 1)).wait(SECONDS) == 2


async def test_a_run_is_found_again_by_its_id(sdk: Windlass) -> None:
    run = await sdk.submit(sample.double, 3)
    again = await sdk.get(run.id)
    assert await again.wait(SECONDS) == 6
    with pytest.raises(NotFound):
        await sdk.get("0" * 32)


async def test_the_same_code_is_one_revision(sdk: Windlass) -> None:
    first = await (await sdk.submit(sample.double, 3)).refresh()
    sdk._backend._prepared.clear()  # type: ignore[union-attr]
    again = await (await sdk.submit(sample.double, 3)).refresh()
    assert (first["revision"], again["revision"]) == (1, 1)


async def test_closing_gives_what_runs_time_to_end(url: str) -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0)
        ended.append(True)

    async with Windlass(url) as app:
        run = await app.submit(work)
        await begun.wait()
    assert ended == [True]
    with pytest.raises(Unavailable, match="not open"):
        await app.submit(work)
    for asked in (run.state(), run.wait(SECONDS), run.cancel()):
        with pytest.raises(Unavailable, match="closed"):
            await asked


@pytest.mark.promise("H03")
async def test_a_run_waits_for_the_runs_it_depends_on(sdk: Windlass) -> None:
    @as_job
    async def give(number: int) -> int:
        return number

    @as_job(retry=RetryPolicy(attempts=1))
    async def fail() -> None:
        raise ValueError("it does not work")

    late = await sdk.submit(give, 1, scheduled_at=3600.0)
    bad = await sdk.submit(fail)
    good = await sdk.submit(give, 2, depends_on=[(bad, "failure")])
    both = await sdk.submit(give, 3, depends_on=[good, (late.id, "always")])
    hopeless = await sdk.submit(give, 4, depends_on=[bad.id])
    with pytest.raises(RunNotCompleted, match="had to complete before this one") as caught:
        await hopeless.wait(30)
    assert caught.value.reason == "dependency_failed"
    assert await good.wait(30) == 2
    assert await both.state() == "waiting"
    await late.cancel()
    assert await both.wait(30) == 3
    with pytest.raises(UserError, match="depends_on takes runs"):
        await sdk.submit(give, 5, depends_on=[7])


@pytest.mark.promise("H09")
async def test_an_application_has_figures_of_its_runs_and_knows_how_its_parts_are(sdk: Windlass) -> None:
    for run in await sdk.submit_many(sample.double, range(5)):
        await run.wait(SECONDS)
    found = await sdk.statistics(job=sample.double, since=3600)
    assert (found["job"], found["counts"], found["successRate"]) == ("double", {"completed": 5}, 1.0)
    assert (await sdk.statistics(states="failed", labels={"team": None}))["runs"] == 0
    with pytest.raises(UserError, match='"done" is no state of a run'):
        await sdk.statistics(states=["done"])
    with pytest.raises(NotFound):
        await sdk.statistics(job="nothing-such")
    health = await sdk.health()
    assert (health["status"], {part["status"] for part in health["parts"]}) == ("ok", {"ok"})


@pytest.mark.promise("K08")
async def test_parents_start_list_and_visit_children(sdk: Windlass) -> None:
    @as_job
    async def give(number: int) -> int:
        return number

    parent = await sdk.submit(give, 1, scheduled_at=3600.0)
    first = await parent.start_child(give, 2)
    second = await parent.start_child(give, 3, cascade=False, scheduled_at=3600.0, labels={"kind": "loose"})
    third = await parent.start_child("give", {"number": 4}, scheduled_at=3600.0)
    grandchild = await third.start_child(give, 5, scheduled_at=3600.0)
    assert await first.wait(SECONDS) == 2
    assert [one.id for one in await parent.children()] == [first.id, second.id, third.id]
    found = await grandchild.parent()
    assert found is not None
    assert found.id == third.id
    assert await parent.parent() is None
    assert (await grandchild.refresh())["rootId"] == parent.id
    await parent.cancel()
    assert [await one.state() for one in (first, second, third, grandchild)] == [
        "completed", "scheduled", "cancelled", "cancelled",
    ]  # fmt: skip
    await second.cancel()
    for over, kind in ((parent, give), (parent, "give"), (first, give)):
        with pytest.raises(Conflict, match=r"has ended \((cancelled|completed)\) and starts no more runs"):
            await over.start_child(kind, 6 if kind is give else {"number": 6}, cascade=False)
    assert len(await parent.children()) == 3
    with pytest.raises(NotFound):
        await Run(sdk._family(), "01900000-0000-7000-8000-000000000000", "give", int).start_child(give, 1)


@pytest.mark.promise("H04", part="size while it runs")
async def test_an_application_that_only_submits_has_no_worker_until_it_wants_one(tmp_path: Path) -> None:
    async with Windlass(f"sqlite:///{tmp_path}/w.db", workers=0) as app:
        run = await app.submit(sample.triple, 14)
        assert await engine_of(app).store.read(live) == []
        await app.set_workers(2)
        assert await run.wait(timeout=SECONDS) == 42
        await app.set_workers(0)
        waiting = await app.submit(sample.triple, 1)
        assert (await app.get(waiting.id)).id == waiting.id
        await app.set_workers(1)
        assert await waiting.wait(timeout=SECONDS) == 3
        for wrong in (-1, True, "2", 10**9):
            with pytest.raises(UserError, match="from 0"):
                await app.set_workers(wrong)  # type: ignore[arg-type]
