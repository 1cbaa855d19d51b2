# ruff: noqa: S608 - the only texts put together here are constants of this module
"""The hot statements that PostgreSQL wants otherwise than SQLite: beside `hot_sqlite`, each with its reason.

Each statement is a way to the server and back, which costs more than most of the work; so what belongs together is one
statement, over arrays, whose parts hand their rows to each other. All parts see the rows as they were before.

Each names its rows by their keys, and its further conditions are written so that no partial index fits them: of tables
that grow and shrink quickly the planner knows little, and would read all that is queued to find a hundred rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from windlass.store.floor import LOWEST
from windlass.store.postgres.arrays import arrays_of, columns_of
from windlass.store.rows import Held, NewFact, NewRun, NewTask, Ready, Standing, TaskEnd
from windlass.store.transaction import Transaction, apart, move_on

#: The time as a unit sees it that had to wait, in microseconds.
CLOCK: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

#: What of a row in the queue is read where it is taken.
READY_COLUMNS: Final = (
    "id, run_id, task, revision_id, priority, due, attempt, losses, fence, queued_at, first_started_at, rank"
)
_READY: Final = (
    f"SELECT {', '.join(f'q.{name.strip()}' for name in READY_COLUMNS.split(','))}, r.state, r.parameters, "
    "r.expansion IS NOT NULL, r.created_at, r.trigger, r.correlation_id, "
    f"{CLOCK} FROM unnest(?::bigint[]) AS route (id) CROSS JOIN LATERAL (SELECT {READY_COLUMNS} FROM queue "
    "WHERE route_id = route.id AND rank >= ? AND state = 'queued' AND worker_id IS NULL ORDER BY rank, id LIMIT ? "
    "FOR UPDATE SKIP LOCKED) AS q CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = q.run_id LIMIT 1) AS r "
    "ORDER BY q.rank, q.id LIMIT ?"
)
_FACT: Final = "types, run_id, task, at, data"
_BEGIN: Final = (
    "WITH claimed AS (UPDATE queue SET worker_id = ?, fence = fence + 1, state = 'running', attempt = attempt + 1, "
    "started_at = ?, first_started_at = coalesce(first_started_at, ?) "
    "WHERE id = ANY(?::bigint[])), "
    "begun AS (UPDATE runs r SET state = 'running', started_at = ? FROM unnest(?::bytea[]) AS f (id) "
    "WHERE r.id = f.id AND r.state || '' = 'queued' RETURNING r.id) "
    f"INSERT INTO events ({_FACT}) SELECT CASE WHEN f.types = 'run.started,task.started' "
    "AND f.run_id NOT IN (SELECT id FROM begun) THEN 'task.started' ELSE f.types END, f.run_id, f.task, f.at, f.data "
    # All of `begun` first: where it waits for who began the run, these facts get greater numbers than his.
    f"FROM (SELECT count(*) FROM begun) AS waited CROSS JOIN {arrays_of('events', _FACT)} AS f ({_FACT})"
)
_END: Final = ", ".join(TaskEnd._fields)
_COMPLETE: Final = (
    f"WITH said AS (SELECT * FROM {arrays_of('tasks', _END, 'bigint', 'integer', 'text', 'text')} "
    f"AS s ({_END}, queue_id, fence, types, data)), "
    "gone AS (DELETE FROM queue q USING said s, runs r WHERE q.id = s.queue_id AND q.fence = s.fence "
    "AND q.state || '' = 'running' AND coalesce(q.stop, '') = '' "
    "AND r.id = s.run_id AND coalesce(r.finished_at, 0) = 0 AND r.awaited + 0 = 0 RETURNING s.*), "
    "ended AS (UPDATE runs r SET state = 'completed', finished_at = g.ended_at, outputs = g.outputs, "
    "started_at = coalesce(r.started_at, g.first_started_at), counts = '{\"completed\":1}' "
    "FROM gone g WHERE r.id = g.run_id), "
    f"kept AS (INSERT INTO tasks ({_END}) SELECT {_END} FROM gone), "
    f"told AS (INSERT INTO events ({_FACT}) SELECT types, run_id, task, ended_at, data FROM gone) "
    "SELECT queue_id FROM gone"
)
_RUN: Final = ", ".join(NewRun._fields)
_TASK: Final = ", ".join(NewTask._fields)
_ACCEPT: Final = (
    f"WITH new AS (INSERT INTO runs ({_RUN}) SELECT * FROM {arrays_of('runs', _RUN)}), "
    f"waiting AS (INSERT INTO queue ({_TASK}) SELECT * FROM {arrays_of('queue', _TASK)}) "
    f"INSERT INTO events ({_FACT}) SELECT * FROM {arrays_of('events', _FACT)}"
)
_STANDING: Final = (
    "SELECT (SELECT CASE draining WHEN 0 THEN slots ELSE 0 END FROM workers WHERE id = ? AND ended_at IS NULL), "
    "(SELECT value FROM store_info WHERE key = 'dispatch'), "
    "ARRAY(SELECT id FROM queue WHERE worker_id = ? AND stop IS NOT NULL ORDER BY id)"
)
_HELD: Final = ", ".join(Held._fields)


def ready(tx: Transaction, routes: Sequence[int], limit: int, floor: int = LOWEST) -> list[Ready]:
    """See `hot_sqlite.ready`. What others are about to take is left out, and these rows are locked.

    Those of a lower rank than `floor` are left out: see `store.floor`.
    """
    if not routes:
        return []
    found = tx.cursor.execute(_READY, (list(routes), floor, limit, limit)).fetchall()
    if found:
        move_on(tx, found[-1][-1])
    return [Ready._make(row[:-1]) for row in found]


def begin(
    tx: Transaction, worker_id: int, rows: Sequence[Ready], first_runs: Collection[bytes], facts: Sequence[NewFact]
) -> None:
    """See `hot_sqlite.begin`. Where another task of a run was quicker, its first start is told of there."""
    now = tx.now
    ids = [row.id for row in rows]
    tx.cursor.execute(_BEGIN, (worker_id, now, now, ids, now, sorted(first_runs), *columns_of(facts)))
    tx.hints.add("events")


def runs_started(tx: Transaction, run_ids: Collection[bytes]) -> Collection[bytes]:
    """See `hot_sqlite.runs_started`."""
    found = tx.cursor.execute(
        "UPDATE runs SET state = 'running', started_at = ? WHERE state || '' = 'queued' AND id = ANY(?::bytea[]) "
        "RETURNING id",
        (tx.now, sorted(run_ids)),
    )
    return {row[0] for row in found}


def complete(
    tx: Transaction, claims: Sequence[tuple[int, int]], ends: Sequence[TaskEnd], facts: Sequence[NewFact]
) -> list[int]:
    """See `hot_sqlite.complete`. A run of one task has one row in the queue: who removes that ends the run.

    What was refused beside others comes again alone; what is refused then is looked at one by one.
    """
    queue_ids, fences = columns_of(claims)
    types, data = [fact.types for fact in facts], [fact.data for fact in facts]
    gone: set[int] = set()

    def change() -> None:
        rows = tx.cursor.execute(_COMPLETE, (*columns_of(ends), queue_ids, fences, types, data))
        gone.update(row[0] for row in rows)

    if not tx.alone:
        change()
    elif apart(tx, change) is not None:
        return list(range(len(claims)))
    tx.hints.update(("ended", "events"))
    return [at for at, (queue_id, _) in enumerate(claims) if queue_id not in gone]


def insert_accepted(
    tx: Transaction, runs: Sequence[NewRun], tasks: Sequence[NewTask], facts: Sequence[NewFact]
) -> None:
    """See `hot_sqlite.insert_accepted`."""
    if not runs:
        return
    tx.cursor.execute(_ACCEPT, (*columns_of(runs), *columns_of(tasks, NewTask), *columns_of(facts, NewFact)))
    tx.hints.add("events")


def standing(tx: Transaction, worker_id: int) -> Standing:
    """See `hot_sqlite.standing`."""
    slots, changes, stopping = tx.cursor.execute(_STANDING, (worker_id, worker_id)).fetchone()
    stops: list[tuple[int, int, str]] = []
    if stopping:
        sql = "SELECT id, fence, stop FROM queue WHERE worker_id = ? AND stop IS NOT NULL"
        stops = tx.cursor.execute(sql, (worker_id,)).fetchall()
    return Standing(slots, changes, stops)


def lock_held(tx: Transaction, queue_id: int) -> Held | None:
    """See `hot.lock_held`."""
    row = tx.cursor.execute(f"SELECT {_HELD} FROM queue WHERE id = ? FOR UPDATE", (queue_id,)).fetchone()
    return Held._make(row) if row else None


def lock_runs(tx: Transaction, run_ids: Collection[bytes]) -> None:
    """See `hot.lock_runs`."""
    locked = "SELECT id FROM runs WHERE id = ANY(?::bytea[]) ORDER BY id FOR NO KEY UPDATE"
    for (now,) in tx.cursor.execute(f"SELECT {CLOCK} FROM ({locked}) AS locked", (sorted(run_ids),)):
        move_on(tx, now)


def lock_open_rows(tx: Transaction, run_id: bytes) -> list[Held]:
    """See `hot.lock_open_rows`."""
    rows = tx.cursor.execute(f"SELECT {_HELD} FROM queue WHERE run_id = ? ORDER BY task FOR UPDATE", (run_id,))
    return [Held._make(row) for row in rows]
