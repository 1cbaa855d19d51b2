"""Runs as readers see them: one, or lists by filters, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, case, func, literal_column, select, union_all, update

from windlass.clock import SECOND
from windlass.ids import first_of
from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.tables import ENDED_BADLY, jobs, queue, revisions, run_labels, runs, tasks
from windlass.store.transaction import Transaction

# The row of a run of one task, begun among many short ones, says so a moment later (`hot.turn`): the queue knows.
_BEGUN = select(queue.c.first_started_at).where(queue.c.run_id == runs.c.id, queue.c.task == 0).scalar_subquery()
_AS_BEGUN = {
    "state": case((and_(runs.c.state == "queued", _BEGUN.is_not(None)), "running"), else_=runs.c.state),
    "started_at": case((runs.c.state == "queued", _BEGUN), else_=runs.c.started_at),
}
#: The columns of a run as readers see them.
AS_SEEN: Final = tuple(
    _AS_BEGUN[column.name].label(column.name) if column.name in _AS_BEGUN else column for column in runs.c
)
_COLUMNS = (
    *(column for column in AS_SEEN if column.name not in {"job_id", "revision_id"}),
    runs.c.job_id,
    runs.c.revision_id,
    jobs.c.alias.label("job"),
    revisions.c.number.label("revision"),
)
_FROM = runs.join(jobs, jobs.c.id == runs.c.job_id).join(revisions, revisions.c.id == runs.c.revision_id)

#: Microseconds by which the time in a run's id may be before that of its acceptance, and after it: ids never go back,
#: so after the clock was set back they are ahead of it for a while.
_BEHIND: Final = 60 * SECOND
_AHEAD: Final = 3 * 3600 * SECOND
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
    labels: Mapping[str, str] = field(default_factory=dict)
    parent_id: bytes | None = None
    #: Only runs that missed what their job's `sla` promises; False takes all.
    sla_missed: bool = False
    #: Only runs before this one in the list: the cursor of the page before.
    before: bytes | None = None
    limit: int = 50


def run(tx: Transaction, run_id: bytes) -> Row[Any] | None:
    """Return a run with its job's alias and its revision's number; None where there is none."""
    return tx.connection.execute(select(*_COLUMNS).select_from(_FROM).where(runs.c.id == run_id)).one_or_none()


def owners(tx: Transaction, run_ids: Sequence[bytes]) -> dict[bytes, tuple[str, str]]:
    """Return the project and the job's alias of each run that is there; a few thousand at most in one look."""
    found = select(runs.c.id, runs.c.project, jobs.c.alias).join(jobs, jobs.c.id == runs.c.job_id)
    rows = tx.connection.execute(found.where(runs.c.id.in_(run_ids)))
    return {run_id: (project, job) for run_id, project, job in rows}


def list_runs(tx: Transaction, filters: RunFilter) -> list[Row[Any]]:
    """Return a page of runs, newest first."""
    found = select(*_COLUMNS).select_from(_FROM).where(runs.c.id.in_(page_of(tx, filters)))
    return list(tx.connection.execute(found.order_by(runs.c.id.desc()).limit(filters.limit)))


def page_of(tx: Transaction, filters: RunFilter) -> Select[tuple[Any]]:
    """Select the ids of a page: the newest of each range of an index that may hold some, and of these the newest.

    So a page costs the same however many runs there are. A database that is given several states at once, or none,
    sorts all that fit.
    """
    if filters.labels:
        return _labelled(filters)
    if filters.parent_id is not None or filters.sla_missed:
        return _newest(filters, lookup=False)
    projects = _projects(tx, filters)
    if not projects:
        return _newest(filters)
    parts = [
        select(_newest(replace(filters, project=project, states=(state,)), asked=filters.states).subquery().c.id)
        for project in projects
        for state in filters.states or RUN_MOVES
    ]
    if len(parts) > _MOST_PARTS:
        return _newest(filters)
    ids = union_all(*parts).subquery().c.id
    return select(ids).order_by(ids.desc()).limit(filters.limit)


def _projects(tx: Transaction, filters: RunFilter) -> list[str]:
    """Return the projects of which the ranges are read one by one; none where one range holds all that fit."""
    if filters.job_id is not None:
        if not filters.states:
            return []
        own = tx.connection.execute(select(jobs.c.project).where(jobs.c.id == filters.job_id)).scalar_one_or_none()
        return [] if own is None else [own]
    if filters.project is not None:
        return [filters.project]
    if not filters.states:
        return []
    return [row.project for row in tx.connection.execute(select(jobs.c.project).distinct())]


def _labelled(filters: RunFilter) -> Select[tuple[Any]]:
    """Select the newest runs with a label, as that label's own range has them, of which everything else is true.

    Each is looked at by itself. Written as EXISTS, PostgreSQL may make a join of it, begin with the runs, and read all
    of them where few have the label.
    """
    (name, value), *others = filters.labels.items()
    label = run_labels.alias()
    one = literal_column("1", Integer)
    fitting = select(one).where(runs.c.id == label.c.run_id, *_conditions(filters, lookup=False))
    found = select(label.c.run_id).where(label.c.name == name, label.c.value == value)
    found = found.where(fitting.scalar_subquery() == one)
    for other, wanted in others:
        more = run_labels.alias()
        same = select(one).where(more.c.name == other, more.c.value == wanted, more.c.run_id == label.c.run_id)
        found = found.where(same.scalar_subquery() == one)
    found = found.where(*_times(filters, label.c.run_id))
    return found.order_by(label.c.run_id.desc()).limit(filters.limit)


def _newest(filters: RunFilter, *, lookup: bool = True, asked: Sequence[str] | None = None) -> Select[tuple[Any]]:
    conditions = [*_conditions(filters, lookup=lookup, asked=asked), *_times(filters, runs.c.id)]
    return select(runs.c.id).where(*conditions).order_by(runs.c.id.desc()).limit(filters.limit)


def _conditions(
    filters: RunFilter, *, lookup: bool = True, asked: Sequence[str] | None = None
) -> list[ColumnElement[bool]]:
    """Return what is true of the runs that fit, but for their ids.

    Without `lookup` no index is to be read for the project, the job and the state: a better one is there. `asked` are
    the states of the whole list, where this is a part of it.
    """
    project, state, job = (
        column if lookup else func.coalesce(column, column) for column in (runs.c.project, runs.c.state, runs.c.job_id)
    )
    conditions: list[ColumnElement[bool]] = []
    if filters.project is not None:
        conditions.append(project == filters.project)
    if filters.job_id is not None:
        conditions += _of_job(filters.job_id, filters.states) if lookup else [job == filters.job_id]
    if filters.states:
        one = len(filters.states) == 1
        conditions.append(state == filters.states[0] if one else state.in_(filters.states))
    asked = filters.states if asked is None else asked
    if "queued" in filters.states and asked and "running" not in asked:  # what is shown as running was not asked for
        conditions.append(case((runs.c.state == "queued", _BEGUN)).is_(None))
    if filters.since is not None:
        conditions.append(runs.c.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(runs.c.created_at < filters.until)
    if filters.parent_id is not None:
        conditions.append(runs.c.parent_id == filters.parent_id)
    if filters.sla_missed:
        conditions.append(runs.c.sla_missed == literal_column("1"))  # the very words of its index
    return conditions


def _of_job(job_id: bytes, states: Sequence[str]) -> list[ColumnElement[bool]]:
    """Return what is true of the runs of a job, written so that the index with the fewest rows to read is taken.

    Runs that ended badly have an index of their own, which is taken where its very words stand here. Runs that are not
    final are few beside the history of a job: they are found by their state, and the job is compared.
    """
    if len(states) != 1 or states[0] == "completed":
        return [runs.c.job_id == job_id]
    if states[0] in RUN_FINAL:
        return [runs.c.job_id == job_id, literal_column(f"({ENDED_BADLY})")]
    return [func.coalesce(runs.c.job_id, runs.c.job_id) == job_id]


def _times(filters: RunFilter, run_id: ColumnElement[bytes]) -> list[ColumnElement[bool]]:
    """Return the range of ids that may hold what fits: ids begin with a time, which is close to that of acceptance."""
    conditions: list[ColumnElement[bool]] = []
    if filters.before is not None:
        conditions.append(run_id < filters.before)
    if filters.since is not None:
        conditions.append(run_id >= first_of((filters.since - _BEHIND) // 1000))
    if filters.until is not None:
        conditions.append(run_id < first_of((filters.until + _AHEAD) // 1000))
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


def project_of(tx: Transaction, run_id: bytes) -> str | None:
    """Return the project of a run; None where there is no such run."""
    found: str | None = tx.connection.execute(select(runs.c.project).where(runs.c.id == run_id)).scalar_one_or_none()
    return found


def set_note(tx: Transaction, run_id: bytes, note: str | None) -> bool:
    """Keep what somebody has to say about a run, or nothing; False where there is no such run."""
    return tx.connection.execute(update(runs).where(runs.c.id == run_id).values(note=note)).rowcount == 1


def set_progress(tx: Transaction, run_id: bytes, progress: str) -> None:
    """Keep what a run says about how far it is."""
    tx.connection.execute(update(runs).where(runs.c.id == run_id).values(progress=progress))


def between(tx: Transaction, low: bytes, high: bytes, limit: int = 2) -> list[bytes]:
    """Return up to `limit` ids of runs that lie between two others, both included."""
    found = select(runs.c.id).where(runs.c.id >= low, runs.c.id <= high).limit(limit)
    return [row.id for row in tx.connection.execute(found)]
