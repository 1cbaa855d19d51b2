"""How many runs of a project go on, and which of them wait because those are as many as may."""

from __future__ import annotations

from typing import Final, NamedTuple

from windlass.store.lines import Line
from windlass.store.transaction import Transaction


class Entrant(NamedTuple):
    """A run that asks whether it may go on."""

    project: str
    priority: int
    #: 1 where it is never held back: another run started it, or `exec` did, which owns the store and serves no others.
    is_free: int


#: The runs of a project that wait for a place among them.
LINE: Final = Line("project = ? AND state = 'waiting' AND reason = 'max_runs'")


def entrant(tx: Transaction, run_id: bytes) -> Entrant | None:
    """Return what decides about a run."""
    row = tx.cursor.execute(
        "SELECT project, priority, parent_id IS NOT NULL OR queue LIKE '.%' FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    return None if row is None else Entrant._make(row)


def going_on(tx: Transaction, project: str, most: int) -> int:
    """Count the runs of a project that are queued or running, up to `most`."""
    found = 0
    for state in ("running", "queued"):
        found += tx.cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM runs WHERE project = ? AND state = ? LIMIT ?) AS found",
            (project, state, most - found),
        ).fetchone()[0]
    return found


def who_goes_on(tx: Transaction, project: str, limit: int) -> list[bytes]:
    """Return up to `limit` runs of a project that are queued or running."""
    found: list[bytes] = []
    for state in ("running", "queued"):
        rows = tx.cursor.execute(
            "SELECT id FROM runs WHERE project = ? AND state = ? ORDER BY id LIMIT ?",
            (project, state, limit - len(found)),
        )
        found += [row[0] for row in rows]
    return found


def projects_waited_in(tx: Transaction) -> list[str]:
    """Return the projects in which runs wait."""
    found = tx.cursor.execute("SELECT DISTINCT project FROM runs WHERE state = 'waiting' AND reason = 'max_runs'")
    return [row[0] for row in found]


def line_up(tx: Transaction, run_id: bytes, rank: int, waiting_for: str) -> None:
    """Let a waiting run wait in the line of its project from now on."""
    tx.cursor.execute(
        "UPDATE runs SET reason = 'max_runs', waiting_for = ?, limit_rank = coalesce(limit_rank, ?) "
        "WHERE id = ? AND state = 'waiting'",
        (waiting_for, rank, run_id),
    )
