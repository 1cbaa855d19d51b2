"""Final tasks that a run takes over from an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, insert, literal, select

from windlass.store.tables import tasks
from windlass.store.transaction import Transaction

#: Tasks named in one statement.
_MOST: Final = 500
_COPIED: Final = ("task", "state", "reason", "allowed", "outputs", "branches", "exit_code", "error")


def keep_results(tx: Transaction, run_id: bytes, earlier: bytes, kept: Sequence[int]) -> None:
    """Copy the results of some tasks of an earlier run; their attempts, logs and files stay with that run."""
    columns = [tasks.c[name] for name in _COPIED]
    for start in range(0, len(kept), _MOST):
        part = kept[start : start + _MOST]
        found = select(
            literal(run_id, tasks.c.run_id.type),
            *columns,
            literal(0),
            literal(tx.now),
            func.coalesce(tasks.c.kept_from, tasks.c.run_id),
        ).where(tasks.c.run_id == earlier, tasks.c.task.in_(part))
        names = ["run_id", *_COPIED, "attempt", "ended_at", "kept_from"]
        tx.connection.execute(insert(tasks).from_select(names, found))
