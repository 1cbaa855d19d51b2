"""Tasks that failed for good and that nobody has queued again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, func, literal_column, or_, select, update

from windlass.store.tables import DEAD, jobs, runs, tasks
from windlass.store.transaction import Transaction

#: The very words of the index of these tasks, whose columns are of one table alone in every statement here.
_DEAD: Final[Any] = literal_column(f"({DEAD})")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter:
    """Which dead letters a list shows; None leaves a field open."""

    project: str | None = None
    queue: str | None = None
    job_id: bytes | None = None
    #: Only those behind this one in the list, `(run, task)`: the cursor of the page before.
    before: tuple[bytes, int] | None = None
    #: Queues whose tasks are never listed.
    without: tuple[str, ...] = ()
    limit: int = 50


def dead_letters(tx: Transaction, filters: DeadFilter) -> list[Row[Any]]:
    """Return `(run_id, task, job, project, queue, revision_id, expansion)` of a page; the newest runs' come first."""
    dead = select(tasks.c.run_id, tasks.c.task).where(_DEAD)
    if filters.before is not None:
        run_id, task = filters.before
        earlier = or_(tasks.c.run_id < run_id, and_(tasks.c.run_id == run_id, tasks.c.task < task))
        dead = dead.where(tasks.c.run_id <= run_id, earlier)
    letters = dead.subquery("letters")
    found = (
        select(letters, jobs.c.alias.label("job"), runs.c.project, runs.c.queue, runs.c.revision_id, runs.c.expansion)
        .select_from(letters.join(runs, runs.c.id == letters.c.run_id).join(jobs, jobs.c.id == runs.c.job_id))
        .where(runs.c.queue.not_in(filters.without))
    )
    # Compared as expressions: no index of runs is to be read for them, dead letters are few beside runs.
    if filters.project is not None:
        found = found.where(func.coalesce(runs.c.project, runs.c.project) == filters.project)
    if filters.queue is not None:
        found = found.where(runs.c.queue == filters.queue)
    if filters.job_id is not None:
        found = found.where(func.coalesce(runs.c.job_id, runs.c.job_id) == filters.job_id)
    found = found.order_by(letters.c.run_id.desc(), letters.c.task.desc()).limit(filters.limit)
    return list(tx.connection.execute(found))


def dead_of(tx: Transaction, run_id: bytes) -> list[int]:
    """Return the tasks of a run that are dead letters, in order."""
    found = select(tasks.c.task).where(tasks.c.run_id == run_id, _DEAD).order_by(tasks.c.task)
    return [row.task for row in tx.connection.execute(found)]


def requeued_as(tx: Transaction, run_id: bytes, task: int | None) -> bytes | None:
    """Return the run that a task, or any task of a run, was queued again as; None where none was."""
    found = select(tasks.c.requeued_as).where(tasks.c.run_id == run_id, tasks.c.requeued_as.is_not(None))
    if task is not None:
        found = found.where(tasks.c.task == task)
    row = tx.connection.execute(found.order_by(tasks.c.task).limit(1)).one_or_none()
    return None if row is None else row.requeued_as


def settle_dead(tx: Transaction, run_id: bytes, new: bytes) -> int:
    """Note that the dead letters of a run were queued again as another one; return how many those were."""
    done = tx.connection.execute(update(tasks).where(tasks.c.run_id == run_id, _DEAD).values(requeued_as=new))
    return done.rowcount
