"""The statements that every run passes through, whichever database it is: one door for `hot_sqlite` and `hot_postgres`.

Most are one text for both. Where the databases want different ones the transaction says which.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from windlass.store import hot_postgres, hot_sqlite
from windlass.store.floor import LOWEST
from windlass.store.hot_sqlite import (
    any_open,
    any_task_open,
    ask_to_stop,
    asked_to_stop,
    claim,
    end_run,
    ended_counts,
    expansion,
    first_failure,
    held,
    held_by,
    insert_attempts,
    insert_ends,
    insert_facts,
    insert_runs,
    insert_tasks,
    job_flags,
    note_begun,
    open_rows,
    queue_range,
    release,
    remove,
    remove_range,
    reschedule,
    run_flags,
    settle_range,
    start,
    stopped_by_cancel,
    stopped_pending,
    task_result,
    task_results,
    tasks_with_outputs,
    wait,
)
from windlass.store.rows import Held, NewFact, NewRun, NewTask, Ready, ShortEnd, Standing, TaskEnd, Turn
from windlass.store.transaction import Transaction

__all__ = [
    "any_open",
    "any_task_open",
    "ask_to_stop",
    "asked_to_stop",
    "begin",
    "claim",
    "complete",
    "end_run",
    "ended_counts",
    "expansion",
    "first_failure",
    "held",
    "held_by",
    "insert_accepted",
    "insert_attempts",
    "insert_ends",
    "insert_facts",
    "insert_runs",
    "insert_tasks",
    "job_flags",
    "lock_held",
    "lock_open_rows",
    "lock_runs",
    "note_begun",
    "open_rows",
    "queue_range",
    "ready",
    "release",
    "remove",
    "remove_range",
    "reschedule",
    "run_flags",
    "runs_started",
    "settle_range",
    "standing",
    "start",
    "stopped_by_cancel",
    "stopped_pending",
    "task_result",
    "task_results",
    "tasks_with_outputs",
    "turn",
    "wait",
]


def ready(tx: Transaction, routes: Sequence[int], limit: int, floor: int = LOWEST) -> list[Ready]:
    """Return up to `limit` tasks that may be taken, first those of the lowest rank, over all `routes`.

    On PostgreSQL those below `floor` are not looked for: see `store.floor`.
    """
    if tx.dialect == "sqlite":
        return hot_sqlite.ready(tx, routes, limit)
    return hot_postgres.ready(tx, routes, limit, floor)


def begin(
    tx: Transaction, worker_id: int, rows: Sequence[Ready], first_runs: Collection[bytes], facts: Sequence[NewFact]
) -> None:
    """Give ready rows to a worker and start them: each gets its next fence number and attempt.

    `first_runs` are those of the runs that were queued until now, and `facts` what tells of it all.
    """
    (hot_sqlite.begin if tx.dialect == "sqlite" else hot_postgres.begin)(tx, worker_id, rows, first_runs, facts)


def runs_started(tx: Transaction, run_ids: Collection[bytes]) -> Collection[bytes]:
    """Note the first start of runs that were queued when they were read; return those of which nobody else did."""
    return (hot_sqlite.runs_started if tx.dialect == "sqlite" else hot_postgres.runs_started)(tx, run_ids)


def complete(
    tx: Transaction, claims: Sequence[tuple[int, int]], ends: Sequence[TaskEnd], facts: Sequence[NewFact]
) -> list[int]:
    """Complete runs of one task each, by `(queue id, fence)`, their ends and the facts that tell of them.

    Return the places of those that must be looked at by themselves, and of which nothing was changed: the claim is held
    no more, or is to stop, or somebody waits for the end of the run.
    """
    return (hot_sqlite.complete if tx.dialect == "sqlite" else hot_postgres.complete)(tx, claims, ends, facts)


def turn(
    tx: Transaction,
    worker_id: int,
    worker: str,
    ends: Sequence[ShortEnd],
    *,
    routes: Sequence[int],
    floor: int,
    capacity: int,
    plain: Sequence[int],
    changes: str | None,
    streak: bool,
) -> Turn:
    """Complete runs of one task each and begin others, all in one; only in a unit that runs beside others.

    Begun are up to `capacity` tasks of the revisions `plain`, on `routes`, from the rank `floor` on (`store.floor`), if
    `changes` still says how things stand (`Standing.changes`). In a `streak` of short tasks the rows of runs that begin
    are left as they are: those that do not end soon are told by `note_begun`. Raises MustBeAlone where somebody waits
    for the end of one of the runs.
    """
    from windlass.store.postgres.turn import turn as turned  # noqa: PLC0415 - of no use to SQLite

    return turned(
        tx,
        worker_id,
        worker,
        ends,
        routes=routes,
        floor=floor,
        capacity=capacity,
        plain=plain,
        changes=changes,
        streak=streak,
    )


def insert_accepted(
    tx: Transaction,
    runs: Sequence[NewRun],
    tasks: Sequence[NewTask],
    facts: Sequence[NewFact],
    *,
    unread: bool = False,
) -> None:
    """Insert accepted runs with their queue rows and the facts that tell of them.

    `unread` says that nothing else of the unit looks at them: on PostgreSQL those of all units that share a commit are
    then inserted together, behind the last of them.
    """
    if unread and tx.pending is not None:
        tx.pending.add(runs, tasks, facts)
        tx.hints.add("events")
        return
    (hot_sqlite.insert_accepted if tx.dialect == "sqlite" else hot_postgres.insert_accepted)(tx, runs, tasks, facts)


def standing(tx: Transaction, worker_id: int) -> Standing:
    """Return how things stand for a worker."""
    return (hot_sqlite.standing if tx.dialect == "sqlite" else hot_postgres.standing)(tx, worker_id)


def lock_held(tx: Transaction, queue_id: int) -> Held | None:
    """Return a queue row by its own id, which nobody else changes until this unit of work ends."""
    return (hot_sqlite.held if tx.alone else hot_postgres.lock_held)(tx, queue_id)


def lock_runs(tx: Transaction, run_ids: Collection[bytes]) -> None:
    """Let nobody else decide about these runs until this unit of work ends; they are locked in the order of their ids.

    Before the queue rows of any of them: whoever ends tasks of one run waits here for the others who do.
    """
    if run_ids and not tx.alone:
        hot_postgres.lock_runs(tx, run_ids)


def lock_open_rows(tx: Transaction, run_id: bytes) -> list[Held]:
    """Return the rows of all tasks of a run that are not final, in order; nobody takes or starts any of them now."""
    return (hot_sqlite.open_rows if tx.alone else hot_postgres.lock_open_rows)(tx, run_id)
