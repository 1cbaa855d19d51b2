"""Tasks and attempts as readers see them: final ones from their tables, the others from the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Row, and_, or_, select

from windlass.store.tables import attempts, queue, tasks, workers
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task of a run, final or not."""

    task: int
    state: str
    reason: str | None
    attempt: int
    outputs: dict[str, Any] | None
    branches: list[str] | None
    exit_code: int | None
    error: dict[str, Any] | None
    allowed: bool
    queued_at: int | None
    started_at: int | None
    finished_at: int | None
    #: When it must be looked at next: of a scheduled task its time, of a waiting one its end.
    wake_at: int | None = None
    outstanding: int = 0
    worker: str | None = None
    stop: str | None = None
    #: The run whose result this is, where it was taken over.
    kept_from: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt; the outcome is None while it runs."""

    task: int
    number: int
    worker: str | None
    outcome: str | None
    exit_code: int | None
    error: dict[str, Any] | None
    started_at: int | None
    finished_at: int | None
    cpu_micros: int | None
    max_rss_bytes: int | None
    bytes_out: int | None
    log_bytes: int | None


def tasks_of(tx: Transaction, run_id: bytes, *, after: int = -1, limit: int | None = None) -> list[TaskRow]:
    """Return the tasks of a run in their order, those behind the task `after` and at most `limit` of them."""
    ended = select(tasks).where(tasks.c.run_id == run_id, tasks.c.task > after).order_by(tasks.c.task).limit(limit)
    final = [_final(row) for row in tx.connection.execute(ended)]
    found = select(queue, workers.c.name.label("worker")).outerjoin(workers, workers.c.id == queue.c.worker_id)
    found = found.where(queue.c.run_id == run_id, queue.c.task > after).order_by(queue.c.task).limit(limit)
    live = [_live(row) for row in tx.connection.execute(found)]
    return sorted([*final, *live], key=lambda row: row.task)[:limit]


def _final(row: Row[Any]) -> TaskRow:
    return TaskRow(
        task=row.task,
        state=row.state,
        reason=row.reason,
        attempt=row.attempt,
        outputs=_json(row.outputs),
        branches=_json(row.branches),
        exit_code=row.exit_code,
        error=_json(row.error),
        allowed=bool(row.allowed),
        queued_at=row.queued_at,
        started_at=row.first_started_at,
        finished_at=row.ended_at,
        worker=row.worker,
        kept_from=row.kept_from,
    )


def _live(row: Row[Any]) -> TaskRow:
    return TaskRow(
        task=row.task,
        state=row.state,
        reason=row.reason,
        attempt=row.attempt,
        outputs=None,
        branches=None,
        exit_code=None,
        error=None,
        allowed=False,
        queued_at=row.queued_at,
        started_at=row.first_started_at,
        finished_at=None,
        wake_at=row.wake_at,
        outstanding=row.outstanding,
        worker=row.worker,
        stop=row.stop,
    )


#: Before the first attempt of a run.
FIRST: Final = (-1, 0)


def attempts_of(
    tx: Transaction, run_id: bytes, *, after: tuple[int, int] = FIRST, limit: int | None = None
) -> list[AttemptRow]:
    """Return the attempts of a run by task and number, running ones included.

    Those behind `after`, the task and number of one, and at most `limit` of them.
    """
    of = attempts.c
    behind = select(attempts).where(of.run_id == run_id, _behind(of.task, of.number, after))
    earlier = [
        _attempt(row, row.number) for row in tx.connection.execute(behind.order_by(of.task, of.number).limit(limit))
    ]
    ended = select(tasks).where(tasks.c.run_id == run_id, tasks.c.outcome.is_not(None))
    ended = ended.where(_behind(tasks.c.task, tasks.c.attempt, after)).order_by(tasks.c.task).limit(limit)
    last = [_attempt(row, row.attempt) for row in tx.connection.execute(ended)]
    running = select(queue, workers.c.name.label("worker")).outerjoin(workers, workers.c.id == queue.c.worker_id)
    running = running.where(queue.c.run_id == run_id, queue.c.started_at.is_not(None))
    running = running.where(_behind(queue.c.task, queue.c.attempt, after)).order_by(queue.c.task).limit(limit)
    now = [
        AttemptRow(
            task=row.task,
            number=row.attempt,
            worker=row.worker,
            outcome=None if row.state == "running" else "rescheduled",
            exit_code=None,
            error=None,
            started_at=row.started_at,
            finished_at=None,
            cpu_micros=None,
            max_rss_bytes=None,
            bytes_out=None,
            log_bytes=None,
        )
        for row in tx.connection.execute(running)
    ]
    return sorted([*earlier, *last, *now], key=lambda row: (row.task, row.number))[:limit]


def _behind(task: ColumnElement[int], number: ColumnElement[int], after: tuple[int, int]) -> ColumnElement[bool]:
    """Return the condition of attempts behind one; its first part is what an index is searched by."""
    return and_(task >= after[0], or_(task > after[0], number > after[1]))


def _attempt(row: Row[Any], number: int) -> AttemptRow:
    return AttemptRow(
        task=row.task,
        number=number,
        worker=row.worker,
        outcome=row.outcome,
        exit_code=row.exit_code,
        error=_json(row.error),
        started_at=row.started_at,
        finished_at=row.finished_at,
        cpu_micros=row.cpu_micros,
        max_rss_bytes=row.max_rss_bytes,
        bytes_out=row.bytes_out,
        log_bytes=row.log_bytes,
    )


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
