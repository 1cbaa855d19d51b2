"""Runs that other runs start: tied to their parents, and started for the tasks that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from windlass.clock import micros
from windlass.engine.book import Book
from windlass.engine.deadlocks import never_enters
from windlass.engine.engine import Engine
from windlass.engine.families import root_below
from windlass.engine.shapes import secret_names
from windlass.engine.starting import checked, prepare, prepared_revision
from windlass.engine.step_cache import NO_CACHE
from windlass.engine.step_context import task_id
from windlass.engine.submission import Prepared, Submission, accept, expansion_of
from windlass.engine.tracing import trace_below
from windlass.errors import Conflict, UserError, WindlassError
from windlass.ids import id_text
from windlass.model.outcome import ChildRun, Failed
from windlass.store import relations
from windlass.store.rows import Held
from windlass.store.transaction import apart

#: Name of the trigger of a run that a step started.
PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Started:
    """A child run that a task waits for."""

    run_id: bytes
    job: str
    #: When the wait ends at the latest, in microseconds.
    until: int


def start_child(book: Book, engine: Engine, row: Held, child: ChildRun) -> Started | Failed:
    """Start the run that a task is to wait for, or say why that cannot be; nothing is left behind then."""
    tx = book.tx
    started: list[Started] = []
    failure = apart(tx, lambda: started.append(_start(book, engine, row, child)))
    if failure is None:
        return started[0]
    if not isinstance(failure, WindlassError):
        raise failure
    sentence = " ".join(str(failure).split())
    return Failed("error", f"No run of {child.job} was started: {sentence}", reason="child_refused", may_retry=False)


def _start(book: Book, engine: Engine, row: Held, child: ChildRun) -> Started:
    tx = book.tx
    parent = relations.parent_run(tx, book.run_id)
    root = root_below(tx, engine, book.run_id)
    prepared = prepare(tx, engine, parent.project, child.job, child.revision)
    if parent.queue != book.job.job.queue:  # it was given another queue than its job's, and so is all that it starts
        prepared = prepared_revision(tx, engine, prepared.job.revision_id, parent.queue)
    _refuse_open_secrets(prepared, child)
    trace = trace_below(book.run_id, row.task, row.attempt, parent.trigger, engine.tracer)
    submission = Submission(
        parameters=checked(engine, prepared.job, child.parameters, {}),
        priority=parent.priority,
        trigger=_trigger(book, row),
        correlation_id=parent.correlation_id,
        traceparent=None if trace is None else str(trace),
        parent_id=book.run_id,
        root_id=root,
        cascade=child.cascade,
        no_cache=bool(parent.trigger and orjson.loads(parent.trigger).get(NO_CACHE)),
    )
    expansion = expansion_of(engine, prepared.job, submission)
    asked = _cancels(book)
    (accepted,) = accept(tx, engine, prepared, [submission], [expansion])
    relations.await_by_task(tx, accepted.run_id, row.task)
    _refuse_endless_wait(book, engine, prepared, accepted.run_id, asked)
    own = book.step(row.task).timeout
    allowed = engine.settings.run_deadline if prepared.job.job.timeout is None else prepared.job.job.timeout
    longest = allowed + engine.settings.run_deadline + 2 * engine.settings.cleanup_grace
    return Started(accepted.run_id, prepared.job.alias, tx.now + micros(longest if own is None else own))


def _refuse_endless_wait(book: Book, engine: Engine, prepared: Prepared, child: bytes, asked: list[int]) -> None:
    """Raise Conflict where a child, just accepted, would wait for those who wait for it, or has them stopped."""
    concurrency = prepared.job.job.concurrency
    if concurrency is None:
        return
    alias, limit = prepared.job.alias, concurrency["limit"]
    runs = "one run" if limit == 1 else f"{limit} runs"
    same = " with the same key" if "key" in concurrency else ""
    if _cancels(book) != asked:
        raise Conflict(
            f'Job "{alias}" allows {runs}{same} at a time, and one more replaces the run that this step is part of; '
            "use another key or strategy, or do not start the job below itself."
        )
    if never_enters(book.tx, engine, child):
        raise Conflict(
            f'Job "{alias}" allows {runs}{same} at a time, and those that go on wait for this one, so that it would '
            "never begin; raise the limit, use another key, or do not start the job below itself."
        )


def _cancels(book: Book) -> list[int]:
    """Return how often a run and each of those above it were asked to stop."""
    chain = relations.ancestors(book.tx, book.run_id, book.engine.settings.max_child_depth + 1)
    return [relations.cancels_of(book.tx, one) for one in chain]


def _trigger(book: Book, row: Held) -> dict[str, Any]:
    trigger = {
        "type": PARENT,
        "run": id_text(book.run_id),
        "task": task_id(book.run_id, row.task),
        "step": book.step(row.task).name,
        "attempt": row.attempt,
    }
    key = book.cell(row.task).key
    return {**trigger, "key": key} if key else trigger


def _refuse_open_secrets(prepared: Prepared, child: ChildRun) -> None:
    open_ones = sorted(child.secret - secret_names(prepared.job))
    if open_ones:
        names = ", ".join(f'"{name}"' for name in open_ones)
        raise UserError(f"{names} would be given a secret; the job must declare it with `secret: true`.")
