"""Workers in processes of their own: how each is known, and which of its exchanges was the last."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import select

from windlass.clock import SECOND
from windlass.store.tables import workers
from windlass.store.transaction import Transaction

#: How long one is remembered after its end: it may still come with ends of attempts, and is told that it was lost.
_MEMORY: Final = 24 * 3600 * SECOND
_FIND: Final = "SELECT worker_id, request, lost FROM remote_workers WHERE instance = ?"


class RemoteWorker(NamedTuple):
    """How far one was answered."""

    worker_id: int
    #: Number of its last exchange, and of the last one that told it that it was found gone.
    request: int
    lost: int


def find(tx: Transaction, instance: str) -> RemoteWorker | None:
    """Return what is known of a worker by what it calls itself; None where that is nothing."""
    row = tx.cursor.execute(_FIND, (instance,)).fetchone()
    return None if row is None else RemoteWorker._make(row)


def lock(tx: Transaction, instance: str) -> RemoteWorker | None:
    """Do the same, and let nobody else exchange anything for it until this unit of work ends."""
    if tx.alone:
        return find(tx, instance)
    row = tx.cursor.execute(f"{_FIND} FOR UPDATE", (instance,)).fetchone()
    return None if row is None else RemoteWorker._make(row)


def add(tx: Transaction, instance: str, worker_id: int) -> None:
    """Remember a new one, and forget those that ended long ago."""
    tx.cursor.execute(
        "DELETE FROM remote_workers WHERE worker_id IN "
        "(SELECT id FROM workers WHERE ended_at IS NOT NULL AND ended_at < ?)",
        (tx.now - _MEMORY,),
    )
    tx.cursor.execute(
        "INSERT INTO remote_workers (instance, worker_id, request, lost) VALUES (?, ?, 0, 0)", (instance, worker_id)
    )


def note_request(tx: Transaction, instance: str, request: int) -> None:
    """Note with an exchange that it was done."""
    tx.cursor.execute("UPDATE remote_workers SET request = ? WHERE instance = ?", (request, instance))


def note_lost(tx: Transaction, instance: str, worker_id: int, request: int) -> None:
    """Note that one was found gone and goes on under another number, and which exchange told it so."""
    tx.cursor.execute(
        "UPDATE remote_workers SET worker_id = ?, lost = ? WHERE instance = ?", (worker_id, request, instance)
    )


def face_of(tx: Transaction, worker_id: int) -> dict[str, Any] | None:
    """Return what a worker said of itself; None where nobody knows it."""
    row = tx.connection.execute(select(workers).where(workers.c.id == worker_id)).one_or_none()
    if row is None:
        return None
    return {
        "name": row.name,
        "host": row.host,
        "pid": row.pid,
        "slots": row.slots,
        "pool": row.pool,
        "labels": tuple(sorted(orjson.loads(row.labels).items())),
        "queues": tuple(orjson.loads(row.queues)),
        "version": row.version,
    }


def store_id(tx: Transaction) -> str:
    """Return the id of this store."""
    row = tx.cursor.execute("SELECT value FROM store_info WHERE key = 'id'").fetchone()
    return str(row[0])


def grant_leases(tx: Transaction) -> set[int]:
    """Give every such worker that lives a fresh lease, as after a time without a store; return their numbers."""
    tx.cursor.execute(
        "UPDATE workers SET heartbeat_at = ? WHERE ended_at IS NULL AND id IN (SELECT worker_id FROM remote_workers)",
        (tx.now,),
    )
    return {
        row[0]
        for row in tx.cursor.execute(
            "SELECT id FROM workers WHERE ended_at IS NULL AND id IN (SELECT worker_id FROM remote_workers)"
        ).fetchall()
    }
