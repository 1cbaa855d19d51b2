"""Workers, their heartbeats, and the routes that their claims come by."""

from __future__ import annotations

from typing import Any, Final

import orjson
from sqlalchemy import Row, case, func, insert, select, update

from windlass.model.worker_facts import label_of
from windlass.model.worker_state import DRAINS, ENDS, TAKES
from windlass.store.dispatch import Route, note_change
from windlass.store.hot_postgres import CLOCK
from windlass.store.rows import Ready
from windlass.store.tables import queue, routes, workers
from windlass.store.transaction import Transaction, by_itself

#: How the names of queues begin that only those serve who name them: `*` is all others.
OF_ONE_HOME: Final = ".exec-"


def register(
    tx: Transaction,
    *,
    name: str,
    host: str,
    pid: int,
    pool: str,
    labels: dict[str, str],
    queues: list[str],
    slots: int,
    version: str,
    draining: int = 0,
) -> int:
    """Note a worker that begins, and return its number."""
    note_change(tx)
    values = {
        "name": name,
        "host": host,
        "pid": pid,
        "pool": pool,
        "labels": canonical(labels),
        "queues": canonical(queues),
        "slots": slots,
        "draining": draining,
        "version": version,
        "started_at": tx.now,
        "heartbeat_at": tx.now,
    }
    return int(tx.connection.execute(insert(workers).values(values).returning(workers.c.id)).scalar_one())


# By itself: one row, changed where it has not ended. It waits for nobody, not even for a unit that runs alone: where a
# database is slow those take seconds, and a lease must not.
@by_itself
def renew(tx: Transaction, worker_id: int) -> bool:
    """Stamp a worker's heartbeat; False where it was found gone meanwhile."""
    if tx.moves:
        tx.cursor.execute(f"UPDATE workers SET heartbeat_at = {CLOCK} WHERE id = ? AND ended_at IS NULL", (worker_id,))  # noqa: S608 - a constant
    else:
        tx.cursor.execute("UPDATE workers SET heartbeat_at = ? WHERE id = ? AND ended_at IS NULL", (tx.now, worker_id))
    return tx.cursor.rowcount == 1


def said_of(tx: Transaction, worker_id: int) -> tuple[int, int] | None:
    """Return the slots that a worker has or had, and 1 where it is to take no more; None where nobody knows it."""
    row = tx.cursor.execute("SELECT slots, draining FROM workers WHERE id = ?", (worker_id,)).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def slots_of(tx: Transaction, worker_id: int) -> int | None:
    """Return how many tasks a worker may hold, 0 where it is to take no more; None where it has ended."""
    row = tx.cursor.execute(
        "SELECT CASE draining WHEN 0 THEN slots ELSE 0 END FROM workers WHERE id = ? AND ended_at IS NULL", (worker_id,)
    ).fetchone()
    return None if row is None else int(row[0])


def give_slots(tx: Transaction, worker_id: int, slots: int) -> None:
    """Give one worker so many slots; with 0 it takes no more."""
    values = {"slots": slots, "draining": _unless_ending(TAKES)} if slots else {"draining": _unless_ending(DRAINS)}
    note_change(tx)
    tx.connection.execute(update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None)).values(values))


def _unless_ending(said: int) -> Any:
    """Return what a worker is told, unless it was asked to end: that stays."""
    return case((workers.c.draining == ENDS, ENDS), else_=said)


def set_slots(tx: Transaction, name: str, slots: int) -> int:
    """Give the workers of that name so many slots, and have them take work; return how many those are."""
    found = update(workers).where(workers.c.name == name, workers.c.ended_at.is_(None))
    note_change(tx)
    return tx.connection.execute(found.values(slots=slots, draining=_unless_ending(TAKES))).rowcount


def drain(tx: Transaction, name: str) -> int:
    """Have the workers of that name take no more; return how many those are."""
    found = update(workers).where(workers.c.name == name, workers.c.ended_at.is_(None))
    note_change(tx)
    return tx.connection.execute(found.values(draining=_unless_ending(DRAINS))).rowcount


def note_ending(tx: Transaction, worker_id: int) -> None:
    """Note that a worker was asked to end: it takes no more, whatever anybody says of its slots."""
    found = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    note_change(tx)
    tx.connection.execute(found.values(draining=ENDS))


def all_routes(tx: Transaction) -> list[Route]:
    """Return every route, in the order of their numbers."""
    found = select(routes.c.id, routes.c.queue, routes.c.pool, routes.c.rate).order_by(routes.c.id)
    return [Route(*row) for row in tx.connection.execute(found)]


def end(tx: Transaction, worker_id: int) -> None:
    """Note that a worker is gone."""
    note_change(tx)
    tx.connection.execute(
        update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None)).values(ended_at=tx.now)
    )


def gone(tx: Transaction, before: int) -> list[tuple[int, str]]:
    """Return `(id, name)` of live workers whose last heartbeat is older than `before`."""
    found = select(workers.c.id, workers.c.name).where(workers.c.ended_at.is_(None), workers.c.heartbeat_at < before)
    return [(row.id, row.name) for row in tx.connection.execute(found)]


def live(tx: Transaction) -> list[Row[Any]]:
    """Return the workers that have not ended, each with the number of tasks it holds as `busy`."""
    busy = select(func.count()).where(queue.c.worker_id == workers.c.id).scalar_subquery().label("busy")
    found = select(workers, busy).where(workers.c.ended_at.is_(None)).order_by(workers.c.id)
    return list(tx.connection.execute(found))


def held_runs(tx: Transaction) -> list[bytes]:
    """Return the ids of the runs of which workers of this process hold tasks."""
    text = (
        "SELECT DISTINCT run_id FROM queue WHERE worker_id IS NOT NULL "
        "AND worker_id NOT IN (SELECT worker_id FROM remote_workers)"
    )
    return [row[0] for row in tx.cursor.execute(text)]


def held_claims(tx: Transaction, worker_id: int, only: int | None = None) -> list[tuple[Ready, str, int | None]]:
    """Return the rows that a worker holds as they were before it took them, each with its state and its start."""
    one = "" if only is None else " AND q.id = ?"
    text = (
        "SELECT q.id, q.run_id, q.task, q.revision_id, q.priority, q.due, "  # noqa: S608 - constants only
        "q.attempt - CASE q.state WHEN 'running' THEN 1 ELSE 0 END, q.losses, q.fence - 1, q.queued_at, "
        "q.first_started_at, q.rank, r.state, r.parameters, CASE WHEN r.expansion IS NULL THEN 0 ELSE 1 END, "
        "r.created_at, r.trigger, r.correlation_id, q.state, q.started_at "
        "FROM queue q JOIN runs r ON r.id = q.run_id "
        f"WHERE q.worker_id = ? AND q.state IN ('queued', 'running'){one} ORDER BY q.id"
    )
    rows = tx.cursor.execute(text, (worker_id,) if only is None else (worker_id, only)).fetchall()
    return [(Ready._make(row[:-2]), row[-2], row[-1]) for row in rows]


def canonical(value: dict[str, str] | list[str]) -> str:
    """Return JSON text that is the same for the same labels or queues."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def route_id(tx: Transaction, queue_name: str, pool: str, labels: dict[str, str], rate: str = "") -> int:
    """Return the number of a route, made if it is new; `rate` is what `model.rates.route_text` says of it."""
    text = canonical(labels)
    found = select(routes.c.id).where(
        routes.c.queue == queue_name, routes.c.pool == pool, routes.c.labels == text, routes.c.rate == rate
    )
    known = tx.connection.execute(found).scalar_one_or_none()
    if known is not None:
        return int(known)
    note_change(tx)
    values = {"queue": queue_name, "pool": pool, "labels": text, "rate": rate}
    return int(tx.connection.execute(insert(routes).values(values).returning(routes.c.id)).scalar_one())


def served_routes(tx: Transaction, *, pool: str, labels: dict[str, str], queues: list[str]) -> list[int]:
    """Return the routes that a worker of this pool with these labels may take from."""
    served = []
    for row in tx.connection.execute(select(routes).where(routes.c.pool == pool).order_by(routes.c.id)):
        if row.queue not in queues and ("*" not in queues or row.queue.startswith(OF_ONE_HOME)):
            continue
        if all(label_of(labels, name) == value for name, value in orjson.loads(row.labels).items()):
            served.append(int(row.id))
    return served


def queue_depths(tx: Transaction) -> list[Row[Any]]:
    """Return for each queue and state how many tasks there are and when the oldest was due."""
    found = (
        select(routes.c.queue, queue.c.state, func.count().label("tasks"), func.min(queue.c.due).label("oldest"))
        .join(routes, routes.c.id == queue.c.route_id)
        .group_by(routes.c.queue, queue.c.state)
        .order_by(routes.c.queue, queue.c.state)
    )
    return list(tx.connection.execute(found))
