"""Runs as readers see them: one, or lists by filters, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, select, union_all, update

from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.labels import has_label
from windlass.store.tables import jobs, queue, revisions, runs, tasks
from windlass.store.transaction import Transaction

_COLUMNS = (
    *(column for column in runs.c if column.name not in {"job_id", "revision_id"}),
    runs.c.job_id,
    runs.c.revision_id,
    jobs.c.alias.label("job"),
    revisions.c.number.label("revision"),
)
_FROM = runs.join(jobs, jobs.c.id == runs.c.job_id).join(revisions, revisions.c.id == runs.c.revision_id)

#: Ranges that one statement reads: SQLite joins no more than 500 selects.
_MOST_PARTS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a list shows; None leaves a field open."""

    project: str | None = None
    job_id: bytes | None = None
    states: Sequence[str] = ()
    #: Runs created at or after, and before, these times.
    since: int | None = None
    until: int | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    parent_id: bytes | None = None
    #: Only runs before this one in the list: the cursor of the page before.
    before: bytes | None = None
    limit: int = 50


def run(tx: Transaction, run_id: bytes) -> Row[Any] | None:
    """Return a run with its job's alias and its revision's number; None where there is none."""
    return tx.connection.execute(select(*_COLUMNS).select_from(_FROM).where(runs.c.id == run_id)).one_or_none()


def list_runs(tx: Transaction, filters: RunFilter) -> list[Row[Any]]:
    """Return a page of runs, newest first."""
    where = runs.c.id.in_(_page(tx, filters)) if filters.job_id is None else and_(*_conditions(filters))
    found = select(*_COLUMNS).select_from(_FROM).where(where)
    return list(tx.connection.execute(found.order_by(runs.c.id.desc()).limit(filters.limit)))


def _page(tx: Transaction, filters: RunFilter) -> Select[tuple[Any]]:
    """Select the ids of a page: the newest of each project and state, and of these the newest.

    Each part reads one range of an index, so that a page costs the same however many runs there are; a database that
    is given several states at once, or none, sorts all that fit.
    """
    if filters.project is None and not filters.states:
        return _newest(filters)
    if filters.project is None:
        projects = [row.project for row in tx.connection.execute(select(jobs.c.project).distinct())]
    else:
        projects = [filters.project]
    parts = [
        select(_newest(replace(filters, project=project, states=(state,))).subquery().c.id)
        for project in projects
        for state in filters.states or RUN_MOVES
    ]
    if not 0 < len(parts) <= _MOST_PARTS:
        return _newest(filters)
    ids = union_all(*parts).subquery().c.id
    return select(ids).order_by(ids.desc()).limit(filters.limit)


def _newest(filters: RunFilter) -> Select[tuple[Any]]:
    return select(runs.c.id).where(*_conditions(filters)).order_by(runs.c.id.desc()).limit(filters.limit)


def _conditions(filters: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.project is not None:
        conditions.append(runs.c.project == filters.project)
    if filters.job_id is not None:
        conditions.append(runs.c.job_id == filters.job_id)
    if filters.states:
        one = len(filters.states) == 1
        conditions.append(runs.c.state == filters.states[0] if one else runs.c.state.in_(filters.states))
    if filters.since is not None:
        conditions.append(runs.c.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(runs.c.created_at < filters.until)
    if filters.parent_id is not None:
        conditions.append(runs.c.parent_id == filters.parent_id)
    if filters.before is not None:
        conditions.append(runs.c.id < filters.before)
    conditions.extend(has_label(runs.c.labels, name, value) for name, value in filters.labels.items())
    return conditions


def revision_of(tx: Transaction, run_id: bytes) -> int | None:
    """Return the id of the revision that a run runs; None where there is no such run."""
    found = tx.connection.execute(select(runs.c.revision_id).where(runs.c.id == run_id)).scalar_one_or_none()
    return None if found is None else int(found)


def live_counts(tx: Transaction, run_id: bytes) -> dict[str, int]:
    """Count the tasks of a run by state, final or not."""
    counts: dict[str, int] = {}
    for table in (queue, tasks):
        found = select(table.c.state, func.count()).where(table.c.run_id == run_id).group_by(table.c.state)
        for state, count in tx.connection.execute(found):
            counts[state] = counts.get(state, 0) + count
    return counts


def live_runs_of(tx: Transaction, project: str, job_id: bytes) -> int:
    """Count the runs of a job that are not final; `project` is the job's own."""
    live = [state for state in RUN_MOVES if state not in RUN_FINAL]
    found = select(func.count()).where(runs.c.project == project, runs.c.state.in_(live), runs.c.job_id == job_id)
    return int(tx.connection.execute(found).scalar_one())


def set_progress(tx: Transaction, run_id: bytes, progress: str) -> None:
    """Keep what a run says about how far it is."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(progress=progress))


def matching(tx: Transaction, prefix: str, limit: int = 2) -> list[bytes]:
    """Return up to `limit` ids of runs whose text begins with `prefix` (hexadecimal digits without dashes)."""
    low = bytes.fromhex(prefix.ljust(32, "0"))
    high = bytes.fromhex(prefix.ljust(32, "f"))
    found = select(runs.c.id).where(runs.c.id >= low, runs.c.id <= high).limit(limit)
    return [row.id for row in tx.connection.execute(found)]


def remove_run(tx: Transaction, run_id: bytes) -> None:
    """Delete the row of a run."""
    tx.connection.execute(delete(runs).where(runs.c.id == run_id))
