"""Workers, their heartbeats, and the routes that their claims come by."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Row, func, insert, select, update

from windlass.store.dispatch import Route, note_change
from windlass.store.tables import queue, routes, workers
from windlass.store.transaction import Transaction


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


def renew(tx: Transaction, worker_id: int) -> bool:
    """Stamp a worker's heartbeat; False where it was found gone meanwhile."""
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
    values = {"slots": slots, "draining": 0} if slots else {"draining": 1}
    note_change(tx)
    tx.connection.execute(update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None)).values(values))


def set_slots(tx: Transaction, name: str, slots: int) -> int:
    """Give the workers of that name so many slots, and have them take work; return how many those are."""
    found = update(workers).where(workers.c.name == name, workers.c.ended_at.is_(None))
    note_change(tx)
    return tx.connection.execute(found.values(slots=slots, draining=0)).rowcount


def drain(tx: Transaction, name: str) -> int:
    """Have the workers of that name take no more; return how many those are."""
    found = update(workers).where(workers.c.name == name, workers.c.ended_at.is_(None))
    note_change(tx)
    return tx.connection.execute(found.values(draining=1)).rowcount


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
    """Return the ids of the runs of which workers hold tasks."""
    return [row[0] for row in tx.cursor.execute("SELECT DISTINCT run_id FROM queue WHERE worker_id IS NOT NULL")]


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
        if "*" not in queues and row.queue not in queues:
            continue
        if all(labels.get(name) == value for name, value in orjson.loads(row.labels).items()):
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
