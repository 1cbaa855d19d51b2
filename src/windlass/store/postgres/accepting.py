# ruff: noqa: S608 - the only texts put together here are constants of this module
"""Runs that the units of one transaction accept: inserted together at its end, in one statement for all callers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from windlass.store.postgres.arrays import arrays_of, columns_of
from windlass.store.rows import NewFact, NewRun, NewTask
from windlass.store.transaction import MustBeAlone, Transaction

_RUN: Final = ", ".join(NewRun._fields)
_TASK: Final = ", ".join(NewTask._fields)
_FACT: Final = "types, run_id, task, at, data"
_ACCEPT: Final = (
    "WITH jobs AS (SELECT count(*) = ?::bigint AS startable FROM jobs "
    "WHERE id = ANY(?::bytea[]) AND enabled <> 0 AND deleted_at IS NULL), "
    f"new AS (INSERT INTO runs ({_RUN}) SELECT a.* FROM jobs CROSS JOIN {arrays_of('runs', _RUN)} AS a "
    "WHERE jobs.startable), "
    f"waiting AS (INSERT INTO queue ({_TASK}) SELECT a.* FROM jobs CROSS JOIN {arrays_of('queue', _TASK)} AS a "
    "WHERE jobs.startable), "
    f"told AS (INSERT INTO events ({_FACT}) SELECT a.* FROM jobs CROSS JOIN {arrays_of('events', _FACT)} AS a "
    "WHERE jobs.startable) "
    "SELECT startable FROM jobs"
)


class Accepting:
    """What waits to be inserted; see `store.transaction.Pending`."""

    __slots__ = ("_facts", "_jobs", "_runs", "_tasks")

    def __init__(self) -> None:
        """Start with nothing."""
        self._clear()

    def _clear(self) -> None:
        self._jobs: set[bytes] = set()
        self._runs: list[NewRun] = []
        self._tasks: list[NewTask] = []
        self._facts: list[NewFact] = []

    def require_startable(self, job_id: bytes) -> None:
        """Have it seen with the insertion that runs of a job may be started."""
        self._jobs.add(job_id)

    def add(self, runs: Iterable[NewRun], tasks: Iterable[NewTask], facts: Iterable[NewFact]) -> None:
        """Have rows inserted."""
        self._runs.extend(runs)
        self._tasks.extend(tasks)
        self._facts.extend(facts)

    def write(self, tx: Transaction) -> None:
        """Insert everything; see `Pending.write`. Of a job that may not be started somebody is told alone."""
        jobs, runs, tasks, facts = self._jobs, self._runs, self._tasks, self._facts
        if not runs and not jobs:
            return
        self._clear()
        told = (*columns_of(runs, NewRun), *columns_of(tasks, NewTask), *columns_of(facts, NewFact))
        (startable,) = tx.cursor.execute(_ACCEPT, (len(jobs), list(jobs), *told)).fetchone()
        if not startable:
            raise MustBeAlone
