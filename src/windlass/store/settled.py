# ruff: noqa: S608 - the only texts put together here are constants of this module
"""The statements of many tasks that become final together, for both databases side by side.

On PostgreSQL each is one statement over arrays: what costs there is the way to the server and back. On SQLite, which is
in the same process, a statement for each row is as quick, and one that is prepared serves any number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from windlass.store import hot_sqlite
from windlass.store.hot_postgres import CLOCK
from windlass.store.many_rows import over_many
from windlass.store.postgres.arrays import arrays_of, columns_of
from windlass.store.rows import Held, NewFact, PendingTask, RunFlags, TaskEnd
from windlass.store.transaction import Transaction, move_on

_HELD: Final = ", ".join(Held._fields)
_FLAGS: Final = "state, cancels, expired, deadline, expansion IS NOT NULL AS fanned, project"
_LOCK_BOTH: Final = (
    f"SELECT *, {CLOCK} FROM (SELECT {', '.join(f'q.{name}' for name in Held._fields)}, "
    "r.state AS run_state, r.cancels, r.expired, r.deadline, r.expansion IS NOT NULL, r.project "
    "FROM runs r JOIN queue q ON q.run_id = r.id WHERE q.id = ANY(?::bigint[]) ORDER BY r.id, q.id "
    "FOR NO KEY UPDATE OF r FOR UPDATE OF q) AS locked"
)
_END: Final = ", ".join(TaskEnd._fields)
_FACT: Final = ", ".join(NewFact._fields)
_SETTLE: Final = (
    "WITH gone AS (DELETE FROM queue WHERE id = ANY(?::bigint[]) RETURNING id), "
    "moved AS (UPDATE queue q SET outstanding = m.outstanding, "
    "state = CASE m.ready WHEN 1 THEN 'queued' ELSE q.state END, "
    "queued_at = CASE m.ready WHEN 1 THEN ? ELSE q.queued_at END "
    "FROM unnest(?::bytea[], ?::integer[], ?::integer[], ?::integer[]) AS m (run_id, task, outstanding, ready) "
    "WHERE q.run_id = m.run_id AND q.task = m.task AND q.state || '' = 'pending'), "
    # All of `gone` first: a task is final once it is not in the queue.
    f"kept AS (INSERT INTO tasks ({_END}) SELECT a.* FROM (SELECT count(*) FROM gone) AS removed "
    f"CROSS JOIN {arrays_of('tasks', _END)} AS a) "
    f"INSERT INTO events ({_FACT}) SELECT * FROM {arrays_of('events', _FACT)}"
)
_WAITS: Final = "UPDATE queue SET outstanding = ? WHERE run_id = ? AND task = ? AND state = 'pending'"
_BEGINS: Final = (
    "UPDATE queue SET outstanding = 0, state = 'queued', queued_at = ? "
    "WHERE run_id = ? AND task = ? AND state = 'pending'"
)


def lock_runs(tx: Transaction, run_ids: Collection[bytes]) -> dict[bytes, RunFlags]:
    """Let nobody else decide about these runs until this unit of work ends; return what of them decides.

    They are locked in the order of their ids, and before the queue rows of any of them: whoever ends tasks of one run
    waits here for the others who do.
    """
    found: dict[bytes, RunFlags] = {}
    if tx.dialect == "sqlite":
        for run_id in run_ids:
            flags = hot_sqlite.run_flags(tx, run_id)
            if flags is not None:
                found[run_id] = flags
    elif run_ids:
        locked = f"SELECT id, {_FLAGS} FROM runs WHERE id = ANY(?::bytea[]) ORDER BY id FOR NO KEY UPDATE"
        for row in tx.cursor.execute(f"SELECT *, {CLOCK} FROM ({locked}) AS locked", (sorted(run_ids),)):
            found[row[0]] = RunFlags._make(row[1:-1])
            move_on(tx, row[-1])
    return found


def lock_rows(tx: Transaction, queue_ids: Sequence[int]) -> dict[int, Held]:
    """Return queue rows by their own ids; nobody else changes them until this unit of work ends."""
    if tx.dialect == "sqlite":
        return {queue_id: row for queue_id in queue_ids if (row := hot_sqlite.held(tx, queue_id)) is not None}
    sql = f"SELECT {_HELD} FROM queue WHERE id = ANY(?::bigint[]) ORDER BY id FOR UPDATE"
    return {row[0]: Held._make(row) for row in tx.cursor.execute(sql, (list(queue_ids),))}


def lock_with_runs(tx: Transaction, queue_ids: Sequence[int]) -> tuple[dict[bytes, RunFlags], dict[int, Held]]:
    """Lock queue rows and their runs; see `lock_runs` and `lock_rows`. Of rows that are gone nothing is locked.

    Each run is locked with the first of its rows: who holds one of those and no lock of its run wants none.
    """
    if tx.dialect == "sqlite":
        held = lock_rows(tx, queue_ids)
        return lock_runs(tx, {row.run_id for row in held.values()}), held
    flags: dict[bytes, RunFlags] = {}
    held = {}
    for row in tx.cursor.execute(_LOCK_BOTH, (list(queue_ids),)):
        one = held[row[0]] = Held._make(row[: len(Held._fields)])
        flags[one.run_id] = RunFlags._make(row[len(Held._fields) : -1])
        move_on(tx, row[-1])
    return flags, held


def pending_in(tx: Transaction, run_id: bytes, spans: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return the pending tasks from a first to a last one, each with how many of its predecessors are not final."""
    if not spans:
        return {}
    if tx.dialect == "sqlite":
        sql = "SELECT task, outstanding FROM queue WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending'"
        return {row[0]: row[1] for span in spans for row in tx.cursor.execute(sql, (run_id, *span)).fetchall()}
    sql = (
        "SELECT q.task, q.outstanding FROM unnest(?::integer[], ?::integer[]) AS span (first, last) "
        "CROSS JOIN LATERAL (SELECT task, outstanding FROM queue WHERE run_id = ? "
        "AND task BETWEEN span.first AND span.last AND state || '' = 'pending') AS q"
    )
    firsts, lasts = zip(*spans, strict=True)
    return {row[0]: row[1] for row in tx.cursor.execute(sql, (list(firsts), list(lasts), run_id))}


def ended_among(tx: Transaction, run_id: bytes, tasks: Sequence[int]) -> list[tuple[int, str, int]]:
    """Return `(task, state, allowed)` of those of the tasks that are final."""
    if not tasks:
        return []
    sql = "SELECT task, state, allowed FROM tasks WHERE run_id = ? AND task "
    if tx.dialect == "sqlite":
        return [row for task in tasks for row in tx.cursor.execute(sql + "= ?", (run_id, task)).fetchall()]
    return tx.cursor.execute(f"{sql}= ANY(?::integer[])", (run_id, list(tasks))).fetchall()


def results_among(
    tx: Transaction, run_id: bytes, tasks: Sequence[int]
) -> list[tuple[int, str, str | None, int | None]]:
    """Return `(task, state, outputs, exit code)` of those of the tasks that are final."""
    if not tasks:
        return []
    if tx.dialect == "sqlite":
        return [row for task in tasks for row in hot_sqlite.task_results(tx, run_id, task, task)]
    sql = "SELECT task, state, outputs, exit_code FROM tasks WHERE run_id = ? AND task = ANY(?::integer[])"
    return tx.cursor.execute(sql, (run_id, list(tasks))).fetchall()


def open_count(tx: Transaction, run_id: bytes, first: int, last: int) -> int:
    """Return how many of the tasks `first` to `last` are not final."""
    sql = "SELECT count(*) FROM queue WHERE run_id = ? AND task BETWEEN ? AND ?"
    return int(tx.cursor.execute(sql, (run_id, first, last)).fetchone()[0])


def any_but(tx: Transaction, run_id: bytes, queue_ids: Collection[int]) -> bool:
    """Say whether a run has queue rows other than these."""
    rows = tx.cursor.execute("SELECT id FROM queue WHERE run_id = ? LIMIT ?", (run_id, len(queue_ids) + 1))
    return not {row[0] for row in rows}.issubset(queue_ids)


def settle(
    tx: Transaction,
    removed: Sequence[int],
    ends: Sequence[TaskEnd],
    facts: Sequence[NewFact],
    moved: Sequence[PendingTask],
) -> None:
    """Make tasks final whose queue rows are `removed`, and `moved` what they should be; tell of all that by `facts`.

    The hint that tasks are ready is left to who knows whether anybody is to hear of it.
    """
    if tx.dialect == "sqlite":
        over_many(tx.cursor, "DELETE FROM queue WHERE id IN ({rows})", [(queue_id,) for queue_id in removed])
        hot_sqlite.insert_ends(tx, ends)
        tx.cursor.executemany(_WAITS, [(one.outstanding, one.run_id, one.task) for one in moved if not one.ready])
        tx.cursor.executemany(_BEGINS, [(tx.now, one.run_id, one.task) for one in moved if one.ready])
        hot_sqlite.insert_facts(tx, facts)
    else:
        tables = (columns_of(moved, PendingTask), columns_of(ends, TaskEnd), columns_of(facts, NewFact))
        tx.cursor.execute(_SETTLE, (list(removed), tx.now, *(column for table in tables for column in table)))
        tx.hints.add("events")
