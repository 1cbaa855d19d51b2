"""By when runs should have ended: written with a run whose job says so, looked at when the time has come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from windlass.store.transaction import Transaction


class Promised(NamedTuple):
    """A run with a time that has come; `sla` is JSON text (`model.sla`)."""

    run_id: bytes
    sla: str
    sla_at: int
    finished_at: int | None


def promise(tx: Transaction, found: Iterable[tuple[bytes, str, int | None]]) -> None:
    """Note what is promised of runs: `(run id, JSON text, first time)`."""
    tx.cursor.executemany(
        "UPDATE runs SET sla = ?, sla_at = ? WHERE id = ? AND finished_at IS NULL",
        [(text, at, run_id) for run_id, text, at in found],
    )
    tx.hints.add("sla")


def next_due(tx: Transaction) -> int | None:
    """Return the earliest time that a run promised and nobody has looked at; None where there is none."""
    row = tx.cursor.execute("SELECT min(sla_at) FROM runs WHERE sla_at IS NOT NULL").fetchone()
    return None if row is None else row[0]


def due(tx: Transaction, limit: int) -> list[Promised]:
    """Return up to `limit` runs with a time that has come, the longest overdue first."""
    rows = tx.cursor.execute(
        "SELECT id, sla, sla_at, finished_at FROM runs WHERE sla_at <= ? ORDER BY sla_at LIMIT ?", (tx.now, limit)
    )
    return [Promised._make(row) for row in rows]


def settle(tx: Transaction, promised: Promised, sla: str, next_at: int | None, *, missed: bool) -> bool:
    """Note what became of the promises of a run; False where somebody else has done so meanwhile."""
    tx.cursor.execute(
        "UPDATE runs SET sla = ?, sla_at = ?, sla_missed = CASE WHEN ? = 1 THEN 1 ELSE sla_missed END "
        "WHERE id = ? AND sla_at = ?",
        (sla, next_at, int(missed), promised.run_id, promised.sla_at),
    )
    return tx.cursor.rowcount == 1


def set_aside(tx: Transaction, promised: Promised) -> None:
    """Look no more at a run whose promises cannot be read."""
    tx.cursor.execute("UPDATE runs SET sla_at = NULL WHERE id = ? AND sla_at = ?", (promised.run_id, promised.sla_at))
