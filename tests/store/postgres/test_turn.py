"""The common exchange of a busy worker on PostgreSQL: one statement, after which everything is as it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.oracle.world import ScriptedWorker, World
from windlass.clock import SECOND
from windlass.engine.claim import Claim, Exchange
from windlass.engine.dependencies import Dependency
from windlass.engine.dispatching import pause_queue
from windlass.engine.queue import WorkerFace
from windlass.engine.queues import company
from windlass.engine.queues import store as queues
from windlass.engine.queues.store import StoreQueue
from windlass.engine.reading import list_runs
from windlass.engine.services.reconciler import Reconciler
from windlass.engine.submission import Prepared, Submission
from windlass.ids import id_text
from windlass.model.outcome import Completed, Failed, Outcome
from windlass.store.postgres.store import PostgresStore
from windlass.store.programs import Program, forget_program, note_program
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction, beside_others

#: As many ends at once make a streak.
_MANY: Final = 10


@pytest.fixture
async def world(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[World]:
    name = in_a_loop(postgres.made())
    found = World(postgres.url(name), tmp_path)
    yield found
    await found.assert_sound()
    await found.close()
    in_a_loop(postgres.drop(name))


async def begun_in_a_streak(
    world: World, worker: ScriptedWorker, job: Prepared | None = None
) -> tuple[list[Claim], Exchange]:
    """Return tasks that ended together, and the exchange that took others for them."""
    job = job or await world.define("short", steps={"a": {}})
    await world.submit_all(job, [Submission()] * (2 * _MANY))
    first = await worker.take(_MANY)
    return first, await end_all(worker, first, _MANY)


async def end_all(worker: ScriptedWorker, claims: list[Claim], capacity: int = 0, **ends: Outcome) -> Exchange:
    reports = [worker.report(claim, ends.get(id_text(claim.run_id), Completed())) for claim in claims]
    return await worker.exchange(reports, capacity)


async def rows(world: World, claims: list[Claim]) -> set[tuple[str, int | None]]:
    """Return what the rows of runs say: their state, and when they began."""

    def unit(tx: Transaction) -> set[tuple[str, int | None]]:
        found = (
            tx.cursor.execute("SELECT state, started_at FROM runs WHERE id = ?", (claim.run_id,)).fetchone()
            for claim in claims
        )
        return set(found)

    return await world.engine.store.read(unit)


async def seen(world: World, claims: list[Claim]) -> set[tuple[str, str | None]]:
    """Return what readers see of runs, alone and in lists: their state, and when they began."""
    alone = [await world.run(claim.run_id) for claim in claims]
    ids = {run["id"] for run in alone}
    found, _ = await list_runs(world.engine, RunFilter(limit=200))
    listed = [run for run in found if run["id"] in ids]
    assert len(listed) == len(alone)
    return {(run["state"], run["startedAt"]) for run in (*alone, *listed)}


TOLD: Final = ["run.created", "run.queued", "task.queued 0", "run.started", "task.started 0"]


async def test_short_runs_are_written_once_and_told_of_wholly(world: World) -> None:
    worker = await world.worker()
    first, exchange = await begun_in_a_streak(world, worker)
    assert await rows(world, exchange.claims) == {("queued", None)}
    began = (await world.task(exchange.claims[0].run_id, "a"))["startedAt"]
    assert await seen(world, exchange.claims) == {("running", began)}
    assert exchange.again is not None
    for claim in exchange.claims:
        assert await world.told(claim.run_id) == TOLD
        assert (claim.attempt, claim.started_at) == (1, world.clock.now())
    await end_all(worker, exchange.claims)
    for claim in (*first, *exchange.claims):
        assert await world.told(claim.run_id) == [*TOLD, "task.completed 0", "run.completed"]
        run = await world.run(claim.run_id)
        assert (run["state"], run["counts"]) == ("completed", {"completed": 1})
        assert run["startedAt"] == run["finishedAt"] != None  # noqa: E711 - both, on a clock that stands still


async def test_beside_an_older_program_each_start_is_written_to_its_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "_LOOKED", 0.0)
    worker = await world.worker()
    older = Program("older", "0", "0021")
    await world.engine.store.run(note_program, older, 60 * SECOND)
    _, exchange = await begun_in_a_streak(world, worker)
    assert await rows(world, exchange.claims) == {("running", world.clock.now())}
    assert {tuple(await world.told(claim.run_id)) for claim in exchange.claims} == {tuple(TOLD)}
    await end_all(worker, exchange.claims)
    await world.engine.store.run(forget_program, older.instance)
    _, exchange = await begun_in_a_streak(world, worker)
    assert await rows(world, exchange.claims) == {("queued", None)}
    await end_all(worker, exchange.claims)


@pytest.mark.parametrize("of", [RunFilter(limit=200), RunFilter(project="default", limit=200)])
async def test_a_list_shows_runs_in_the_states_that_were_asked_for(world: World, of: RunFilter) -> None:
    job = await world.define("short", steps={"a": {}})
    _, exchange = await begun_in_a_streak(world, await world.worker(), job)
    (waiting,) = await world.submit_all(job, [Submission()])

    async def listed(*states: str) -> dict[str, str]:
        found, _ = await list_runs(world.engine, replace(of, states=states))
        return {run["id"]: run["state"] for run in found}

    begun = {id_text(claim.run_id): "running" for claim in exchange.claims}
    assert await listed("queued") == {id_text(waiting): "queued"}
    assert await listed("queued", "failed") == {id_text(waiting): "queued"}
    assert await listed("queued", "running") == begun | {id_text(waiting): "queued"}
    everything = await listed()
    assert everything.items() >= begun.items()


@pytest.mark.parametrize("alone", [True, False])
async def test_a_worker_hears_what_the_clock_says_not_what_it_said_when_a_unit_before_it_began(
    postgres_store: PostgresStore, world: World, *, alone: bool
) -> None:
    heard: list[int] = []
    queue = StoreQueue(world.engine, WorkerFace(name="w", host="h", pid=1, slots=1), hear=heard.append)
    waited = 3600 * SECOND

    def unit(tx: Transaction) -> int:
        tx.now -= waited  # as behind a unit that waited for so long
        tx.read_at -= waited / SECOND
        queue.exchange_within(tx, 0, (), 0)
        return tx.now

    began = await postgres_store.run(unit if alone else beside_others(unit))
    assert [said - began > waited - SECOND for said in heard] == [True]


async def test_a_run_that_does_not_end_at_once_says_so_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await world.worker()
    _, exchange = await begun_in_a_streak(world, worker)
    began = world.clock.now()
    world.clock.advance(1)
    monkeypatch.setattr(queues, "_LATE", -1.0)
    short, long = exchange.claims[:4], exchange.claims[4:]
    await end_all(worker, short)
    assert await rows(world, long) == {("running", began)}
    for claim in long:
        assert await world.told(claim.run_id) == TOLD
    await end_all(worker, long)
    assert {state for state, _ in await rows(world, exchange.claims)} == {"completed"}


async def test_it_is_said_at_the_next_exchange_where_one_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await world.worker()
    _, exchange = await begun_in_a_streak(world, worker)
    monkeypatch.setattr(queues, "_LATE", -1.0)
    beside = queues.StoreQueue._exchange_beside_others

    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(queues.StoreQueue, "_exchange_beside_others", broken)
        with pytest.raises(RuntimeError):
            await worker.exchange()
    assert queues.StoreQueue._exchange_beside_others is beside
    await worker.exchange()
    assert {state for state, _ in await rows(world, exchange.claims)} == {"running"}


async def test_a_worker_that_is_gone_leaves_runs_that_had_begun(world: World) -> None:
    _, exchange = await begun_in_a_streak(world, await world.worker())
    began = world.clock.now()
    assert await world.lose() == _MANY
    assert await rows(world, exchange.claims) == {("failed", began)}
    for claim in exchange.claims:
        assert await world.told(claim.run_id) == [*TOLD, "task.lost 0", "task.failed 0", "run.failed"]


async def test_ends_of_all_kinds_follow_a_streak(world: World) -> None:
    job = await world.define("short", steps={"a": {"retry": {"attempts": 2, "delay": 0, "jitter": False}}})
    worker = await world.worker()
    _, exchange = await begun_in_a_streak(world, worker, job)
    failing, cancelled, waiting, *others = exchange.claims
    await world.cancel(cancelled.run_id)
    (after,) = await world.submit_all(job, [Submission(depends_on=(Dependency(waiting.run_id, "success"),))])
    await end_all(worker, exchange.claims, **{id_text(failing.run_id): Failed("exit", "no", 1)})
    assert {state for state, _ in await rows(world, others)} == {"completed"}
    assert (await world.run(cancelled.run_id))["state"] == "completed"
    assert (await world.run(failing.run_id))["state"] == "running"
    await world.tick(1)
    assert (await world.run(after))["state"] == "queued"
    assert sorted(await worker.work()) == ["a", "a"]


async def test_nothing_is_taken_of_a_queue_that_was_paused_meanwhile(world: World) -> None:
    worker = await world.worker()
    job = await world.define("short", steps={"a": {}})
    await world.submit_all(job, [Submission()] * (3 * _MANY))
    claims = (await end_all(worker, await worker.take(_MANY), _MANY)).claims
    await pause_queue(world.engine, "default", by="test")
    assert (await end_all(worker, claims, _MANY)).claims == []
    assert {state for state, _ in await rows(world, claims)} == {"completed"}


async def test_what_must_be_looked_at_first_is_taken_behind_what_need_not(world: World) -> None:
    short = await world.define("short", steps={"a": {}})
    asked = await world.define("asked", steps={"b": {"when": "${{ 1 < 2 }}"}})
    worker = await world.worker()
    await world.submit_all(short, [Submission()] * _MANY)
    claims = await worker.take(_MANY)
    await world.submit_all(asked, [Submission()] * 3)
    await world.submit_all(short, [Submission()] * 3)
    exchange = await end_all(worker, claims, _MANY)
    assert sorted((claim.step.name, claim.started_at is None) for claim in exchange.claims) == [
        *[("a", False)] * 3,
        *[("b", True)] * 3,
    ]
    for claim in exchange.claims:
        if claim.started_at is None:
            assert await worker.queue.start(claim)
    await end_all(worker, exchange.claims)


async def test_the_same_reports_again_change_nothing(world: World) -> None:
    worker = await world.worker()
    first, exchange = await begun_in_a_streak(world, worker)
    again = await end_all(worker, [*first, *exchange.claims])
    assert again.claims == []
    assert {state for state, _ in await rows(world, [*first, *exchange.claims])} == {"completed"}
    for claim in first:
        assert (await world.told(claim.run_id))[-1] == "task.late 0"


async def test_the_reconciler_leaves_a_streak_alone_but_not_for_ever(world: World) -> None:
    worker = await world.worker()
    _, exchange = await begun_in_a_streak(world, worker)
    assert await Reconciler(world.engine).whole() == 0
    world.clock.advance(60)
    assert await Reconciler(world.engine).whole() == _MANY
    assert {state for state, _ in await rows(world, exchange.claims)} == {"running"}
    await end_all(worker, exchange.claims)
