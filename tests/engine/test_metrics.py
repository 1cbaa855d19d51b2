"""Metrics of an engine: counted from its events, agreeing with its history, with few series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World, by_step
from windlass.engine.metrics import history
from windlass.engine.metrics.archive import archive_figures
from windlass.engine.metrics.families import FAMILIES
from windlass.engine.metrics.text import exposition
from windlass.engine.reading import list_attempts, list_tasks
from windlass.engine.services.archiver import Archiver
from windlass.errors import Unavailable
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome
from windlass.store.event_cursor import newest_cursor

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
FAILED = Failed("exit", "no", exit_code=1)


async def begin(world: World) -> None:
    world.engine.metrics.begin(await world.engine.store.read(newest_cursor), world.engine.settings)


async def scrape(world: World) -> Samples:
    engine = world.engine
    text, _ = exposition(await engine.metrics.collect(engine.store, engine.settings), "")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """Return the sum of all series of a name that have these labels; None where there is none."""
    found = [number for (one, has), number in samples.items() if one == name and has >= set(labels.items())]
    return sum(found) if found else None


async def mixed(world: World) -> list[bytes]:
    """Let runs end in every way: completed, failed, retried, skipped, cancelled before and after their start, lost."""
    chain = await world.define("chain", steps={"a": {}, "b": {"dependsOn": ["a"]}, "c": {"dependsOn": ["b"]}})
    again = await world.define("again", steps={"a": {"retry": {"attempts": 3, "delay": 1, "on": ["exit"]}}})
    wide = await world.define("wide", steps={"a": {"matrix": {"n": [1, 2, 3]}}, "b": {"dependsOn": ["a"]}})
    moved = await world.define("moved", steps={"a": {"onWorkerLost": "retry"}})
    found = [await world.submit(job) for job in (chain, again, wide, moved, chain, chain)]
    worker = await world.worker()
    await world.cancel(found[4])
    held = await worker.take()
    await world.cancel(found[5])
    world.clock.advance(2.0)
    outcomes: dict[str, Outcome] = {"chain": FAILED, "again": FAILED, "wide": Completed()}
    for claim in held:
        if claim.job.alias != "moved":
            await worker.end(claim, Cancelled() if claim.run_id == found[5] else outcomes[claim.job.alias])
    await world.lose(60)
    later = await world.worker("w2")
    for _ in range(4):
        await world.tick(10)
        await later.work(by_step(a=[FAILED, FAILED, Completed()]))
    return found


async def history_of(world: World, runs: list[bytes]) -> dict[str, dict[str, int]]:
    """Return how many runs, tasks and attempts ended in which way, as the API tells."""
    found: dict[str, dict[str, int]] = {"runs": {}, "tasks": {}, "attempts": {}}

    def count(what: str, how: str) -> None:
        found[what][how] = found[what].get(how, 0) + 1

    for run_id in runs:
        count("runs", (await world.run(run_id))["state"])
        for task in await list_tasks(world.engine, run_id):
            count("tasks", task["state"])
        for attempt in await list_attempts(world.engine, run_id):
            count("attempts", attempt["outcome"])
    return found


@pytest.mark.promise("H14", part="prometheus")
async def test_counters_agree_with_history(world: World) -> None:
    await begin(world)
    runs = await mixed(world)
    samples = await scrape(world)
    told = await history_of(world, runs)
    assert {"completed", "failed", "cancelled"} <= told["runs"].keys()
    assert {"completed", "failed", "cancelled", "skipped"} <= told["tasks"].keys()
    assert {"completed", "failed", "lost"} <= told["attempts"].keys()
    for what, label in (("runs", "state"), ("tasks", "state"), ("attempts", "outcome")):
        name = f"windlass_{what}_ended_total"
        assert {how: value(samples, name, **{label: how}) for how in told[what]} == told[what]
        assert value(samples, name) == sum(told[what].values())
    assert value(samples, "windlass_runs_created_total") == len(runs)
    assert value(samples, "windlass_attempts_started_total") == sum(told["attempts"].values())
    assert value(samples, "windlass_attempt_duration_seconds_count") == sum(told["attempts"].values())
    assert value(samples, "windlass_run_start_delay_seconds_count") == 5
    assert value(samples, "windlass_events_uncounted") == 0


async def test_what_was_before_is_not_counted_and_nothing_counts_twice(world: World, monkeypatch: Any) -> None:
    await mixed(world)
    await begin(world)
    assert value(await scrape(world), "windlass_runs_ended_total") is None
    monkeypatch.setattr(history, "PAGE", 3)  # many pages, with their borders in the middle of runs
    runs = await mixed(world)
    first, second = await scrape(world), await scrape(world)
    assert value(first, "windlass_runs_created_total") == len(runs)
    assert value(first, "windlass_tasks_ended_total") == value(second, "windlass_tasks_ended_total")
    told = await history_of(world, runs)
    assert value(second, "windlass_attempts_ended_total") == sum(told["attempts"].values())


async def test_lengths_are_in_seconds(world: World) -> None:
    await begin(world)
    job = await world.define("job", steps={"a": {}})
    await world.submit(job)
    worker = await world.worker()
    world.clock.advance(0.2)
    (claim,) = await worker.take()
    world.clock.advance(3)
    await worker.end(claim)
    samples = await scrape(world)
    assert value(samples, "windlass_run_start_delay_seconds_sum") == pytest.approx(0.2)
    assert value(samples, "windlass_run_start_delay_seconds_bucket", le="0.1") == 0
    assert value(samples, "windlass_run_start_delay_seconds_bucket", le="0.25") == 1
    assert value(samples, "windlass_task_queue_seconds_sum") == pytest.approx(0.2)
    assert value(samples, "windlass_attempt_duration_seconds_sum") == pytest.approx(3)
    assert value(samples, "windlass_run_duration_seconds_bucket", le="5.0") == 1


async def test_what_waits_and_runs_is_shown_with_its_age(world: World) -> None:
    await begin(world)
    job = await world.define("job", queue="slow", steps={"a": {}})
    await world.submit_all(job, [])
    await world.submit(job)
    await world.submit(job)
    worker = await world.worker(slots=4)
    world.clock.advance(5)
    await worker.take(1)
    world.clock.advance(2)
    samples = await scrape(world)
    assert value(samples, "windlass_queue_tasks", queue="slow", state="queued") == 1
    assert value(samples, "windlass_queue_oldest_seconds", queue="slow", state="queued") == 7
    assert value(samples, "windlass_queue_oldest_seconds", queue="slow", state="running") == 2
    assert value(samples, "windlass_runs", state="queued") == 1
    assert value(samples, "windlass_runs", state="running") == 1
    assert value(samples, "windlass_workers", pool="default") == 1
    assert value(samples, "windlass_worker_slots", pool="default") == 4
    assert value(samples, "windlass_worker_slots_used", pool="default") == 1


async def test_commits_of_the_store_are_measured(world: World) -> None:
    await begin(world)
    before = await scrape(world)
    await mixed(world)
    after = await scrape(world)
    for name in ("transaction_seconds", "flush_seconds", "transaction_units"):
        series = f"windlass_store_{name}_count"
        assert (value(after, series) or 0) > (value(before, series) or 0)


@pytest.mark.promise("H14", part="prometheus")
async def test_no_label_grows_without_end(make_world: MakeWorld, monkeypatch: Any) -> None:
    monkeypatch.setattr(history, "MOST_JOBS", 3)
    world = make_world(metrics_jobs=("shop-*",))
    await begin(world)
    for number in range(6):
        for alias in (f"shop-{number}", f"other-{number}"):
            await world.submit(await world.define(alias, queue=f"q{number}", steps={"a": {}}))
    samples = await scrape(world)
    jobs = {dict(labels)["job"] for name, labels in samples if name == "windlass_runs_created_total"}
    assert jobs == {"shop-0", "shop-1", "shop-2", "other"}
    assert value(samples, "windlass_runs_created_total", job="shop-1") == 1
    assert value(samples, "windlass_runs_created_total", job="other") == 9
    await world.close()


async def test_every_metric_has_a_name_of_its_kind(world: World) -> None:
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert bool(family.buckets) == (family.kind == "histogram"), family.name
        assert list(family.buckets) == sorted(set(family.buckets)), family.name
    await begin(world)
    text, media = exposition(await world.engine.metrics.collect(world.engine.store, world.engine.settings), "")
    assert media.startswith("text/plain")
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert f"\n{name} " in text.decode()
    _, media = exposition({}, "application/openmetrics-text; version=1.0.0")
    assert media.startswith("application/openmetrics-text")


async def test_what_left_for_the_archive_is_counted_and_stays_counted(make_world: MakeWorld) -> None:
    world = make_world(retention=60.0)
    archiver = Archiver(world.engine)
    world.engine.metrics.sources.append(archive_figures(world.engine.swept))
    await begin(world)
    await world.submit(await world.define("job", steps={"a": {}}))
    await (await world.worker()).work()
    before = await scrape(world)
    world.clock.advance(7200)
    for _ in range(2):  # the first turn only begins
        await archiver.turn()
    after = await scrape(world)
    left = [value(after, "windlass_archive_runs_total", result=result) or 0 for result in ("archived", "deleted")]
    assert sum(left) == 1
    assert value(after, "windlass_archive_runs_total", result="failed") == 0
    assert value(before, "windlass_archive_last_success_timestamp_seconds") is None
    assert value(after, "windlass_archive_last_success_timestamp_seconds") == world.clock.now() / 1_000_000
    assert value(after, "windlass_archive_sweeps_total", result="done") == 1
    kept = world.engine.store.kind != "memory"
    assert (value(after, "windlass_archive_runs") == 1) == kept
    assert (value(after, "windlass_archive_oldest_timestamp_seconds") is not None) == kept
    assert value(after, "windlass_retention_oldest_timestamp_seconds") is None

    async def broken(*_: object) -> None:
        raise Unavailable("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("windlass.engine.archiving._swept", broken)
        with pytest.raises(Unavailable):
            await archiver.turn()
    await world.submit(await world.define("job", steps={"a": {}}))
    await (await world.worker("w2")).work()
    await archiver.turn()
    later = await scrape(world)
    assert value(later, "windlass_archive_sweeps_total", result="broken") == 1
    assert value(later, "windlass_archive_sweeps_total", result="done") == 2
    assert value(later, "windlass_retention_oldest_timestamp_seconds") == world.clock.now() / 1_000_000
    assert value(after, "windlass_runs_ended_total") == value(before, "windlass_runs_ended_total") == 1
    await world.close()


async def test_what_has_no_label_but_the_job_is_there_before_there_is_anything_to_count(world: World) -> None:
    await begin(world)
    found = await scrape(world)
    plain = {one.name for one in FAMILIES if one.kind == "counter" and one.labels == ("job",)}
    assert "windlass_tasks_cached_total" in plain
    assert {name: value(found, name, job="other") for name in plain} == dict.fromkeys(plain, 0.0)
    states = {state for name, labels in found for key, state in labels if name == "windlass_runs"}
    assert states == {"scheduled", "queued", "running", "waiting"}
