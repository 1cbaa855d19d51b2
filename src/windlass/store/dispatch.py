"""What decides beside rank which tasks are handed out: paused and limited queues, and maintenance."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, delete, insert, select, update

from windlass.store.limit_tables import queues
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction

#: Names of facts about the store.
_CHANGES = "dispatch"
_MAINTENANCE = "maintenance"


class Route(NamedTuple):
    """A way to a worker that may be served now."""

    id: int
    queue: str
    pool: str
    rate: str


def changes(tx: Transaction) -> str | None:
    """Return a text that is another one after each change of routes, queues or maintenance."""
    row = tx.cursor.execute("SELECT value FROM store_info WHERE key = 'dispatch'").fetchone()
    return None if row is None else str(row[0])


def note_change(tx: Transaction) -> None:
    """Have every worker look anew at what it serves."""
    _keep(tx, _CHANGES, token_hex(8))  # no number: one that was undone with its change would come again
    tx.hints.add("ready")


def maintenance(tx: Transaction) -> dict[str, Any] | None:
    """Return `{since, by, why}` while nothing is handed out and nothing fires; None otherwise."""
    row = tx.connection.execute(select(store_info.c.value).where(store_info.c.key == _MAINTENANCE)).one_or_none()
    return None if row is None else dict(orjson.loads(row.value))


def begin_maintenance(tx: Transaction, by: str | None, why: str | None) -> None:
    """Hand nothing out from now on; where that is so already, it stays as it was."""
    if maintenance(tx) is None:
        _keep(tx, _MAINTENANCE, orjson.dumps({"since": tx.now, "by": by, "why": why}).decode())
        note_change(tx)


def end_maintenance(tx: Transaction) -> None:
    """Hand tasks out again."""
    tx.connection.execute(delete(store_info).where(store_info.c.key == _MAINTENANCE))
    note_change(tx)


def said_of_queues(tx: Transaction) -> dict[str, Row[Any]]:
    """Return what somebody said about queues, by their names."""
    return {row.name: row for row in tx.connection.execute(select(queues))}


def pause_queue(tx: Transaction, name: str, by: str | None, why: str | None) -> None:
    """Hand out nothing of a queue; where that is so already, it stays as it was."""
    row = said_of_queues(tx).get(name)
    if row is None or row.paused_at is None:
        _say(tx, name, paused_at=tx.now, paused_by=by, paused_why=why)


def resume_queue(tx: Transaction, name: str) -> None:
    """Hand out tasks of a queue again."""
    row = said_of_queues(tx).get(name)
    if row is not None and row.paused_at is not None:
        _say(tx, name, paused_at=None, paused_by=None, paused_why=None)


def limit_queue(tx: Transaction, name: str, slots: int | None) -> None:
    """Let workers hold so many tasks of a queue at one time; None takes what the settings say."""
    _say(tx, name, slots=slots)


def ready_routes(tx: Transaction) -> list[int]:
    """Return the routes on which tasks may be taken: one look into the index for each of them."""
    following = "SELECT min(route_id) FROM queue WHERE state = 'queued' AND worker_id IS NULL"
    found = tx.cursor.execute(
        f"WITH RECURSIVE found (id) AS ({following} UNION ALL SELECT ({following} AND route_id > found.id) "  # noqa: S608 - constants only
        "FROM found WHERE found.id IS NOT NULL) SELECT id FROM found WHERE id IS NOT NULL"
    )
    return [row[0] for row in found]


def held_by_route(tx: Transaction) -> dict[int, int]:
    """Return how many tasks of each route workers hold."""
    found = tx.cursor.execute(
        "SELECT route_id, count(*) FROM queue WHERE worker_id IS NOT NULL GROUP BY route_id"
    ).fetchall()
    return dict(found)


def held_by_worker(tx: Transaction) -> dict[int, int]:
    """Return how many tasks each worker holds."""
    found = tx.cursor.execute(
        "SELECT worker_id, count(*) FROM queue WHERE worker_id IS NOT NULL GROUP BY worker_id"
    ).fetchall()
    return dict(found)


def _say(tx: Transaction, name: str, **values: Any) -> None:
    if not tx.connection.execute(update(queues).where(queues.c.name == name).values(values)).rowcount:
        tx.connection.execute(insert(queues).values(name=name, **values))
    nothing = (queues.c.paused_at.is_(None), queues.c.slots.is_(None))
    tx.connection.execute(delete(queues).where(queues.c.name == name, *nothing))
    note_change(tx)


def _keep(tx: Transaction, key: str, value: str) -> None:
    if not tx.connection.execute(update(store_info).where(store_info.c.key == key).values(value=value)).rowcount:
        tx.connection.execute(insert(store_info).values(key=key, value=value))
