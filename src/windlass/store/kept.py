"""Final tasks that a run takes over from an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import case, func, insert, literal, null, select, update

from windlass.store.tables import tasks
from windlass.store.transaction import Transaction

#: Reason of tasks that took a result of the step cache.
CACHED: Final = "cached"
#: Tasks named in one statement.
_MOST: Final = 500
_COPIED: Final = ("task", "state", "reason", "allowed", "outputs", "branches", "exit_code", "error")


def keep_results(tx: Transaction, run_id: bytes, earlier: bytes, kept: Sequence[int]) -> None:
    """Copy the results of some tasks of an earlier run; their attempts, logs and files stay with that run."""
    # What came from the step cache is kept now, as everything else is.
    reason = case((tasks.c.reason == CACHED, null()), else_=tasks.c.reason)
    columns = [reason if name == "reason" else tasks.c[name] for name in _COPIED]
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


def set_kept_from(tx: Transaction, run_id: bytes, task: int, origin: bytes) -> None:
    """Note the run whose result a final task took."""
    found = update(tasks).where(tasks.c.run_id == run_id, tasks.c.task == task)
    tx.connection.execute(found.values(kept_from=origin))
