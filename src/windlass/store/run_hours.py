"""Figures of ended runs by the hour: read off the events once, and kept as sums."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Text,
    and_,
    case,
    cast,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from windlass.clock import SECOND
from windlass.model.event import RUN_ENDED
from windlass.model.histogram import Histogram, added, from_pairs, to_pairs
from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.event_cursor import BEGINNING, Following, following
from windlass.store.labels import has_label
from windlass.store.tables import events, jobs, run_hours, runs, store_info, tasks
from windlass.store.transaction import Transaction

#: Stands for all jobs of a project together: what is asked of a whole project is read from few rows.
ALL_JOBS: Final = bytes(16)
#: Microseconds of an hour.
HOUR: Final = 3600 * SECOND
#: Where it is kept how far the events were counted.
_KEY: Final = "run_hours_cursor"
#: The fact that ends a run of one task; without data it was its first attempt.
_AT_ONCE: Final = "task.completed,run.completed"
#: Facts of almost every run that end none: told apart without a search in their text.
_BEGINNINGS: Final = ("run.created,run.queued,task.queued", "run.started,task.started", "task.started")
_ENDS: Final = tuple(events.c.types.contains(name) for name in sorted(RUN_ENDED))


class Key(NamedTuple):
    """Which runs a row counts: those of a job, or of all, that ended in an hour in one state."""

    project: str
    hour: int
    job_id: bytes
    state: str


@dataclass(slots=True)
class Figures:
    """What is counted of them."""

    runs: int = 0
    attempts: int = 0
    durations: Histogram = field(default_factory=dict)
    waits: Histogram = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourFilter:
    """Which rows are asked for; None leaves a field open."""

    #: First hour, and the one after the last.
    first: int
    end: int | None = None
    project: str | None = None
    job_ids: Collection[bytes] | None = None
    states: Sequence[str] = ()
    #: Labels that the jobs must have; None as the value takes any.
    labels: Mapping[str, str | None] = field(default_factory=dict)


def counted_to(tx: Transaction) -> str:
    """Return the cursor behind all that was counted."""
    found = tx.connection.execute(select(store_info.c.value).where(store_info.c.key == _KEY)).scalar_one_or_none()
    return BEGINNING if found is None else str(found)


def ended_after(tx: Transaction, cursor: str, limit: int) -> tuple[Following, list[Row[Any]]]:
    """Look at `limit` facts behind a cursor: return where a reader stands then, and what ended.

    A row stands for all runs of a job that ended in one hour in one
    state: `job_id, state, hour, project, runs, attempts`, and how long each took and waited for its start, in
    microseconds with commas between. That is one text, and so one row, because with every row that is fetched the
    threads of a worker wait for each other.
    """
    span = following(tx, cursor, limit)
    if span.empty:
        return span, []
    attempts = select(func.coalesce(func.sum(tasks.c.attempt), 0)).where(tasks.c.run_id == runs.c.id).scalar_subquery()
    at_once = and_(events.c.types == _AT_ONCE, events.c.data.is_(None))
    found = (
        select(
            runs.c.job_id,
            runs.c.state,
            (runs.c.finished_at // literal_column(str(HOUR), BigInteger)).label("hour"),
            func.min(runs.c.project).label("project"),
            func.count().label("runs"),
            func.sum(case((at_once, 1), else_=attempts)).label("attempts"),
            _joined(runs.c.finished_at - runs.c.started_at).label("durations"),
            _joined(runs.c.started_at - func.coalesce(runs.c.queued_at, runs.c.created_at)).label("waits"),
        )
        .select_from(events.join(runs, runs.c.id == events.c.run_id))
        .where(
            span.clause(),
            or_(events.c.types == _AT_ONCE, and_(events.c.types.not_in(_BEGINNINGS), or_(*_ENDS))),
            runs.c.finished_at.is_not(None),
        )
        .group_by(runs.c.job_id, runs.c.state, "hour")
    )
    return span, list(tx.connection.execute(found))


def _joined(lengths: ColumnElement[int]) -> ColumnElement[str]:
    return func.aggregate_strings(cast(lengths, Text), ",")


def keep(tx: Transaction, before: str, last: str, figures: Mapping[Key, Figures]) -> bool:
    """Add figures of the facts between two cursors; False, and nothing done, where somebody else has."""
    if not _advance(tx, before, last):
        return False
    for key, more in figures.items():
        row = tx.connection.execute(select(run_hours).where(*_is(key))).one_or_none()
        if row is None:
            tx.connection.execute(insert(run_hours), key._asdict() | _values(more))
            continue
        have = _figures([row])
        have = Figures(
            have.runs + more.runs,
            have.attempts + more.attempts,
            added(have.durations, more.durations),
            added(have.waits, more.waits),
        )
        tx.connection.execute(update(run_hours).where(*_is(key)).values(_values(have)))
    return True


def _advance(tx: Transaction, before: str, last: str) -> bool:
    same = update(store_info).where(store_info.c.key == _KEY, store_info.c.value == before)
    if tx.connection.execute(same.values(value=last)).rowcount == 1:
        return True
    if before != BEGINNING or counted_to(tx) != BEGINNING:
        return False
    tx.connection.execute(insert(store_info), {"key": _KEY, "value": last})
    return True


def hours(tx: Transaction, filters: HourFilter) -> list[Row[Any]]:
    """Return the rows that fit: `project`, `hour`, `job_id`, `state` and their figures."""
    found = select(run_hours).where(run_hours.c.hour >= filters.first)
    if filters.end is not None:
        found = found.where(run_hours.c.hour < filters.end)
    if filters.job_ids is not None:
        found = found.where(run_hours.c.job_id.in_(filters.job_ids))
    else:
        found = found.where(run_hours.c.project.in_(_projects(filters.project)))
    if filters.states:
        found = found.where(run_hours.c.state.in_(filters.states))
    if filters.labels:
        fitting = select(jobs.c.id).where(*_labelled(filters.labels))
        found = found.where(run_hours.c.job_id.in_(fitting))
    elif filters.job_ids is None:
        found = found.where(run_hours.c.job_id == ALL_JOBS)
    return list(tx.connection.execute(found))


def summed(rows: Iterable[Row[Any]]) -> Figures:
    """Return the figures of rows together."""
    return _figures(list(rows))


def live_states(tx: Transaction, filters: HourFilter) -> dict[str, int]:
    """Count the runs that fit and are not final, by state."""
    live = [state for state in RUN_MOVES if state not in RUN_FINAL]
    wanted = [state for state in live if not filters.states or state in filters.states]
    found = select(runs.c.state, func.count()).where(
        runs.c.project.in_(_projects(filters.project)), runs.c.state.in_(wanted)
    )
    if filters.job_ids is not None:
        found = found.where(runs.c.job_id.in_(filters.job_ids))
    if filters.labels:
        found = found.where(runs.c.job_id.in_(select(jobs.c.id).where(*_labelled(filters.labels))))
    return {state: count for state, count in tx.connection.execute(found.group_by(runs.c.state))}  # noqa: C416 - rows


def last_ends(tx: Transaction, job_id: bytes, limit: int) -> list[Row[Any]]:
    """Return `id`, `state` and `finished_at` of the last runs of a job, those that are not final too, newest first."""
    found = select(runs.c.id, runs.c.state, runs.c.finished_at).where(runs.c.job_id == job_id)
    return list(tx.connection.execute(found.order_by(runs.c.id.desc()).limit(limit)))


def _projects(project: str | None) -> Any:
    return [project] if project is not None else select(jobs.c.project).distinct()


def _labelled(labels: Mapping[str, str | None]) -> list[ColumnElement[bool]]:
    return [has_label(jobs.c.labels, name, value) for name, value in labels.items()]


def _is(key: Key) -> list[ColumnElement[bool]]:
    return [run_hours.c[name] == value for name, value in key._asdict().items()]


def _values(figures: Figures) -> dict[str, Any]:
    return {
        "runs": figures.runs,
        "attempts": figures.attempts,
        "durations": orjson.dumps(to_pairs(figures.durations)).decode(),
        "waits": orjson.dumps(to_pairs(figures.waits)).decode(),
    }


def _figures(rows: Sequence[Row[Any]]) -> Figures:
    return Figures(
        sum(row.runs for row in rows),
        sum(row.attempts for row in rows),
        added(*(from_pairs(orjson.loads(row.durations)) for row in rows)),
        added(*(from_pairs(orjson.loads(row.waits)) for row in rows)),
    )
