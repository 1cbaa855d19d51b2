"""Work that somebody should have moved and did not."""

from __future__ import annotations

from typing import NamedTuple

from windlass.store.transaction import Transaction


class StuckTask(NamedTuple):
    """A queue row that stands where it should not."""

    run_id: bytes
    task: int
    state: str
    #: Since when, in microseconds.
    since: int


def overdue_tasks(tx: Transaction, before: int, limit: int) -> list[StuckTask]:
    """Return scheduled and waiting tasks whose time came before `before` and that were not moved."""
    rows = tx.cursor.execute(
        "SELECT run_id, task, state, wake_at FROM queue WHERE wake_at < ? ORDER BY wake_at LIMIT ?", (before, limit)
    )
    return [StuckTask._make(row) for row in rows]


def untold_ends(tx: Transaction, before: int, limit: int) -> list[bytes]:
    """Return runs that ended before `before`, and whoever waits for their end was not told."""
    rows = tx.cursor.execute(
        "SELECT id FROM runs WHERE awaited = 1 AND finished_at IS NOT NULL AND finished_at < ? LIMIT ?", (before, limit)
    )
    return [row[0] for row in rows]


def abandoned_tasks(tx: Transaction, before: int, limit: int) -> list[StuckTask]:
    """Return claimed and running tasks whose worker has ended, or was last heard of before `before`."""
    rows = tx.cursor.execute(
        "SELECT q.run_id, q.task, q.state, coalesce(q.started_at, q.queued_at, q.due) FROM queue q "
        "LEFT JOIN workers w ON w.id = q.worker_id WHERE q.worker_id IS NOT NULL "
        "AND (w.id IS NULL OR w.ended_at IS NOT NULL OR w.heartbeat_at < ?) ORDER BY q.id LIMIT ?",
        (before, limit),
    )
    return [StuckTask._make(row) for row in rows]


def unserved_routes(tx: Transaction) -> list[tuple[int, str, str, str, int, int]]:
    """Return `(route, queue, pool, labels, tasks, oldest due)` of every route on which ready tasks wait."""
    return tx.cursor.execute(
        "SELECT r.id, r.queue, r.pool, r.labels, count(*), min(q.due) FROM queue q JOIN routes r ON r.id = q.route_id "
        "WHERE q.state = 'queued' AND q.worker_id IS NULL GROUP BY r.id ORDER BY r.id"
    ).fetchall()


def awaited_routes(tx: Transaction, run_id: bytes) -> list[tuple[int, str, str, str]]:
    """Return `(route, queue, pool, labels)` of every route on which ready tasks of a run wait."""
    return tx.cursor.execute(
        "SELECT DISTINCT r.id, r.queue, r.pool, r.labels FROM queue q JOIN routes r ON r.id = q.route_id "
        "WHERE q.run_id = ? AND q.state = 'queued' AND q.worker_id IS NULL ORDER BY r.id",
        (run_id,),
    ).fetchall()


def empty_runs(tx: Transaction, limit: int) -> list[tuple[bytes, str]]:
    """Return `(id, state)` of runs that are not final although none of their tasks is open."""
    return tx.cursor.execute(
        "SELECT id, state FROM runs WHERE finished_at IS NULL AND state <> 'waiting' "
        "AND NOT EXISTS (SELECT 1 FROM queue WHERE run_id = runs.id) ORDER BY deadline LIMIT ?",
        (limit,),
    ).fetchall()


def pendings_without_cause(tx: Transaction, limit: int) -> list[StuckTask]:
    """Return pending tasks whose predecessors are all final, of runs that neither wait nor have anything under way."""
    rows = tx.cursor.execute(
        "SELECT run_id, task, state, due FROM queue q WHERE state = 'pending' AND outstanding <= 0 "
        "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = q.run_id AND r.state = 'waiting') "
        "AND NOT EXISTS (SELECT 1 FROM queue o WHERE o.run_id = q.run_id "
        "AND (o.state = 'queued' OR o.state = 'running' OR o.state = 'scheduled')) LIMIT ?",
        (limit,),
    )
    return [StuckTask._make(row) for row in rows]


def overdue_runs(tx: Transaction, before: int, limit: int) -> list[bytes]:
    """Return the ids of runs whose deadline came before `before` and that were not stopped."""
    rows = tx.cursor.execute(
        "SELECT id FROM runs WHERE deadline < ? AND finished_at IS NULL ORDER BY deadline LIMIT ?", (before, limit)
    )
    return [row[0] for row in rows]
