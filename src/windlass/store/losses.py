"""Tasks that were lost with their workers."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.store.transaction import Transaction

#: Ids in one statement: databases take a limited number of values.
_CHUNK = 500


def losses_in_row(tx: Transaction, queue_ids: Sequence[int]) -> dict[int, int]:
    """Return how many attempts in a row were lost, of those of some rows of the queue of which any was."""
    found: dict[int, int] = {}
    for start in range(0, len(queue_ids), _CHUNK):
        part = queue_ids[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        rows = tx.cursor.execute(
            f"SELECT id, losses_in_row FROM queue WHERE losses_in_row > 0 AND id IN ({marks})",  # noqa: S608 - marks only
            part,
        )
        found |= dict(rows.fetchall())
    return found


def held_losses(tx: Transaction, worker_id: int) -> list[int]:
    """Return the losses in a row of the tasks that a worker holds, of those that were lost before."""
    rows = tx.cursor.execute("SELECT losses_in_row FROM queue WHERE worker_id = ? AND losses_in_row > 0", (worker_id,))
    return [row[0] for row in rows]
