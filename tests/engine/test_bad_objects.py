"""One bad object harms nobody else: reports that cannot be kept, revisions that cannot be read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import insert, update

from tests.oracle.world import World
from windlass.clock import SECOND
from windlass.engine.reading import list_runs
from windlass.engine.submission import Prepared
from windlass.ids import id_text
from windlass.model.manifest.canonical import from_job
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, Waiting
from windlass.store.runs import RunFilter
from windlass.store.tables import revisions, runs, tasks
from windlass.store.transaction import Transaction

HALF = "\udcff half a letter"
DEEP: Any = {}
for _ in range(2000):
    DEEP = {"n": DEEP}


@pytest.mark.parametrize(
    "outcome",
    [
        Failed("error", f"no such file: {HALF}"),
        Failed("error", "no", reason=HALF),
        Failed("error", "no", outputs={HALF: HALF}),
        Skipped(HALF),
        Completed({"n": 2**70}),
        Completed({"n": object()}),
        Completed({"n": {1, 2}}),
        Completed({HALF: "n"}),
        Completed({"n": DEEP}),
        Completed({"n": 1}, exit_code=2**80),
        Waiting(2**80, "for ever"),
        Waiting(10, HALF, outputs={"n": object()}),
    ],
    ids=lambda outcome: f"{type(outcome).__name__}",
)
async def test_a_report_that_cannot_be_kept_ends_its_own_task_alone(world: World, outcome: Outcome) -> None:
    job = await world.define(steps={"a": {"retry": {"attempts": 3, "delay": 0}}, "b": {"triggerRule": "all_done"}})
    bad, good = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    first, second = await worker.take()
    await worker.exchange([worker.report(first, outcome), worker.report(second, Completed())])
    await worker.work()
    await world.tick(31 * 24 * 3600)
    assert (await world.run(good))["state"] == "completed"
    assert (await world.run(bad))["finishedAt"] is not None


async def test_a_run_whose_end_cannot_be_written_is_set_aside_alone(world: World) -> None:
    job = await world.define(steps={"a": {}})
    bad, good = await world.submit(job), await world.submit(job)
    worker = await world.worker()
    claims = await worker.take()

    def spoil_end(tx: Transaction) -> None:
        row = {"run_id": bad, "task": 0, "state": "completed", "attempt": 1, "outcome": "completed", "ended_at": tx.now}
        tx.connection.execute(insert(tasks).values(row))

    await world.engine.store.run(spoil_end)
    await worker.exchange([worker.report(claim, Completed()) for claim in claims])
    assert (await world.run(good))["state"] == "completed"
    run = await world.run(bad)
    assert (run["state"], run["reason"]) == ("failed", "internal_error")

    def mend_end(tx: Transaction) -> None:  # so that rows and events agree again, which is looked at in the end
        tx.connection.execute(update(tasks).where(tasks.c.run_id == bad).values(state="failed", outcome="failed"))
        tx.connection.execute(update(runs).where(runs.c.id == bad).values(counts='{"failed":1}'))
        tx.cursor.execute("DELETE FROM wrong_moves")

    await world.engine.store.run(mend_end)


async def spoil(world: World, job: Prepared, content: str) -> None:
    """Make a revision unreadable, as a defect or a newer program might."""

    def unit(tx: Transaction) -> None:
        tx.connection.execute(update(revisions).where(revisions.c.id == job.job.revision_id).values(content=content))

    await world.engine.store.run(unit)
    world.engine.jobs.forget(job.job.revision_id)


async def mend(world: World, job: Prepared, run_id: bytes) -> str:
    """Bring the revision back and return the state of a run, which can be read again."""
    await spoil(world, job, orjson.dumps(from_job(job.job.job)).decode())
    return str((await world.run(run_id))["state"])


UNREADABLE = ["", "[]", "{}", '{"metadata": {"alias": "x"}, "steps": [{"name": "a"}]}']
TWO: dict[str, Any] = {"a": {"onWorkerLost": "retry"}, "b": {"triggerRule": "always"}, "c": {"triggerRule": "always"}}


@pytest.mark.parametrize("content", UNREADABLE)
async def test_a_run_that_cannot_be_read_when_it_is_taken_is_set_aside(world: World, content: str) -> None:
    job, other = await world.define(steps=TWO), await world.define("other", steps={"a": {}})
    bad, good = await world.submit(job), await world.submit(other)
    await spoil(world, job, content)
    worker = await world.worker()
    assert [claim.run_id for claim in await worker.take()] == [good]
    assert await mend(world, job, bad) == "failed"
    run = await world.run(bad)
    assert (run["reason"], run["counts"]) == ("internal_error", {"failed": 1, "cancelled": 2})
    assert run["error"]["message"].startswith("An unexpected ")


async def test_a_run_that_cannot_be_read_at_the_end_of_an_attempt_is_set_aside(world: World) -> None:
    job, other = await world.define(steps=TWO), await world.define("other", steps={"a": {}, "b": {}})
    bad, good = await world.submit(job), await world.submit(other)
    worker = await world.worker()
    first, second = await worker.take()
    await spoil(world, job, "")
    await worker.exchange([worker.report(claim, Completed()) for claim in (first, second)])
    assert await worker.work() == ["b"]
    assert (await world.run(good))["state"] == "completed"
    assert await mend(world, job, bad) == "failed"
    assert await world.attempts(bad) == [("a", 1, "failed")]


async def test_what_else_runs_of_it_is_asked_to_stop(world: World) -> None:
    job = await world.define(steps={"m": {"matrix": {"n": [1, 2, 3]}}, "sweep": {"triggerRule": "always"}})
    bad = await world.submit(job)
    worker = await world.worker()
    first, second, third = await worker.take()
    await spoil(world, job, "")
    exchange = await worker.end(first)
    assert [stop[0] for stop in exchange.stops] == [second.queue_id, third.queue_id]
    await worker.end(second, Cancelled())
    await worker.end(third, Failed("exit", "no", 143))
    assert await mend(world, job, bad) == "failed"
    assert (await world.run(bad))["counts"] == {"failed": 3, "cancelled": 1}


@pytest.mark.parametrize("how", ["cancel", "lose", "expire", "wait"])
async def test_a_run_that_cannot_be_read_ends_however_it_is_touched(world: World, how: str) -> None:
    job, other = await world.define(timeout=600, steps=TWO), await world.define("other", timeout=600, steps={"a": {}})
    bad, good = await world.submit(job), await world.submit(other)
    worker = await world.worker()
    first, second = await worker.take()
    for claim in (first, second) if how == "wait" else ():
        await worker.end(claim, Waiting(world.clock.now() + SECOND, "a second"))
    await spoil(world, job, "")
    match how:
        case "cancel":
            await world.cancel(bad)
            await worker.end(first, Cancelled())
            await worker.end(second)
        case "lose":
            await world.lose()
        case "expire":
            for _ in range(3):
                assert await world.tick(600) != world.clock.now()
            await worker.end(first, Cancelled())
            await worker.end(second, Cancelled())
        case "wait":
            await world.tick(1)
    assert (await world.run(good))["finishedAt"] is not None
    assert await mend(world, job, bad) == "failed"
    assert await worker.take() == []


@pytest.mark.parametrize("how", ["cancel", "expire"])
async def test_a_scheduled_run_that_cannot_be_read_ends_too(world: World, how: str) -> None:
    job = await world.define(timeout=600, steps=TWO)
    run_id = await world.submit(job, scheduled_at=world.clock.now() + 60 * SECOND)
    await spoil(world, job, "")
    if how == "cancel":
        await world.cancel(run_id)
    else:
        await world.tick(660)
    assert await mend(world, job, run_id) == "failed"
    assert set((await world.states(run_id)).values()) == {"cancelled"}


async def test_a_step_whose_expressions_are_not_understood_reaches_its_worker(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {"config": {"message": "x"}}})
    run_id = await world.submit(job)
    content = orjson.dumps(from_job(job.job.job)).decode().replace('"message":"x"', '"message":"${{ 1 + }}"')
    await spoil(world, job, content)
    worker = await world.worker()
    await worker.end(await worker.take_one())
    claim = await worker.take_one()
    assert set(claim.results) == {"a"}
    await worker.end(claim, Failed("expression", "there is nothing after +", reason="expression_error"))
    assert (await world.task(run_id, "b"))["reason"] == "expression_error"


async def test_one_run_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    job, other = await world.define(steps={"a": {}}), await world.define("other", steps={"a": {}})
    bad, good = await world.submit(job, parameters={"token": "secret"}), await world.submit(other)
    await spoil(world, job, "")
    shown, _ = await list_runs(world.engine, RunFilter())
    assert [run["id"] for run in shown] == [id_text(good), id_text(bad)]
    assert shown[1]["parameters"] == {"token": "***"}
    assert await mend(world, job, bad) == "queued"
