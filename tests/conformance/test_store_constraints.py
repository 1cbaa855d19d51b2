"""The invariants that the database itself keeps, whatever a unit tries."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, insert, select
from sqlalchemy.exc import IntegrityError

from windlass.model.state import RUN_FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES
from windlass.store import tables
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

RUN = {
    "id": b"r" * 16,
    "project": "default",
    "job_id": b"j" * 16,
    "revision_id": 1,
    "state": "queued",
    "priority": 5,
    "queue": "default",
    "parameters": "{}",
    "created_at": 1,
    "deadline": 2,
}
QUEUED = {
    "run_id": b"r" * 16,
    "task": 0,
    "revision_id": 1,
    "state": "queued",
    "route_id": 1,
    "priority": 5,
    "due": 1,
    "rank": 1,
}
TASK = {"run_id": b"r" * 16, "task": 0, "state": "completed", "attempt": 1, "ended_at": 1}
ATTEMPT = {"run_id": b"r" * 16, "task": 0, "number": 1, "outcome": "lost"}
JOB = {
    "id": b"j" * 16,
    "project": "default",
    "alias": "a",
    "revision": 1,
    "labels": "{}",
    "created_at": 1,
    "updated_at": 1,
}
REVISION = {"job_id": b"j" * 16, "number": 1, "digest": "d", "content": "{}", "created_at": 1}
ROUTE = {"queue": "default", "pool": "default", "labels": "{}"}
KEY = {"project": "default", "key": "k", "digest": "d", "run_id": b"r" * 16, "expires_at": 1}
CHUNK = {"run_id": b"r" * 16, "task": 0, "attempt": 1, "seq": 1, "at": 1, "stream": "stdout", "data": b""}
ARTIFACT = {
    "run_id": b"r" * 16,
    "task": 0,
    "name": "n",
    "attempt": 1,
    "size": 0,
    "sha256": "s",
    "path": "p",
    "created_at": 1,
}


def add(tx: Transaction, table: Table, *rows: dict[str, Any]) -> None:
    for row in rows:
        tx.connection.execute(insert(table), row)


def count(tx: Transaction, table: Table) -> int:
    return len(tx.connection.execute(select(table)).all())


async def accepted(store: SqliteStore, table: Table, *rows: dict[str, Any]) -> None:
    await store.run(add, table, *rows)
    assert await store.read(count, table) == len(rows)


async def refused(store: SqliteStore, table: Table, *rows: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        await store.run(add, table, *rows)
    assert await store.read(count, table) == 0


@pytest.mark.parametrize("state", sorted(RUN_MOVES))
async def test_a_run_is_finished_exactly_while_its_state_is_final(store: SqliteStore, state: str) -> None:
    finished = 5 if state in RUN_FINAL else None
    await refused(store, tables.runs, RUN | {"state": state, "finished_at": None if finished else 5})
    await accepted(store, tables.runs, RUN | {"state": state, "finished_at": finished})


@pytest.mark.parametrize("state", ["", "Completed", "succeeded", "skipped"])
async def test_a_run_has_no_other_state(store: SqliteStore, state: str) -> None:
    await refused(store, tables.runs, RUN | {"state": state})


@pytest.mark.parametrize("state", sorted(TASK_MOVES))
async def test_the_queue_holds_live_tasks_and_the_history_final_ones(store: SqliteStore, state: str) -> None:
    held = {"worker_id": 1, "started_at": 1, "wake_at": 1}
    await (refused if state in TASK_FINAL else accepted)(store, tables.queue, QUEUED | held | {"state": state})
    await (accepted if state in TASK_FINAL else refused)(store, tables.tasks, TASK | {"state": state})


async def test_a_running_task_has_a_worker_and_a_start(store: SqliteStore) -> None:
    for missing in ({"worker_id": 1}, {"started_at": 1}, {}):
        await refused(store, tables.queue, QUEUED | {"state": "running"} | missing)


@pytest.mark.parametrize("state", ["scheduled", "waiting"])
async def test_who_waits_has_somebody_to_look_after_it(store: SqliteStore, state: str) -> None:
    await refused(store, tables.queue, QUEUED | {"state": state})


@pytest.mark.parametrize(
    ("table", "row", "other"),
    [
        (tables.runs, RUN, {"project": "other"}),
        (tables.queue, QUEUED, {"state": "pending"}),
        (tables.tasks, TASK, {"state": "failed"}),
        (tables.attempts, ATTEMPT, {"outcome": "failed"}),
        (tables.jobs, JOB, {"id": b"k" * 16}),
        (tables.jobs, JOB, {"alias": "b"}),
        (tables.routes, ROUTE, {}),
        (tables.idempotency_keys, KEY, {"run_id": b"s" * 16}),
        (tables.log_chunks, CHUNK, {"data": b"other"}),
        (tables.artifacts, ARTIFACT, {"size": 1}),
    ],
)
async def test_there_is_one_of_each(
    store: SqliteStore, table: Table, row: dict[str, Any], other: dict[str, Any]
) -> None:
    await refused(store, table, row, row | other)


@pytest.mark.parametrize(
    "other",
    [{"project": "other"}, {"deleted_at": 3}, {"listed": 0}, {"alias": "b"}],
)
async def test_a_name_is_free_in_other_projects_after_deletion_and_to_unlisted_jobs(
    store: SqliteStore, other: dict[str, Any]
) -> None:
    await accepted(store, tables.jobs, JOB, JOB | {"id": b"k" * 16} | other)


async def test_a_revision_belongs_to_a_job_and_has_its_own_number(store: SqliteStore) -> None:
    await refused(store, tables.revisions, REVISION)
    await store.run(add, tables.jobs, JOB)
    await refused(store, tables.revisions, REVISION, REVISION | {"digest": "e"})
    await accepted(store, tables.revisions, REVISION, REVISION | {"number": 2})


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (tables.runs, RUN),
        (tables.queue, QUEUED),
        (tables.tasks, TASK),
        (tables.attempts, ATTEMPT),
        (tables.jobs, JOB),
        (tables.routes, ROUTE),
        (tables.idempotency_keys, KEY),
        (tables.log_chunks, CHUNK),
        (tables.artifacts, ARTIFACT),
    ],
)
async def test_every_value_that_must_be_there_is_missed(store: SqliteStore, table: Table, row: dict[str, Any]) -> None:
    for name in row:
        await refused(store, table, row | {name: None})
    await accepted(store, table, row)
