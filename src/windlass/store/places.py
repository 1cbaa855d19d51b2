"""Where a task that may be taken stands among the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from windlass.store.transaction import Transaction


class QueuePlace(NamedTuple):
    """A row of the queue that may be taken, or was taken, with its route."""

    task: int
    id: int
    route_id: int
    rank: int
    queue: str
    pool: str
    #: JSON text.
    labels: str
    revision_id: int
    losses_in_row: int


def places_of(tx: Transaction, run_id: bytes, first: int, last: int, limit: int) -> list[QueuePlace]:
    """Return the places of up to `limit` of the tasks `first` to `last` of a run, of those that may be taken."""
    rows = tx.cursor.execute(
        "SELECT q.task, q.id, q.route_id, q.rank, r.queue, r.pool, r.labels, q.revision_id, "
        "q.losses_in_row FROM queue q "
        "JOIN routes r ON r.id = q.route_id WHERE q.run_id = ? AND q.task BETWEEN ? AND ? AND q.state = 'queued' "
        "AND q.worker_id IS NULL ORDER BY q.task LIMIT ?",
        (run_id, first, last, limit),
    )
    return [QueuePlace._make(row) for row in rows]


def ahead_of(tx: Transaction, place: QueuePlace, routes: Sequence[int], most: int) -> int:
    """Return how many tasks on `routes` come before one; counted up to `most`."""
    ahead = 0
    for route in routes:
        ahead += tx.cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM queue WHERE route_id = ? AND state = 'queued' AND worker_id IS NULL "
            "AND (rank, id) < (?, ?) LIMIT ?) AS before",
            (route, place.rank, place.id, most - ahead),
        ).fetchone()[0]
        if ahead >= most:
            break
    return ahead


def holding_runs(tx: Transaction, routes: Sequence[int], limit: int) -> list[bytes]:
    """Return up to `limit` runs of which workers hold tasks on `routes`."""
    wanted = set(routes)
    found: dict[bytes, None] = {}
    rows = tx.cursor.execute("SELECT run_id, route_id FROM queue WHERE worker_id IS NOT NULL ORDER BY id").fetchall()
    for run_id, route_id in rows:
        if len(found) == limit:
            break
        if route_id in wanted:
            found[run_id] = None
    return list(found)


def first_told(tx: Transaction, run_id: bytes, event_type: str) -> str | None:
    """Return the data of the first event of a type of a run, as JSON text; None where it has none, or none is kept."""
    row = tx.cursor.execute(
        "SELECT data FROM events WHERE run_id = ? AND types LIKE ? ORDER BY seq LIMIT 1",
        (run_id, f"%{event_type}%"),
    ).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def earlier_outcomes(tx: Transaction, run_id: bytes) -> dict[int, list[str]]:
    """Return how the attempts ended, in order, of each task of a run that had several, or is to have another.

    The last one of a task that is final is not among them.
    """
    found: dict[int, list[str]] = {}
    for task, outcome in tx.cursor.execute(
        "SELECT task, outcome FROM attempts WHERE run_id = ? ORDER BY task, number", (run_id,)
    ):
        found.setdefault(task, []).append(outcome)
    return found
