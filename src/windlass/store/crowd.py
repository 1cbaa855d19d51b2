"""How many processes share the connections of a database server."""

from __future__ import annotations

from typing import NamedTuple

from windlass.store.transaction import Transaction


class Crowd(NamedTuple):
    """Who is there, as one worker sees it."""

    #: Connections that the server has for everybody who is no superuser; None where nothing bounds them.
    room: int | None
    #: Workers that live, and how many of them joined before this one.
    workers: int
    before: int


def crowd(tx: Transaction, worker_id: int) -> Crowd:
    """Return who shares the connections with a worker."""
    workers, before = tx.cursor.execute(
        "SELECT count(*), coalesce(sum(CASE WHEN id < ? THEN 1 ELSE 0 END), 0) FROM workers WHERE ended_at IS NULL",
        (worker_id,),
    ).fetchone()
    if tx.dialect == "sqlite":
        return Crowd(None, workers, before)
    room = tx.cursor.execute(
        "SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings "
        "WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
    ).fetchone()[0]
    return Crowd(int(room), workers, int(before))
