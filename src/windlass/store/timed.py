"""What is due: rows that wait for a time, and runs past their deadline."""

from __future__ import annotations

from typing import Final

from windlass.store.rows import Held
from windlass.store.transaction import Transaction

_COLUMNS = ", ".join(Held._fields)
#: Later than any time.
_LAST: Final = 2**63 - 1


def next_time(tx: Transaction, latest: int = _LAST) -> int | None:
    """Return when the next row or run must be looked at; None where nothing waits for a time up to `latest`.

    The nearer that is, the less there is to look at: rows that are gone are passed on the way.
    """
    found = tx.cursor.execute(
        "SELECT min(at) FROM (SELECT min(wake_at) AS at FROM queue WHERE wake_at IS NOT NULL AND wake_at <= ? "
        "UNION ALL SELECT min(deadline) FROM runs WHERE finished_at IS NULL AND deadline <= ?) AS times",
        (latest, latest),
    ).fetchone()
    return found[0] if found else None


def due_rows(tx: Transaction, limit: int) -> list[Held]:
    """Return up to `limit` scheduled or waiting rows whose time has come, the longest overdue first."""
    rows = tx.cursor.execute(
        f"SELECT {_COLUMNS} FROM queue WHERE wake_at <= ? ORDER BY wake_at LIMIT ?",  # noqa: S608 - constants only
        (tx.now, limit),
    )
    return [Held._make(row) for row in rows]


def queue_due(tx: Transaction, queue_id: int) -> None:
    """Let a scheduled row be taken."""
    tx.cursor.execute(
        "UPDATE queue SET state = 'queued', wake_at = NULL, queued_at = coalesce(queued_at, ?) "
        "WHERE id = ? AND state = 'scheduled'",
        (tx.now, queue_id),
    )
    tx.hints.add("ready")


def schedule_range(tx: Transaction, run_id: bytes, first: int, last: int, at: int) -> None:
    """Let the pending tasks `first` to `last` of a run wait for a time."""
    tx.cursor.execute(
        "UPDATE queue SET state = 'scheduled', wake_at = ? "
        "WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending'",
        (at, run_id, first, last),
    )
    tx.hints.add("wake")


def queue_run(tx: Transaction, run_id: bytes) -> bool | None:
    """Move a scheduled run to queued and say whether its job limits its runs; None where it is in another state."""
    found = tx.cursor.execute(
        "UPDATE runs SET state = 'queued', queued_at = ? WHERE id = ? AND state = 'scheduled' "
        "RETURNING limit_key IS NOT NULL",
        (tx.now, run_id),
    ).fetchall()
    return bool(found[0][0]) if found else None


def overdue_runs(tx: Transaction, limit: int) -> list[tuple[bytes, int]]:
    """Return `(id, revision id)` of up to `limit` runs past their deadline."""
    return tx.cursor.execute(
        "SELECT id, revision_id FROM runs WHERE deadline <= ? AND finished_at IS NULL ORDER BY deadline LIMIT ?",
        (tx.now, limit),
    ).fetchall()


def is_overdue(tx: Transaction, run_id: bytes) -> bool:
    """Say whether a run is past its deadline."""
    found = tx.cursor.execute(
        "SELECT 1 FROM runs WHERE id = ? AND deadline <= ? AND finished_at IS NULL", (run_id, tx.now)
    ).fetchone()
    return found is not None


def expire_run(tx: Transaction, run_id: bytes, deadline: int) -> None:
    """Note that a run passed its own deadline; its clean-up gets until `deadline`."""
    tx.cursor.execute(
        "UPDATE runs SET expired = 1, up_at = coalesce(up_at, deadline), deadline = ? WHERE id = ?", (deadline, run_id)
    )
    tx.hints.add("wake")


def ask_to_cancel(tx: Transaction, run_id: bytes, deadline: int) -> None:
    """Note that a run is to be cancelled; its clean-up gets until `deadline`, and no longer if it is under way."""
    tx.cursor.execute(
        "UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, ?), up_at = coalesce(up_at, deadline), "
        "cancels = CASE cancels WHEN 0 THEN 1 ELSE 2 END, deadline = CASE WHEN cancels = 0 AND expired = 0 THEN ? "
        "WHEN deadline < ? THEN deadline ELSE ? END WHERE id = ?",
        (tx.now, deadline, deadline, deadline, run_id),
    )
    tx.hints.add("wake")


def stop_cleanup(tx: Transaction, run_id: bytes, deadline: int) -> None:
    """Note that the clean-up of a stopping run ran out of time as well."""
    tx.cursor.execute(
        "UPDATE runs SET cancels = CASE cancels WHEN 0 THEN 0 ELSE 2 END, deadline = ? WHERE id = ?", (deadline, run_id)
    )
