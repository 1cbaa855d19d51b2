# ruff: noqa: S608 - the only texts put together here are constants of this module
"""The statements that every run passes through, by hand on SQLite's own cursor: submit, take, finish.

Core costs 20 to 30 microseconds a statement before SQLite sees it, and a run touches about ten rows; here a batch
shares one prepared statement. Each function is a small step of a unit of work: the unit decides, these read and write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from heapq import merge
from itertools import islice

from windlass.model.ending import Stop
from windlass.store import dispatch, workers
from windlass.store.many_rows import over_many
from windlass.store.rows import AttemptEnd, Held, NewFact, NewRun, NewTask, Ready, RunFlags, Standing, TaskEnd
from windlass.store.transaction import Transaction, apart

_RUN_COLUMNS = (
    "id, project, job_id, revision_id, state, priority, queue, parameters, labels, note, trigger, parent_id, root_id, "
    "correlation_id, idempotency_key, scheduled_at, created_at, queued_at, deadline, expansion"
)
_INSERT_RUNS = f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES {{rows}}"
_INSERT_TASKS = (
    "INSERT INTO queue "
    "(run_id, task, revision_id, state, route_id, priority, due, rank, wake_at, outstanding, queued_at) "
    "VALUES {rows}"
)
_INSERT_FACTS = "INSERT INTO events (types, run_id, task, at, data) VALUES {rows}"
_INSERT_ENDS = (
    "INSERT INTO tasks (run_id, task, state, reason, attempt, outcome, allowed, outputs, branches, queued_at, "
    "first_started_at, ended_at, worker, exit_code, error, started_at, finished_at, cpu_micros, max_rss_bytes, "
    "bytes_out, log_bytes) VALUES {rows}"
)
_INSERT_ATTEMPTS = (
    "INSERT INTO attempts (run_id, task, number, outcome, worker, exit_code, error, started_at, finished_at, "
    "cpu_micros, max_rss_bytes, bytes_out, log_bytes) VALUES {rows}"
)
_READY = (
    "SELECT q.id, q.run_id, q.task, q.revision_id, q.priority, q.due, q.attempt, q.losses, q.fence, q.queued_at, "
    "q.first_started_at, q.rank, r.state, r.parameters, r.expansion IS NOT NULL, r.created_at, r.trigger, "
    "r.correlation_id FROM queue q JOIN runs r ON r.id = q.run_id "
    "WHERE q.route_id = ? AND q.state = 'queued' AND q.worker_id IS NULL ORDER BY q.rank, q.id LIMIT ?"
)
_IS_READY = "state = 'queued' AND worker_id IS NULL"
_REMOVE_RUNNING = (
    "DELETE FROM queue WHERE state = 'running' AND stop IS NULL AND id IN "
    "(SELECT q.id FROM (VALUES {rows}) claim JOIN queue q ON q.id = claim.column1 AND q.fence = claim.column2)"
)
_HELD = (
    "SELECT id, run_id, task, revision_id, state, priority, due, attempt, losses, losses_in_row, fence, worker_id, "
    "queued_at, first_started_at, started_at, stop, detail FROM queue"
)


def job_flags(tx: Transaction, job_id: bytes) -> tuple[bool, bool]:
    """Say whether a job is deleted, and whether it is enabled."""
    row = tx.cursor.execute("SELECT deleted_at IS NOT NULL, enabled FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return (True, False) if row is None else (bool(row[0]), bool(row[1]))


def insert_runs(tx: Transaction, runs: Iterable[NewRun]) -> None:
    """Insert accepted runs."""
    over_many(tx.cursor, _INSERT_RUNS, list(runs))


def insert_tasks(tx: Transaction, tasks: Iterable[NewTask]) -> None:
    """Insert queue rows."""
    over_many(tx.cursor, _INSERT_TASKS, list(tasks))


def insert_facts(tx: Transaction, facts: Iterable[NewFact]) -> None:
    """Insert rows of the event table; readers are told after the commit."""
    over_many(tx.cursor, _INSERT_FACTS, list(facts))
    tx.hints.add("events")


def ready(tx: Transaction, routes: Sequence[int], limit: int) -> list[Ready]:
    """Return up to `limit` tasks that may be taken, first those of the lowest rank, over all `routes`."""
    found = [[Ready._make(row) for row in tx.cursor.execute(_READY, (route, limit))] for route in routes]
    if len(found) == 1:
        return found[0]
    return list(islice(merge(*found, key=lambda row: (row.rank, row.id)), limit))


def claim(tx: Transaction, worker_id: int, rows: Iterable[Ready]) -> None:
    """Give ready rows to a worker without starting them; each gets its next fence number."""
    over_many(
        tx.cursor,
        f"UPDATE queue SET worker_id = ?, fence = fence + 1 WHERE {_IS_READY} AND id IN ({{rows}})",
        [(row.id,) for row in rows],
        (worker_id,),
    )


def claim_and_start(tx: Transaction, worker_id: int, rows: Sequence[Ready]) -> None:
    """Give ready rows to a worker and start them; each gets its next fence number and attempt."""
    now = tx.now
    over_many(
        tx.cursor,
        "UPDATE queue SET worker_id = ?, fence = fence + 1, state = 'running', attempt = attempt + 1, started_at = ?, "
        f"first_started_at = coalesce(first_started_at, ?) WHERE {_IS_READY} AND id IN ({{rows}})",
        [(row.id,) for row in rows],
        (worker_id, now, now),
    )


def begin(
    tx: Transaction, worker_id: int, rows: Sequence[Ready], first_runs: Collection[bytes], facts: Sequence[NewFact]
) -> None:
    """Give ready rows to a worker and start them, note the first start of runs, and tell of all that."""
    claim_and_start(tx, worker_id, rows)
    if first_runs:
        runs_started(tx, first_runs)
    insert_facts(tx, facts)


def insert_accepted(
    tx: Transaction, runs: Sequence[NewRun], tasks: Sequence[NewTask], facts: Sequence[NewFact]
) -> None:
    """Insert accepted runs with their queue rows and the facts that tell of them."""
    insert_runs(tx, runs)
    insert_tasks(tx, tasks)
    insert_facts(tx, facts)


def standing(tx: Transaction, worker_id: int) -> Standing:
    """Return how things stand for a worker."""
    return Standing(workers.slots_of(tx, worker_id), dispatch.changes(tx), asked_to_stop(tx, worker_id))


def start(tx: Transaction, queue_id: int, fence: int) -> bool:
    """Start a claimed row; False where it is no longer held under `fence`, or is to stop."""
    tx.cursor.execute(
        "UPDATE queue SET state = 'running', attempt = attempt + 1, started_at = ?, "
        "first_started_at = coalesce(first_started_at, ?) WHERE id = ? AND fence = ? AND state = 'queued' "
        "AND worker_id IS NOT NULL AND stop IS NULL",
        (tx.now, tx.now, queue_id, fence),
    )
    return tx.cursor.rowcount == 1


def runs_started(tx: Transaction, run_ids: Collection[bytes]) -> Collection[bytes]:
    """Note the first start of runs that were queued when they were read; return those of which nobody else did."""
    now = tx.now
    over_many(
        tx.cursor,
        "UPDATE runs SET state = 'running', started_at = ? WHERE state = 'queued' AND id IN ({rows})",
        [(run_id,) for run_id in run_ids],
        (now,),
    )
    return run_ids


def note_begun(tx: Transaction, run_ids: Collection[bytes]) -> None:
    """Say of runs whose row still has them queued that they run, where one of their tasks does; see `hot.turn`."""
    over_many(
        tx.cursor,
        "UPDATE runs SET state = 'running', started_at = (SELECT min(q.first_started_at) FROM queue q "
        "WHERE q.run_id = runs.id) WHERE state || '' = 'queued' AND EXISTS (SELECT 1 FROM queue q "
        "WHERE q.run_id = runs.id AND q.state = 'running') AND id IN ({rows})",
        [(run_id,) for run_id in sorted(run_ids)],
    )


def remove_running(tx: Transaction, claims: Sequence[tuple[int, int]]) -> int:
    """Remove running rows that nobody asked to stop, by `(queue id, fence)`; return how many of them there were."""
    return over_many(tx.cursor, _REMOVE_RUNNING, claims)


def held(tx: Transaction, queue_id: int) -> Held | None:
    """Return a queue row by its own id."""
    row = tx.cursor.execute(f"{_HELD} WHERE id = ?", (queue_id,)).fetchone()
    return Held._make(row) if row else None


def open_rows(tx: Transaction, run_id: bytes) -> list[Held]:
    """Return the rows of all tasks of a run that are not final, in order."""
    return [Held._make(row) for row in tx.cursor.execute(f"{_HELD} WHERE run_id = ? ORDER BY task", (run_id,))]


def held_by(tx: Transaction, worker_id: int) -> list[Held]:
    """Return the rows that a worker holds, in order of their ids."""
    return [Held._make(row) for row in tx.cursor.execute(f"{_HELD} WHERE worker_id = ? ORDER BY id", (worker_id,))]


def remove(tx: Transaction, queue_id: int) -> None:
    """Remove a row whose task becomes final."""
    tx.cursor.execute("DELETE FROM queue WHERE id = ?", (queue_id,))


def insert_ends(tx: Transaction, ends: Iterable[TaskEnd]) -> None:
    """Insert final tasks."""
    over_many(tx.cursor, _INSERT_ENDS, list(ends))


def insert_attempts(tx: Transaction, ends: Iterable[AttemptEnd]) -> None:
    """Insert attempts that another one follows."""
    over_many(tx.cursor, _INSERT_ATTEMPTS, list(ends))


def reschedule(tx: Transaction, queue_id: int, *, at: int, rank: int, losses_in_row: int, losses: int) -> None:
    """Put a row whose attempt ended back for another one at `at`."""
    tx.cursor.execute(
        "UPDATE queue SET state = 'scheduled', due = ?, wake_at = ?, rank = ?, worker_id = NULL, started_at = NULL, "
        "reason = NULL, detail = NULL, losses_in_row = ?, losses = ? WHERE id = ?",
        (at, at, rank, losses_in_row, losses, queue_id),
    )
    tx.hints.add("wake")


def wait(tx: Transaction, queue_id: int, *, until: int, reason: str, detail: str) -> None:
    """Let a row wait without a worker until `until`."""
    tx.cursor.execute(
        "UPDATE queue SET state = 'waiting', wake_at = ?, reason = ?, detail = ?, worker_id = NULL WHERE id = ?",
        (until, reason, detail, queue_id),
    )
    tx.hints.add("wake")


def release(tx: Transaction, queue_id: int) -> None:
    """Give a claimed row back as if it had never been taken."""
    tx.cursor.execute("UPDATE queue SET worker_id = NULL WHERE id = ? AND state = 'queued'", (queue_id,))
    tx.hints.add("ready")


def queue_range(tx: Transaction, run_id: bytes, first: int, last: int) -> list[int]:
    """Let the pending tasks `first` to `last` of a run be taken; return which ones those are, in order."""
    rows = tx.cursor.execute(
        "UPDATE queue SET state = 'queued', queued_at = ? "
        "WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending' RETURNING task",
        (tx.now, run_id, first, last),
    ).fetchall()
    tx.hints.add("ready")
    return sorted(row[0] for row in rows)


def settle_range(tx: Transaction, run_id: bytes, first: int, last: int) -> int:
    """Note that a predecessor of the tasks `first` to `last` became final; return how many are not.

    -1 where these tasks are no longer pending.
    """
    rows = tx.cursor.execute(
        "UPDATE queue SET outstanding = outstanding - 1 "
        "WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending' "
        "RETURNING outstanding",
        (run_id, first, last),
    ).fetchall()
    return rows[0][0] if rows else -1


def remove_range(tx: Transaction, run_id: bytes, first: int, last: int) -> list[int]:
    """Remove the pending tasks `first` to `last`; return which ones those were, in order."""
    rows = tx.cursor.execute(
        "DELETE FROM queue WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending' RETURNING task",
        (run_id, first, last),
    ).fetchall()
    return sorted(row[0] for row in rows)


def any_open(tx: Transaction, run_id: bytes, first: int, last: int) -> bool:
    """Say whether any of the tasks `first` to `last` is not final."""
    row = tx.cursor.execute(
        "SELECT 1 FROM queue WHERE run_id = ? AND task BETWEEN ? AND ? LIMIT 1", (run_id, first, last)
    ).fetchone()
    return row is not None


def any_task_open(tx: Transaction, run_id: bytes) -> bool:
    """Say whether any task of a run is not final."""
    return tx.cursor.execute("SELECT 1 FROM queue WHERE run_id = ? LIMIT 1", (run_id,)).fetchone() is not None


def ended_counts(tx: Transaction, run_id: bytes, first: int, last: int) -> list[tuple[str, int, int]]:
    """Return `(state, allowed, how many)` of the final tasks `first` to `last`."""
    return tx.cursor.execute(
        "SELECT state, allowed, count(*) FROM tasks WHERE run_id = ? AND task BETWEEN ? AND ? GROUP BY state, allowed",
        (run_id, first, last),
    ).fetchall()


def task_results(
    tx: Transaction, run_id: bytes, first: int, last: int
) -> list[tuple[int, str, str | None, int | None]]:
    """Return `(task, state, outputs, exit code)` of the final ones among the tasks `first` to `last`, in order."""
    return tx.cursor.execute(
        "SELECT task, state, outputs, exit_code FROM tasks WHERE run_id = ? AND task BETWEEN ? AND ? ORDER BY task",
        (run_id, first, last),
    ).fetchall()


def stopped_by_cancel(tx: Transaction, run_id: bytes) -> int:
    """Return how many final tasks of a run were stopped, or never started, because of a cancel."""
    row = tx.cursor.execute(
        "SELECT count(*) FROM tasks WHERE run_id = ? AND state = 'cancelled' AND reason = 'cancelled'", (run_id,)
    ).fetchone()
    return int(row[0])


def task_result(tx: Transaction, run_id: bytes, task: int) -> tuple[str, str | None, str | None, int | None] | None:
    """Return `(state, outputs, branches, exit code)` of a final task."""
    row: tuple[str, str | None, str | None, int | None] | None = tx.cursor.execute(
        "SELECT state, outputs, branches, exit_code FROM tasks WHERE run_id = ? AND task = ?", (run_id, task)
    ).fetchone()
    return row


def tasks_with_outputs(tx: Transaction, run_id: bytes) -> list[int]:
    """Return the final tasks of a run that gave outputs."""
    found = tx.cursor.execute("SELECT task FROM tasks WHERE run_id = ? AND outputs IS NOT NULL", (run_id,))
    return [row[0] for row in found]


def first_failure(tx: Transaction, run_id: bytes) -> tuple[int, str | None, str | None] | None:
    """Return `(task, reason, error)` of the failed task that ended first among those not allowed to fail."""
    row: tuple[int, str | None, str | None] | None = tx.cursor.execute(
        "SELECT task, reason, error FROM tasks WHERE run_id = ? AND state IN ('failed', 'timeout') AND allowed = 0 "
        "ORDER BY ended_at, task LIMIT 1",
        (run_id,),
    ).fetchone()
    return row


def ask_to_stop(tx: Transaction, queue_id: int, why: str) -> None:
    """Ask the worker of a running row to stop its attempt."""
    tx.cursor.execute("UPDATE queue SET stop = ? WHERE id = ?", (why, queue_id))
    tx.hints.add("stop")


def stopped_pending(tx: Transaction, run_id: bytes) -> list[tuple[int, Stop]]:
    """Return `(task, why)` of the tasks of a run that were told to stop before all their predecessors were final."""
    return tx.cursor.execute(
        "SELECT task, stop FROM queue WHERE run_id = ? AND state = 'pending' AND stop IS NOT NULL", (run_id,)
    ).fetchall()


def asked_to_stop(tx: Transaction, worker_id: int) -> list[tuple[int, int, str]]:
    """Return `(queue id, fence, why)` of the rows of a worker that are to stop."""
    return tx.cursor.execute(
        "SELECT id, fence, stop FROM queue WHERE worker_id = ? AND stop IS NOT NULL", (worker_id,)
    ).fetchall()


def run_flags(tx: Transaction, run_id: bytes) -> RunFlags | None:
    """Return what of a run decides about its tasks."""
    row = tx.cursor.execute(
        "SELECT state, cancels, expired, deadline, expansion IS NOT NULL, project FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    return RunFlags._make(row) if row else None


def expansion(tx: Transaction, run_id: bytes) -> str:
    """Return the text of a run's expansion."""
    return str(tx.cursor.execute("SELECT expansion FROM runs WHERE id = ?", (run_id,)).fetchone()[0])


def runs_completed(tx: Transaction, ends: Iterable[tuple[bytes, str | None]]) -> int:
    """End runs of one task that completed, by `(id, outputs)`; return how many of them there were.

    Those that are final already, and those that somebody waits for, stay as they are.
    """
    statement = (
        "UPDATE runs SET state = 'completed', finished_at = ?, outputs = ?, counts = '{\"completed\":1}' "
        "WHERE finished_at IS NULL AND awaited = 0 AND id IN ({rows})"
    )
    ended = 0
    alike: dict[str | None, list[tuple[bytes]]] = {}
    for run_id, outputs in ends:
        alike.setdefault(outputs, []).append((run_id,))
    for outputs, ids in alike.items():
        ended += over_many(tx.cursor, statement, ids, (tx.now, outputs))
    tx.hints.add("ended")
    return ended


def complete(
    tx: Transaction, claims: Sequence[tuple[int, int]], ends: Sequence[TaskEnd], facts: Sequence[NewFact]
) -> list[int]:
    """Complete runs of one task each, by `(queue id, fence)`, their ends and the facts that tell of them.

    Return the places of those that must be looked at by themselves, and of which nothing was changed: the claim is held
    no more, or is to stop, or somebody waits for the end of the run.
    """
    if apart(tx, partial(_complete, tx, claims, ends, facts)) is None:
        return []
    everyone = list(range(len(ends)))
    awaited = awaited_among(tx, [end.run_id for end in ends])
    rest = [at for at in everyone if ends[at].run_id not in awaited]
    if not awaited or not rest:
        return everyone
    parts = ([claims[at] for at in rest], [ends[at] for at in rest], [facts[at] for at in rest])
    if apart(tx, partial(_complete, tx, *parts)) is not None:
        return everyone
    return [at for at in everyone if ends[at].run_id in awaited]


class _NotAllStand(Exception):
    """One of the claims is held no more, or is to stop, or somebody waits for the end of its run."""


def _complete(
    tx: Transaction, claims: Sequence[tuple[int, int]], ends: Sequence[TaskEnd], facts: Sequence[NewFact]
) -> None:
    if remove_running(tx, claims) != len(claims):
        raise _NotAllStand
    insert_ends(tx, ends)
    if runs_completed(tx, [(end.run_id, end.outputs) for end in ends]) != len(ends):
        raise _NotAllStand
    insert_facts(tx, facts)


def awaited_among(tx: Transaction, run_ids: Iterable[bytes]) -> set[bytes]:
    """Return those of the runs that somebody waits for."""
    statement = "SELECT id FROM runs WHERE id = ? AND awaited = 1"
    return {run_id for run_id in run_ids if tx.cursor.execute(statement, (run_id,)).fetchone()}


def end_run(
    tx: Transaction,
    run_id: bytes,
    *,
    state: str,
    reason: str | None,
    counts: str,
    allowed_failures: int,
    error: str | None,
    outputs: str | None,
) -> bool:
    """Make a run final; False where it already is."""
    ended = tx.cursor.execute(
        "UPDATE runs SET state = ?, reason = ?, finished_at = ?, counts = ?, allowed_failures = ?, error = ?, "
        "outputs = ?, waiting_for = NULL WHERE id = ? AND finished_at IS NULL RETURNING awaited",
        (state, reason, tx.now, counts, allowed_failures, error, outputs, run_id),
    ).fetchall()
    tx.hints.add("ended")
    if ended and ended[0][0]:
        tx.hints.add("wake")  # whoever waits for it is served next
    return bool(ended)
