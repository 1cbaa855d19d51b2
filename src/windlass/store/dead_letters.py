"""Tasks that failed for good and that nobody has queued again.

What failed in a run that a step waited for is no dead letter: the step ends as that run did, and is retried, allowed to
fail, or the dead letter itself. So one failure is queued again once, from the top of what it brought down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, exists, func, literal_column, not_, or_, select, update

from windlass.store.tables import DEAD, jobs, runs, tasks
from windlass.store.transaction import Transaction
from windlass.store.workers import OF_ONE_HOME

#: The very words of the index of these tasks, whose columns are of one table alone in every statement here.
_DEAD: Final[Any] = literal_column(f"({DEAD})")


_waiting = tasks.alias("waiting")
#: Whether what failed in a run is for itself: no step started it, or that step had ended before and went on without it.
_ON_ITS_OWN: Final[ColumnElement[bool]] = or_(
    runs.c.parent_task.is_(None),
    exists().where(
        _waiting.c.run_id == runs.c.parent_id,
        _waiting.c.task == runs.c.parent_task,
        _waiting.c.ended_at < runs.c.finished_at,
    ),
)
#: Whether a run `r` must stay for whoever decides about dead letters: it has one, or what failed in it made one.
UNDECIDED_RUN: Final = (
    f"EXISTS (SELECT 1 FROM tasks WHERE run_id = r.id AND {DEAD}) "  # noqa: S608 - a constant of the schema
    "AND (r.parent_task IS NULL OR EXISTS (SELECT 1 FROM tasks w WHERE w.run_id = r.parent_id "
    f"AND w.task = r.parent_task AND (w.ended_at < r.finished_at OR {DEAD})))"
)


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
        .where(runs.c.queue.not_in(filters.without), runs.c.queue.not_like(f"{OF_ONE_HOME}%"), _ON_ITS_OWN)
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
    own = select(runs.c.id).where(runs.c.id == run_id, _ON_ITS_OWN)
    if tx.connection.execute(own).first() is None:
        return []
    found = select(tasks.c.task).where(tasks.c.run_id == run_id, _DEAD).order_by(tasks.c.task)
    return [row.task for row in tx.connection.execute(found)]


def waited_for(tx: Transaction, run_id: bytes) -> bytes | None:
    """Return the run whose step waited for a run and ended as it did; None where there was none."""
    found = select(runs.c.parent_id).where(runs.c.id == run_id, runs.c.parent_task.is_not(None), not_(_ON_ITS_OWN))
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else row.parent_id


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
