"""Everything that a store says about its runs, read in one view."""

from __future__ import annotations

import json  # another reader than the one under test
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, Table, select

from windlass.engine.book import plain_layout
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.model.event import Event
from windlass.model.fanout import Expansion
from windlass.model.graph import TaskLayout
from windlass.store.event_cursor import BEGINNING
from windlass.store.events import events_after
from windlass.store.runs import AS_SEEN
from windlass.store.tables import attempts, jobs, queue, revisions, run_dependencies, tasks, workers
from windlass.store.transaction import Transaction


class Started(NamedTuple):
    """One attempt that was started; the outcome is None while it runs."""

    number: int
    outcome: str | None
    started_at: int
    finished_at: int | None
    #: Why it ended badly, as JSON.
    error: str | None = None


@dataclass(frozen=True)
class RunPicture:
    """One run with all its rows."""

    row: Row[Any]
    job: CompiledJob
    layout: TaskLayout
    live: Mapping[int, Row[Any]]
    final: Mapping[int, Row[Any]]
    attempts: Mapping[int, list[Started]]
    events: list[Event]

    @property
    def name(self) -> str:
        """Short text for messages."""
        return f"run {self.row.id.hex()[-8:]} of {self.job.alias}"

    def step_of(self, task: int) -> int:
        """Return the number of the step that a task stands for."""
        return next(step for step in range(len(self.job.rules)) if task in self.layout.tasks(step))

    def state_of(self, task: int) -> str:
        """Return the state of a task."""
        return str((self.final.get(task) or self.live[task]).state)


@dataclass(frozen=True)
class Snapshot:
    """All runs, and the workers by number."""

    runs: Mapping[bytes, RunPicture]
    workers: Mapping[int, Row[Any]]
    #: The runs that a run still waits for.
    waits: Mapping[bytes, list[bytes]]
    #: How many runs of a job go on at the same time by its newest revision; jobs that say nothing are left out.
    limits: Mapping[bytes, int]


def take_snapshot(tx: Transaction, engine: Engine) -> Snapshot:
    """Read everything within one transaction."""
    events: dict[bytes, list[Event]] = defaultdict(list)
    after = BEGINNING
    while found := events_after(tx, after):
        after = found[-1].cursor
        for event in found:
            events[event.run_id or b""].append(event)
    live, final, earlier = _by_run(tx, queue), _by_run(tx, tasks), _by_run(tx, attempts)
    pictures = {}
    for row in tx.connection.execute(select(*AS_SEEN)):
        job = compiled(tx, engine.jobs, row.revision_id)
        pictures[row.id] = RunPicture(
            row=row,
            job=job,
            layout=_layout(row.expansion, job),
            live={one.task: one for one in live[row.id]},
            final={one.task: one for one in final[row.id]},
            attempts=_attempts(live[row.id], final[row.id], earlier[row.id]),
            events=events[row.id],
        )
    waits: dict[bytes, list[bytes]] = defaultdict(list)
    for row in tx.connection.execute(select(run_dependencies).where(run_dependencies.c.settled == 0)):
        waits[row.run_id].append(row.on_id)
    return Snapshot(pictures, {row.id: row for row in tx.connection.execute(select(workers))}, waits, _limits(tx))


def _limits(tx: Transaction) -> dict[bytes, int]:
    newest = select(jobs.c.id, revisions.c.content).join(
        revisions, (revisions.c.job_id == jobs.c.id) & (revisions.c.number == jobs.c.revision)
    )
    found = {row.id: json.loads(row.content).get("concurrency") for row in tx.connection.execute(newest)}
    return {job_id: concurrency["limit"] for job_id, concurrency in found.items() if concurrency}


def _by_run(tx: Transaction, table: Table) -> dict[bytes, list[Row[Any]]]:
    rows: dict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in tx.connection.execute(select(table)):
        rows[row.run_id].append(row)
    return rows


def _layout(expansion: str | None, job: CompiledJob) -> TaskLayout:
    return plain_layout(len(job.rules)) if expansion is None else Expansion.from_json(json.loads(expansion)).layout()


def _attempts(live: list[Row[Any]], final: list[Row[Any]], earlier: list[Row[Any]]) -> dict[int, list[Started]]:
    found: dict[int, list[Started]] = defaultdict(list)
    for row in earlier:
        found[row.task].append(Started(row.number, row.outcome, row.started_at, row.finished_at, row.error))
    for row in final:
        if row.outcome is not None:
            found[row.task].append(Started(row.attempt, row.outcome, row.started_at, row.finished_at, row.error))
    for row in live:
        if row.state == "running":
            found[row.task].append(Started(row.attempt, None, row.started_at, None))
        elif row.state == "waiting":
            found[row.task].append(Started(row.attempt, "rescheduled", row.started_at, None))
    return {task: sorted(started) for task, started in found.items()}
