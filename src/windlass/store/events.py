"""Reading the event table with a cursor."""

from __future__ import annotations

import orjson

from windlass.model.event import Event, Fact, expand, fact_of
from windlass.store.transaction import Transaction


def events_after(tx: Transaction, after: int, *, run_id: bytes | None = None, limit: int = 1000) -> list[Event]:
    """Return the events with a `seq` greater than `after`, in order: those of about `limit` facts at most.

    An empty list means that there is none yet. `after` is 0 for the beginning.
    """
    where = "seq >= ?" if run_id is None else "run_id = ? AND seq >= ?"
    values = (fact_of(after),) if run_id is None else (run_id, fact_of(after))
    rows = tx.cursor.execute(
        f"SELECT seq, types, run_id, task, at, data FROM events WHERE {where} ORDER BY seq LIMIT ?",  # noqa: S608 - constants
        (*values, limit + 1),
    ).fetchall()
    found: list[Event] = []
    for seq, types, run, task, at, data in rows:
        fact = Fact(seq, types, run, task, at, None if data is None else orjson.loads(data))
        found.extend(event for event in expand(fact) if event.seq > after)
    return found


def newest(tx: Transaction) -> int:
    """Return a cursor after which only events of the future come."""
    row = tx.cursor.execute("SELECT max(seq) FROM events").fetchone()
    return ((row[0] or 0) + 1 << 20) - 1
