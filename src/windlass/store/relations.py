"""What ties runs together: which run waits for the end of which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, exists, insert, literal_column, select, update

from windlass.store.archive_tables import archived_runs
from windlass.store.keys import drop_keys_of
from windlass.store.rows import Held
from windlass.store.tables import jobs, queue, run_dependencies, runs
from windlass.store.transaction import Transaction

#: The very words of partial indexes: of a parameter in their place PostgreSQL does not know that it says the same.
_YES: Final[ColumnElement[int]] = literal_column("1")
_NO: Final[ColumnElement[int]] = literal_column("0")


class Awaited(NamedTuple):
    """A final run that somebody waits for."""

    id: bytes
    job: str
    state: str
    parent_id: bytes | None
    #: The task of its parent that waits for it; None where none does.
    parent_task: int | None


class Dependent(NamedTuple):
    """A run that waits for another one, on a condition."""

    run_id: bytes
    on_id: bytes
    condition: str


def awaited_run(tx: Transaction, run_id: bytes, project: str) -> Awaited | None:
    """Have a run awaited, if it is not final, and return it; None where the project has no such run."""
    found = update(runs).where(runs.c.id == run_id, runs.c.project == project, runs.c.finished_at.is_(None))
    tx.connection.execute(found.values(awaited=1))
    row = tx.connection.execute(_runs().where(runs.c.id == run_id, runs.c.project == project)).one_or_none()
    return None if row is None else Awaited(*row)


def _runs() -> Any:
    columns = (runs.c.id, jobs.c.alias, runs.c.state, runs.c.parent_id, runs.c.parent_task)
    return select(*columns).select_from(runs.join(jobs, jobs.c.id == runs.c.job_id))


def keep_dependencies(tx: Transaction, found: Iterable[Dependent]) -> None:
    """Note what new runs wait for."""
    rows = [{"run_id": one.run_id, "on_id": one.on_id, "condition": one.condition} for one in found]
    if rows:
        tx.connection.execute(insert(run_dependencies), rows)


def ended_awaited(tx: Transaction, limit: int) -> list[Awaited]:
    """Return up to `limit` final runs that somebody waits for, the oldest first."""
    found = _runs().where(runs.c.awaited == _YES, runs.c.finished_at.is_not(None)).order_by(runs.c.id).limit(limit)
    return [Awaited(*row) for row in tx.connection.execute(found)]


def await_no_more(tx: Transaction, run_id: bytes) -> None:
    """Note that all has been done that waited for the end of a run."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(awaited=0))


def await_again(tx: Transaction, run_id: bytes) -> None:
    """Have those told once more who wait for a final run."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(awaited=1))
    tx.hints.add("wake")


def archived_end(tx: Transaction, run_id: bytes) -> Awaited | None:
    """Return how a run ended that is in the archive; None where it is not."""
    of = archived_runs
    found = select(of.c.run_id, jobs.c.alias, of.c.state).select_from(of.join(jobs, jobs.c.id == of.c.job_id))
    row = tx.connection.execute(found.where(of.c.run_id == run_id)).one_or_none()
    return None if row is None else Awaited(*row, None, None)


def dependents_of(tx: Transaction, on_id: bytes, limit: int) -> list[Dependent]:
    """Return up to `limit` runs that still wait for a run, the oldest first."""
    table = run_dependencies
    found = select(table.c.run_id, table.c.on_id, table.c.condition).where(
        table.c.on_id == on_id, table.c.settled == _NO
    )
    return [Dependent(*row) for row in tx.connection.execute(found.order_by(table.c.run_id).limit(limit))]


def settle_dependency(tx: Transaction, run_id: bytes, on_id: bytes) -> None:
    """Note that a run waits for another one no more."""
    table = run_dependencies
    tx.connection.execute(
        update(table).where(table.c.run_id == run_id, table.c.on_id == on_id, table.c.settled == 0).values(settled=1)
    )


def open_dependencies(tx: Transaction, run_id: bytes) -> list[Row[Any]]:
    """Return `(id, job, state, condition)` of the runs that a run still waits for; the oldest first."""
    table = run_dependencies
    joined = table.outerjoin(runs, runs.c.id == table.c.on_id).outerjoin(jobs, jobs.c.id == runs.c.job_id)
    found: Select[Any] = select(table.c.on_id.label("id"), jobs.c.alias.label("job"), runs.c.state, table.c.condition)
    found = found.select_from(joined).where(table.c.run_id == run_id, table.c.settled == 0).order_by(table.c.on_id)
    return list(tx.connection.execute(found))


def ended_dependencies(tx: Transaction, run_id: bytes) -> list[Row[Any]]:
    """Return `(id, job, state, condition)` of the runs that a run waited for and that have ended; the oldest first."""
    table = run_dependencies
    joined = table.join(runs, runs.c.id == table.c.on_id).join(jobs, jobs.c.id == runs.c.job_id)
    found: Select[Any] = select(table.c.on_id.label("id"), jobs.c.alias.label("job"), runs.c.state, table.c.condition)
    found = found.select_from(joined).where(table.c.run_id == run_id, runs.c.finished_at.is_not(None))
    return list(tx.connection.execute(found.order_by(table.c.on_id)))


def last_children(tx: Transaction, run_id: bytes) -> dict[int, bytes]:
    """Return the newest run that each task of a run started and waits, or waited, for."""
    found = select(runs.c.parent_task, runs.c.id).where(runs.c.parent_id == run_id, runs.c.parent_task.is_not(None))
    return {row.parent_task: row.id for row in tx.connection.execute(found.order_by(runs.c.id))}


def held_run(tx: Transaction, run_id: bytes) -> Row[Any] | None:
    """Return `(revision_id, scheduled_at)` of a run that waits and is not asked to stop; None where it does not."""
    found: Select[Any] = select(runs.c.revision_id, runs.c.scheduled_at).where(
        runs.c.id == run_id, runs.c.state == "waiting", runs.c.cancels == 0, runs.c.expired == 0
    )
    row: Row[Any] | None = tx.connection.execute(found).one_or_none()
    return row


def release_run(tx: Transaction, run_id: bytes, *, state: str, counted_at: int, deadline: int) -> bool:
    """Move a waiting run to `queued` or `scheduled`; False where it does not wait."""
    values: dict[str, Any] = {"state": state, "counted_at": counted_at, "deadline": deadline, "waiting_for": None}
    if state == "queued":
        values["queued_at"] = tx.now
    changed = tx.connection.execute(update(runs).where(runs.c.id == run_id, runs.c.state == "waiting").values(values))
    tx.hints.add("wake")
    return changed.rowcount == 1


def parent_run(tx: Transaction, run_id: bytes) -> Row[Any]:
    """Return `(project, queue, priority, correlation_id, trigger)` of a run: what its children take over."""
    found: Select[Any] = select(runs.c.project, runs.c.queue, runs.c.priority, runs.c.correlation_id, runs.c.trigger)
    return tx.connection.execute(found.where(runs.c.id == run_id)).one()


def ancestors(tx: Transaction, run_id: bytes, limit: int) -> list[bytes]:
    """Return a run, its parent, that one's parent and so on, up to `limit` of them."""
    chain = [run_id]
    while len(chain) < limit:
        parent = tx.connection.execute(select(runs.c.parent_id).where(runs.c.id == chain[-1])).scalar_one_or_none()
        if parent is None:
            break
        chain.append(parent)
    return chain


def cancels_of(tx: Transaction, run_id: bytes) -> int:
    """Return how often a run was asked to stop; 0 where there is none."""
    return int(tx.connection.execute(select(runs.c.cancels).where(runs.c.id == run_id)).scalar_one_or_none() or 0)


def await_by_task(tx: Transaction, run_id: bytes, task: int) -> None:
    """Note that a task of its parent waits for a run that was just inserted."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(awaited=1, parent_task=task))


def let_loose(tx: Transaction, run_ids: Iterable[bytes]) -> None:
    """Note that runs which were just inserted go on when their parent is stopped."""
    tx.connection.execute(update(runs).where(runs.c.id.in_(list(run_ids))).values(cascades=0))


def waiting_task(tx: Transaction, run_id: bytes, task: int) -> Held | None:
    """Return the row of a task that waits; None where it does not."""
    columns = [queue.c[name] for name in Held._fields]
    found = select(*columns).where(queue.c.run_id == run_id, queue.c.task == task, queue.c.state == "waiting")
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else Held(*row)


def live_children(tx: Transaction, parent_id: bytes) -> list[tuple[bytes, int]]:
    """Return `(id, cancels)` of the children that are not final and are stopped with their parent; oldest first.

    Left out are those that a task waits for which is not asked to stop: a step that cleans up.
    """
    goes_on = select(queue.c.id).where(
        queue.c.run_id == parent_id, queue.c.task == runs.c.parent_task, queue.c.state == "waiting",
        queue.c.stop.is_(None),
    )  # fmt: skip
    found = select(runs.c.id, runs.c.cancels).where(
        runs.c.parent_id == parent_id, runs.c.finished_at.is_(None), runs.c.cascades == 1, ~exists(goes_on)
    )
    return [(row.id, row.cancels) for row in tx.connection.execute(found.order_by(runs.c.id))]


def family_of(tx: Transaction, run_id: bytes) -> list[bytes]:
    """Return a run and all that was started below it, archived or not; parents first.

    Left out is what goes on without its parent.
    """
    family, seen = [run_id], {run_id}
    for parent in family:
        below = {
            row[0]
            for table, column in ((runs, runs.c.id), (archived_runs, archived_runs.c.run_id))
            for row in tx.connection.execute(select(column).where(table.c.parent_id == parent, table.c.cascades == 1))
        }
        family.extend(sorted(below - seen))
        seen |= below
    return family


def exists_anywhere(tx: Transaction, run_id: bytes) -> bool:
    """Say whether there is a run, archived or not."""
    tables = ((runs, runs.c.id), (archived_runs, archived_runs.c.run_id))
    return any(tx.connection.execute(select(column).where(column == run_id)).first() for _, column in tables)


def mark_deleting(tx: Transaction, run_ids: Iterable[bytes]) -> None:
    """Note that runs are to be deleted as soon as they may be."""
    tx.connection.execute(update(runs).where(runs.c.id.in_(list(run_ids))).values(deleting=1))
    tx.hints.add("deleting")


def to_delete(tx: Transaction, after: bytes, limit: int) -> list[tuple[bytes, bool]]:
    """Return up to `limit` runs that are to be deleted, by their ids after `after`, each with whether it has ended."""
    found = select(runs.c.id, runs.c.finished_at).where(runs.c.deleting == _YES, runs.c.id > after)
    rows = tx.connection.execute(found.order_by(runs.c.id).limit(limit))
    return [(row.id, row.finished_at is not None) for row in rows]


def all_at_rest(tx: Transaction, run_ids: Iterable[bytes]) -> bool:
    """Say whether runs are final and all was done that waited for their ends."""
    for run_id in run_ids:
        found = select(runs.c.id).where(runs.c.id == run_id, (runs.c.finished_at.is_(None)) | (runs.c.awaited == 1))
        if tx.connection.execute(found).first() is not None:
            return False
    return True


def has_live_parent(tx: Transaction, run_id: bytes) -> bool:
    """Say whether a run was started by one that is not final."""
    parent = runs.alias()
    found = select(runs.c.id).join(parent, parent.c.id == runs.c.parent_id)
    return tx.connection.execute(found.where(runs.c.id == run_id, parent.c.finished_at.is_(None))).first() is not None


def let_go(tx: Transaction, run_ids: Iterable[bytes]) -> None:
    """Prepare runs for being deleted: no key stands for them any more, and what goes on without them has no parent."""
    for run_id in run_ids:
        drop_keys_of(tx, run_id)
        loose = update(runs).where(runs.c.parent_id == run_id, runs.c.cascades == 0)
        tx.connection.execute(loose.values(parent_id=None, root_id=None))
        away = update(archived_runs).where(archived_runs.c.parent_id == run_id, archived_runs.c.cascades == 0)
        tx.connection.execute(away.values(parent_id=None))
        waits = update(run_dependencies).where(run_dependencies.c.run_id == run_id, run_dependencies.c.settled == 0)
        tx.connection.execute(waits.values(settled=1))  # so that it holds no other one of those; the rows go with it
