"""What metrics read: events added up page by page, and what stands in the queue at a moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, FromClause, Integer, Row, and_, case, func, literal, null, or_, select
from sqlalchemy.sql.elements import SQLColumnExpression

from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.event_cursor import Following
from windlass.store.tables import attempts, events, jobs, queue, routes, runs, tasks
from windlass.store.transaction import Transaction

_MICROS = 1_000_000
_LIVE_RUNS = tuple(sorted(set(RUN_MOVES) - RUN_FINAL))
#: Marks data of facts by which tasks ended beside the one that they are about.
_ENDED_BESIDE = ('%"skipped":[%', '%"cancelled":[%')


class Span(NamedTuple):
    """Facts that follow a cursor; `by_job` asks for the figures of each job apart."""

    facts: Following
    by_job: bool = True


def fact_counts(tx: Transaction, span: Span) -> list[Row[Any]]:
    """Return `(job_id, types, facts)`; the job is null where its run is gone, or where it was not asked for."""
    columns = (events.c.types, func.count().label("facts"))
    source = events.outerjoin(runs, runs.c.id == events.c.run_id) if span.by_job else events
    return _grouped(tx, span, columns, source, ("types",))


def run_delays(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, bucket, number, micros)` of how long runs waited, of those that facts of `types` tell of."""
    due = case((runs.c.scheduled_at > runs.c.created_at, runs.c.scheduled_at), else_=runs.c.created_at)
    begun = func.coalesce(runs.c.started_at, events.c.at)  # the row may say so a moment later
    return _run_times(tx, span, types, _length(due, begun), bounds)


def run_times(tx: Transaction, span: Span, types: Collection[str], bounds: Sequence[float]) -> list[Row[Any]]:
    """Return `(job_id, bucket, number, micros)` of how long runs took, of those that facts of `types` tell of."""
    return _run_times(tx, span, types, _length(runs.c.started_at, runs.c.finished_at), bounds)


def _length(begin: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the time between two times; none where the clock was set back between them: sums must never fall."""
    return case((end < begin, 0), else_=end - begin)


def task_ends(
    tx: Transaction, span: Span, types: Collection[str], waits: Sequence[float], lengths: Sequence[float]
) -> list[Row[Any]]:
    """Return what became of the started tasks that facts of `types` tell the end of, added up.

    A row is `(job_id, outcome, wait, length, number, waited, ran, bytes_out, log_bytes, cpu_micros)`: the outcome of
    the last attempt, the buckets of how long the task waited and of how long that attempt ran, how many there are, and
    sums, times in microseconds.
    """
    waited = _length(func.coalesce(tasks.c.queued_at, tasks.c.first_started_at), tasks.c.first_started_at)
    ran = _length(tasks.c.started_at, tasks.c.finished_at)
    columns = (
        tasks.c.outcome,
        _bucket(waited, waits).label("wait"),
        _bucket(ran, lengths).label("length"),
        func.count().label("number"),
        *(
            func.coalesce(func.sum(column), 0).label(name)
            for name, column in (
                ("waited", waited),
                ("ran", ran),
                ("bytes_out", tasks.c.bytes_out),
                ("log_bytes", tasks.c.log_bytes),
                ("cpu_micros", tasks.c.cpu_micros),
            )
        ),
    )
    source = events.join(tasks, and_(tasks.c.run_id == events.c.run_id, tasks.c.task == events.c.task))
    if span.by_job:
        source = source.join(runs, runs.c.id == events.c.run_id)
    started = (events.c.types.in_(types), tasks.c.outcome.is_not(None), tasks.c.started_at.is_not(None))
    return _grouped(tx, span, columns, source, ("outcome", "wait", "length"), *started)


def facts_with_data(tx: Transaction, span: Span, types: Collection[str], ending: Collection[str]) -> list[Row[Any]]:
    """Return `(types, run_id, task, data, job_id)` of facts of `types`, and of `ending` ones that ended other tasks."""
    further = or_(*(events.c.data.like(mark) for mark in _ENDED_BESIDE))
    found = (
        select(events.c.types, events.c.run_id, events.c.task, events.c.data, runs.c.job_id)
        .select_from(events.outerjoin(runs, runs.c.id == events.c.run_id))
        .where(
            *_within(span),
            events.c.data.is_not(None),
            or_(events.c.types.in_(types), and_(events.c.types.in_(ending), further)),
        )
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


def _within(span: Span) -> tuple[ColumnElement[bool], ...]:
    return (span.facts.clause(),)


def _bucket(length: SQLColumnExpression[Any], bounds: Sequence[float]) -> ColumnElement[int]:
    """Return the bucket of a length in microseconds."""
    whens = [
        (length <= literal(round(bound * _MICROS), BigInteger), literal(number, Integer))
        for number, bound in enumerate(bounds)
    ]
    return case(*whens, else_=literal(len(bounds), Integer))


def _run_times(
    tx: Transaction, span: Span, types: Collection[str], length: SQLColumnExpression[Any], bounds: Sequence[float]
) -> list[Row[Any]]:
    columns = (
        _bucket(length, bounds).label("bucket"),
        func.count().label("number"),
        func.sum(length).label("micros"),
    )
    source = events.join(runs, runs.c.id == events.c.run_id)
    return _grouped(tx, span, columns, source, ("bucket",), events.c.types.in_(types), length.is_not(None))


def _grouped(
    tx: Transaction,
    span: Span,
    columns: Sequence[Any],
    source: FromClause,
    groups: Sequence[str],
    *conditions: ColumnElement[bool],
) -> list[Row[Any]]:
    """Return `columns` of `source` added up by the labels `groups`, and by jobs where the span asks for them."""
    job = runs.c.job_id if span.by_job else null()
    found = select(job.label("job_id"), *columns).select_from(source).where(*_within(span), *conditions)
    return list(tx.connection.execute(found.group_by(*(("job_id",) if span.by_job else ()), *groups)))
