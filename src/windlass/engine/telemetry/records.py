"""Spans as they are read from the history: one of each run, task and attempt that ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.readable import readable
from windlass.engine.step_context import task_id
from windlass.engine.tracing import given_trace
from windlass.ids import id_text
from windlass.model.event import RUN_ENDED, Fact, expand
from windlass.model.trace_context import TraceContext, span_id_of, trace_id_of
from windlass.store import spans
from windlass.store.transaction import Transaction

#: Facts that are read at a time: about as many spans as one batch of an exporter has.
PAGE: Final = 500
_TASK_ENDED: Final = frozenset({"task.completed", "task.failed", "task.cancelled", "task.timeout"})
_WRONG: Final = frozenset({"failed", "timeout", "lost"})

Value = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span that has ended."""

    name: str
    trace_id: str
    span_id: str
    #: The span above it; None where that is what its run was started in.
    parent_id: str | None
    #: The trace context in which its run was started.
    given: TraceContext | None
    #: Microseconds since the epoch.
    start: int
    end: int
    attributes: Mapping[str, Value]
    #: What went wrong.
    error: str | None = None


def ended_spans(tx: Transaction, engine: Engine, cursor: str) -> tuple[list[SpanRecord], str, bool]:
    """Return the spans that facts behind a cursor tell the end of, the next cursor, and whether there are more."""
    facts, span = spans.facts_behind(tx, cursor, PAGE)
    rows = spans.traced_runs(tx, {fact.run_id for fact in facts if fact.run_id is not None})
    found: list[SpanRecord] = []
    for fact in facts:
        row = None if fact.run_id is None else rows.get(fact.run_id)
        if row is None:
            continue
        found += readable(f"What fact {fact.seq} tells", _of_fact, tx, engine, row, fact) or ()
    return found, span.cursor, span.left > 0


def _of_fact(tx: Transaction, engine: Engine, row: Any, fact: Fact) -> list[SpanRecord]:
    return list(_spans(tx, engine, row, fact))


def _spans(tx: Transaction, engine: Engine, row: Any, fact: Fact) -> Iterator[SpanRecord]:
    for event in expand(fact):
        if event.type in RUN_ENDED:
            yield _of_run(row)
        elif event.task is None:
            continue
        elif event.type == "task.retried":
            attempt = spans.earlier_attempt(tx, row.id, event.task, event.data["attempt"])
            if attempt is not None and attempt.started_at is not None:
                yield _of_attempt(tx, engine, row, attempt, attempt.number)
        elif event.type in _TASK_ENDED:
            task = spans.final_task(tx, row.id, event.task)
            if task is not None and task.first_started_at is not None:
                if task.started_at is not None:
                    yield _of_attempt(tx, engine, row, task, task.attempt)
                yield _of_task(tx, engine, row, task)


def _of_run(row: Any) -> SpanRecord:
    given = given_trace(row.trigger)
    start = max(row.created_at, row.scheduled_at or 0)
    return SpanRecord(
        name=f"run {row.alias}",
        trace_id=trace_id_of(row.id, given),
        span_id=span_id_of(row.id),
        parent_id=None,
        given=given,
        start=min(start, row.finished_at),
        end=row.finished_at,
        attributes=_present({**_run_attributes(row), "windlass.state": row.state, "windlass.reason": row.reason}),
        error=_error(row.state, row.error, row.reason),
    )


def _of_task(tx: Transaction, engine: Engine, row: Any, task: Any) -> SpanRecord:
    step, key = _place(tx, engine, row, task.task)
    given = given_trace(row.trigger)
    start = task.first_started_at if task.queued_at is None else task.queued_at
    return SpanRecord(
        name=f"task {step}",
        trace_id=trace_id_of(row.id, given),
        span_id=span_id_of(row.id, task.task),
        parent_id=span_id_of(row.id),
        given=given,
        start=min(start, task.ended_at),
        end=task.ended_at,
        attributes=_present(
            {
                **_run_attributes(row),
                **_task_attributes(row, task.task, step, key),
                "windlass.state": task.state,
                "windlass.reason": task.reason,
            }
        ),
        error=_error(task.state, task.error, task.reason),
    )


def _of_attempt(tx: Transaction, engine: Engine, row: Any, attempt: Any, number: int) -> SpanRecord:
    step, key = _place(tx, engine, row, attempt.task)
    given = given_trace(row.trigger)
    return SpanRecord(
        name=f"attempt {step}",
        trace_id=trace_id_of(row.id, given),
        span_id=span_id_of(row.id, attempt.task, number),
        parent_id=span_id_of(row.id, attempt.task),
        given=given,
        start=attempt.started_at,
        end=max(attempt.finished_at or 0, attempt.started_at),
        attributes=_present(
            {
                **_run_attributes(row),
                **_task_attributes(row, attempt.task, step, key),
                "windlass.attempt": number,
                "windlass.outcome": attempt.outcome,
                "windlass.worker": attempt.worker,
                "process.exit.code": attempt.exit_code,
            }
        ),
        error=_error(attempt.outcome, attempt.error, None),
    )


def _place(tx: Transaction, engine: Engine, row: Any, task: int) -> tuple[str, str]:
    """Return the name of a task's step, and its key."""
    job = compiled(tx, engine.jobs, row.revision_id)
    if row.expansion is None:
        return job.graph.names[task], ""
    fan = engine.fans.get(tx, row.id)
    cell = fan.cell(task)
    return job.graph.names[fan.step_number(task)], "" if cell is None else cell.key


def _run_attributes(row: Any) -> dict[str, Value | None]:
    return {
        "windlass.run.id": id_text(row.id),
        "windlass.project": row.project,
        "windlass.job": row.alias,
        "windlass.revision": row.revision,
        "windlass.correlation_id": row.correlation_id,
    }


def _task_attributes(row: Any, task: int, step: str, key: str) -> dict[str, Value | None]:
    return {"windlass.task.id": task_id(row.id, task), "windlass.step": step, "windlass.key": key or None}


def _present(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _error(state: str, error: str | None, reason: str | None) -> str | None:
    """Return what went wrong; None where nothing did."""
    if state not in _WRONG:
        return None
    told = {} if error is None else orjson.loads(error)
    return str(told.get("message") or reason or state)
