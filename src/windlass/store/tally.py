"""What metrics read: events added up page by page, and what stands in the queue at a moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, case, func, literal, or_, select
from sqlalchemy.sql.elements import SQLColumnExpression

from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.tables import attempts, events, jobs, queue, routes, runs, tasks
from windlass.store.transaction import Transaction

_MICROS = 1_000_000
_LIVE_RUNS = tuple(sorted(set(RUN_MOVES) - RUN_FINAL))
#: Marks data of facts by which tasks ended beside the one that they are about.
_ENDED_BESIDE = ('%"skipped":[%', '%"cancelled":[%')


class Span(NamedTuple):
    """Facts `after` one number up to another."""

    after: int
    upto: int


def span_end(tx: Transaction, after: int, most: int) -> tuple[int, int]:
    """Return the number of the fact at most `most` behind `after`, and that of the newest of all."""
    newest = tx.connection.execute(select(func.max(events.c.seq))).scalar_one() or 0
    return max(after, min(newest, after + most)), max(after, newest)


def fact_counts(tx: Transaction, span: Span) -> list[Row[Any]]:
    """Return `(types, job_id, facts)`; the job is null where its run is gone."""
    found = (
        select(events.c.types, runs.c.job_id, func.count().label("facts"))
        .select_from(events.outerjoin(runs, runs.c.id == events.c.run_id))
        .where(*_within(span))
        .group_by(events.c.types, runs.c.job_id)
    )
    return list(tx.connection.execute(found))


def run_delays(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, bucket, number, micros)` of how long runs waited, of those that facts of `types` tell of."""
    due = case((runs.c.scheduled_at > runs.c.created_at, runs.c.scheduled_at), else_=runs.c.created_at)
    return _run_times(tx, span, types, runs.c.started_at - due, bounds)


def run_times(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, bucket, number, micros)` of how long runs took, of those that facts of `types` tell of."""
    return _run_times(tx, span, types, runs.c.finished_at - runs.c.started_at, bounds)


def task_waits(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, bucket, number, micros)` of how long tasks waited that facts of `types` tell the end of."""
    length = tasks.c.first_started_at - tasks.c.queued_at
    bucket, number, micros = _distributed(length, bounds)
    found = _ended(span, types, runs.c.job_id, bucket, number, micros).where(length.is_not(None))
    return list(tx.connection.execute(found.group_by(runs.c.job_id, "bucket")))


def last_attempts(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, outcome, bucket, number, micros, bytes_out, log_bytes, cpu_micros)` of last attempts.

    They are those of tasks that facts of `types` tell the end of.
    """
    bucket, number, micros = _distributed(tasks.c.finished_at - tasks.c.started_at, bounds)
    used = [
        func.coalesce(func.sum(column), 0).label(column.name)
        for column in (tasks.c.bytes_out, tasks.c.log_bytes, tasks.c.cpu_micros)
    ]
    found = _ended(span, types, runs.c.job_id, tasks.c.outcome, bucket, number, micros, *used)
    found = found.where(tasks.c.outcome.is_not(None), tasks.c.started_at.is_not(None))
    return list(tx.connection.execute(found.group_by(runs.c.job_id, tasks.c.outcome, "bucket")))


def facts_with_data(tx: Transaction, span: Span, types: Collection[str]) -> list[Row[Any]]:
    """Return `(types, run_id, task, data, job_id)` of facts of `types`, and of those that ended further tasks."""
    further = or_(*(events.c.data.like(mark) for mark in _ENDED_BESIDE))
    found = (
        select(events.c.types, events.c.run_id, events.c.task, events.c.data, runs.c.job_id)
        .select_from(events.outerjoin(runs, runs.c.id == events.c.run_id))
        .where(*_within(span), events.c.data.is_not(None), or_(events.c.types.in_(types), further))
    )
    return list(tx.connection.execute(found))


def attempt(tx: Transaction, run_id: bytes, task: int, number: int) -> Row[Any] | None:
    """Return an attempt that was followed by another one."""
    found = select(attempts).where(attempts.c.run_id == run_id, attempts.c.task == task, attempts.c.number == number)
    return tx.connection.execute(found).one_or_none()


def attempts_of(tx: Transaction, run_id: bytes, first: int, last: int) -> list[Row[Any]]:
    """Return the final tasks of a range that were started at least once."""
    found = select(tasks).where(
        tasks.c.run_id == run_id, tasks.c.task.between(first, last), tasks.c.started_at.is_not(None)
    )
    return list(tx.connection.execute(found))


def job_names(tx: Transaction, job_ids: Collection[bytes]) -> dict[bytes, str]:
    """Return the aliases of jobs."""
    found = select(jobs.c.id, jobs.c.alias).where(jobs.c.id.in_(job_ids))
    return {row.id: row.alias for row in tx.connection.execute(found)}


def live_runs(tx: Transaction) -> list[Row[Any]]:
    """Return `(state, number)` of the runs that are not final."""
    found = (
        select(runs.c.state, func.count().label("number"))
        .where(runs.c.project.in_(select(jobs.c.project).distinct()), runs.c.state.in_(_LIVE_RUNS))
        .group_by(runs.c.state)
    )
    return list(tx.connection.execute(found))


def standing_tasks(tx: Transaction) -> list[Row[Any]]:
    """Return `(queue, state, number, due, started_at, wake_at)`: counts, and the earliest time of each kind."""
    found = (
        select(
            routes.c.queue,
            queue.c.state,
            func.count().label("number"),
            func.min(queue.c.due).label("due"),
            func.min(queue.c.started_at).label("started_at"),
            func.min(queue.c.wake_at).label("wake_at"),
        )
        .join(routes, routes.c.id == queue.c.route_id)
        .group_by(routes.c.queue, queue.c.state)
        .order_by(routes.c.queue, queue.c.state)
    )
    return list(tx.connection.execute(found))


def _within(span: Span) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return events.c.seq > span.after, events.c.seq <= span.upto


def _distributed(
    length: SQLColumnExpression[Any], bounds: Sequence[float]
) -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[int]]:
    """Return the bucket of a length in microseconds, how many there are, and their sum."""
    whens = [(length <= round(bound * _MICROS), literal(number, Integer)) for number, bound in enumerate(bounds)]
    bucket: ColumnElement[int] = case(*whens, else_=literal(len(bounds), Integer)).label("bucket")
    return bucket, func.count().label("number"), func.sum(length).label("micros")


def _run_times(
    tx: Transaction, span: Span, types: Collection[str], length: SQLColumnExpression[Any], bounds: Sequence[float]
) -> list[Row[Any]]:
    bucket, number, micros = _distributed(length, bounds)
    found = (
        select(runs.c.job_id, bucket, number, micros)
        .select_from(events.join(runs, runs.c.id == events.c.run_id))
        .where(*_within(span), events.c.types.in_(types), length.is_not(None))
        .group_by(runs.c.job_id, "bucket")
    )
    return list(tx.connection.execute(found))


def _ended(span: Span, types: Collection[str], *columns: Any) -> Select[Any]:
    joined = events.join(tasks, and_(tasks.c.run_id == events.c.run_id, tasks.c.task == events.c.task))
    return (
        select(*columns)
        .select_from(joined.join(runs, runs.c.id == events.c.run_id))
        .where(*_within(span), events.c.types.in_(types))
    )
