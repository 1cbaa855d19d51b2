"""Runs that are deleted, with everything that they left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.oracle.world import World, by_step
from windlass.engine import archiving, deleting
from windlass.engine.archiving import sweep
from windlass.engine.deleting import delete_marked, delete_run
from windlass.engine.dependencies import Dependency
from windlass.engine.engine import Engine
from windlass.engine.moving_files import artifact_folder
from windlass.engine.reading import get_run, list_runs
from windlass.engine.services.remover import Remover
from windlass.engine.swept import Swept
from windlass.errors import Conflict, NotFound, UserError
from windlass.ids import parse_id
from windlass.model.outcome import Cancelled, ChildRun, Waiting
from windlass.store.archive.catalogue import NewEntry
from windlass.store.archive.leaving import DELETE, Leaving
from windlass.store.runs import RunFilter
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("O10")
ONE: dict[str, Any] = {"a": {}}


async def traces(world: World, run_id: bytes) -> list[str]:
    """Return the tables that still know of a run."""

    def unit(tx: Transaction) -> list[str]:
        found = []
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column.name in {"run_id", "on_id", "parent_id", "root_id"}]
            columns += [table.c.id] if table.name == "runs" else []
            found += [
                table.name
                for column in columns
                if tx.connection.execute(select(column).where(column == run_id)).first()
            ]
        return found

    return await world.engine.store.read(unit)


async def gone(world: World, run_id: bytes) -> None:
    """Delete a run; no table may know of it then."""
    assert await delete_run(world.engine, run_id, by="test")
    world.accepted.remove(run_id)
    assert await traces(world, run_id) == []
    with pytest.raises(NotFound):
        await get_run(world.engine, run_id)


async def test_a_run_that_somebody_else_deletes_too_is_gone_only_once_nothing_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remover has let it go, and is about to remove the rest of it, when a person asks for the same."""
    monkeypatch.setattr("windlass.store.archive.leaving.PORTION", 1)
    run_id = await world.submit(await world.define(steps={"a": {}, "b": {"dependsOn": ["a"]}}))
    await (await world.worker()).work()
    real = deleting.remove_runs

    async def behind_another(engine: Engine, run_ids: list[bytes]) -> int:
        marks = await engine.store.read(archiving._marks_of, run_ids)
        ready = [Leaving(NewEntry(one, DELETE, "", "", 0, ""), mark) for one, mark in marks]
        assert await archiving._leave(engine, ready, Swept()) == [run_id]
        assert await traces(world, run_id) != []
        return await real(engine, run_ids)

    monkeypatch.setattr(deleting, "remove_runs", behind_another)
    await gone(world, run_id)


async def test_a_final_run_is_deleted_with_its_files_and_its_key(world: World) -> None:
    job = await world.define(steps=ONE)
    run_id = await world.submit(job, labels={"a": "b"}, idempotency_key="k")
    await (await world.worker()).work()
    folder = artifact_folder(world.engine, run_id)
    await gone(world, run_id)
    assert not folder.exists()
    assert await world.submit(job, idempotency_key="k", note="anew") != run_id


async def test_a_live_run_is_cancelled_first(world: World) -> None:
    run_id = await world.submit(await world.define(steps=ONE))
    await gone(world, run_id)


async def test_a_run_that_does_not_stop_at_once_is_deleted_at_its_end(kept_world: World) -> None:
    world = kept_world
    run_id = await world.submit(await world.define(steps=ONE))
    worker = await world.worker()
    claim = await worker.take_one()
    assert not await delete_run(world.engine, run_id)
    assert not await delete_run(world.engine, run_id)
    run = await world.run(run_id)
    assert (run["state"], run["deleting"]) == ("running", True)
    assert await delete_marked(world.engine)
    await worker.end(claim, Cancelled())
    world.clock.advance(100 * 86_400)
    await sweep(world.engine)
    assert (await world.run(run_id))["state"] == "cancelled", "what is to be deleted is not archived"
    await world.reopen()
    assert not await delete_marked(world.engine)
    world.accepted.remove(run_id)
    assert await traces(world, run_id) == []


async def test_a_mark_outlives_a_restart_that_ends_the_run(kept_world: World) -> None:
    world = kept_world
    run_id = await world.submit(await world.define(steps=ONE))
    other = await world.submit(await world.define(steps=ONE))
    await (await world.worker()).take()
    assert not await delete_run(world.engine, run_id)
    await world.reopen()
    assert not await delete_marked(world.engine)
    world.accepted.remove(run_id)
    assert await traces(world, run_id) == []
    assert (await world.run(other))["state"] == "failed"


async def test_the_remover_looks_often_while_something_is_marked(world: World) -> None:
    run_id = await world.submit(await world.define(steps=ONE))
    worker = await world.worker()
    claim = await worker.take_one()
    remover, hinted = Remover(world.engine), asyncio.Event()
    world.engine.store.on_hint("deleting", hinted.set)
    idle = await remover.turn()
    assert not await delete_run(world.engine, run_id)
    await asyncio.wait_for(hinted.wait(), 10)
    assert await remover.turn() < 1 < idle
    await worker.end(claim, Cancelled())
    assert await remover.turn() == idle
    world.accepted.remove(run_id)


async def test_a_child_that_is_needed_is_not_deleted(world: World) -> None:
    await world.define("child", steps={"c": {}})
    parent = await world.submit(await world.define(steps={**ONE, "b": {}}))
    worker = await world.worker()
    await worker.work(by_step(a=Waiting(0, "", child=ChildRun("child"))), most=2)
    run_id = parse_id((await list_runs(world.engine, RunFilter(parent_id=parent)))[0][0]["id"])
    assert run_id is not None
    await world.tick()
    with pytest.raises(Conflict, match="is still needed by another run"):
        await delete_run(world.engine, run_id)
    assert not (await world.run(run_id))["deleting"]


async def test_a_live_child_goes_when_its_parent_has_ended(world: World) -> None:
    await world.define("child", steps={"c": {}})
    parent = await world.submit(await world.define(steps={**ONE, "b": {"triggerRule": "all_done"}}))
    worker = await world.worker()
    await worker.work(by_step(a=Waiting(0, "", child=ChildRun("child"))), most=1)
    child = parse_id((await list_runs(world.engine, RunFilter(parent_id=parent)))[0][0]["id"])
    assert child is not None
    assert not await delete_run(world.engine, child)
    assert await delete_marked(world.engine)
    await worker.work()
    assert (await world.run(parent))["state"] == "failed"
    assert not await delete_marked(world.engine)
    assert await traces(world, child) == []


async def test_children_go_with_it_but_for_those_that_go_on(world: World) -> None:
    child = await world.define("child", steps={"c": {}})
    run_id = await world.submit(await world.define(steps=ONE))
    worker = await world.worker()
    loose = await world.submit(child, parent_id=run_id, root_id=run_id, cascade=False, delay=60.0)
    tied = await world.submit(child, parent_id=run_id, root_id=run_id, delay=60.0)
    await worker.work(by_step(a=Waiting(0, "", child=ChildRun("child"))))
    await world.tick()
    assert (await world.run(run_id))["state"] == "completed"
    await gone(world, run_id)
    world.accepted.remove(tied)
    assert (await world.run(loose))["parentId"] is None
    with pytest.raises(NotFound):
        await get_run(world.engine, tied)


async def test_a_run_whose_parent_goes_on_stays_whole(world: World) -> None:
    job = await world.define(steps=ONE)
    parent = await world.submit(job)
    run_id = await world.submit(job, parent_id=parent, root_id=parent, idempotency_key="k")
    below = await world.submit(job, parent_id=run_id, root_id=parent)
    loose = await world.submit(job, parent_id=run_id, root_id=parent, cascade=False)
    assert not await delete_run(world.engine, run_id)
    for child in (below, loose):
        assert (await world.run(child))["parentId"] == (await world.run(run_id))["id"]
    with pytest.raises(UserError, match="already stands for run"):
        await world.submit(job, idempotency_key="k", note="other")


async def test_what_waited_for_a_deleted_run_is_told_of_its_end(world: World) -> None:
    job = await world.define(steps=ONE)
    run_id = await world.submit(job)
    waiting = await world.submit(job, depends_on=[Dependency(run_id)])
    await delete_run(world.engine, run_id)
    world.accepted.remove(run_id)
    assert (await world.run(waiting))["reason"] == "dependency_failed"


async def test_a_run_that_is_not_there_cannot_be_deleted(world: World) -> None:
    with pytest.raises(NotFound, match="There is no run"):
        await delete_run(world.engine, b"x" * 16)


async def test_the_late_end_of_an_attempt_leaves_nothing_of_a_deleted_run(world: World) -> None:
    run_id = await world.submit(await world.define(steps=ONE))
    worker = await world.worker()
    claim = await worker.take_one()
    await world.lose()
    await gone(world, run_id)
    await worker.end(claim)
    assert await traces(world, run_id) == []
