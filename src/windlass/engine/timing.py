"""What happens because its time has come: scheduled tasks, waits that end, runs past their deadline."""

from __future__ import annotations

from functools import partial

import orjson

from windlass.clock import micros
from windlass.engine.book import open_book
from windlass.engine.cancellation import expire
from windlass.engine.child_ends import end_child_wait
from windlass.engine.compiled import compiled
from windlass.engine.completion import record_final
from windlass.engine.engine import Engine
from windlass.engine.entering import arrive
from windlass.engine.listening import settle_one
from windlass.engine.relating import any_awaited, settle_awaited
from windlass.engine.report import report_of
from windlass.engine.setting_aside import set_aside
from windlass.model.ending import Ending
from windlass.model.event_wait import EventPattern
from windlass.model.outcome import Completed
from windlass.store import hot, timed
from windlass.store.rows import Held, NewFact
from windlass.store.transaction import Transaction, apart

#: Rows and runs looked at in one unit of work, so that others get their turn.
BATCH = 500


def wake_due(tx: Transaction, engine: Engine, within: int | None = None) -> int | None:
    """Do what is due; return when to look again, None where nothing waits for a time, `within` as many microseconds."""
    for found in timed.due_rows(tx, BATCH):
        row = hot.held(tx, found.id)
        if row is None or row.state != found.state:
            continue  # one before it stopped the rest of their run
        if row.state == "scheduled":
            _queue(tx, engine, row)
            continue
        if row.state != "waiting":
            continue  # a time in the wrong place: the reconciler takes it away
        failure = apart(tx, partial(_end_wait, tx, engine, row))
        if failure is not None:
            set_aside(tx, row.run_id, failure, row.task)
    for run_id, revision_id in timed.overdue_runs(tx, BATCH):
        if not timed.is_overdue(tx, run_id):
            continue  # one before it ended it, or left it a place and with that another deadline
        failure = apart(tx, partial(expire, tx, engine, run_id, revision_id))
        if failure is not None:
            timed.expire_run(tx, run_id, tx.now + micros(engine.settings.cleanup_grace))
            set_aside(tx, run_id, failure)
    if settle_awaited(tx, engine, BATCH):
        return tx.now
    return timed.next_time(tx) if within is None else timed.next_time(tx, tx.now + within)


def next_look(tx: Transaction, within: int) -> int | None:
    """Return when there is something to do by `wake_due`: now, or at a time in as many microseconds; else None."""
    return tx.now if any_awaited(tx) else timed.next_time(tx, tx.now + within)


def _queue(tx: Transaction, engine: Engine, row: Held) -> None:
    limited = timed.queue_run(tx, row.run_id)
    asks = limited or (limited is not None and engine.settings.max_runs is not None)
    if asks and not _enters(tx, engine, row):
        return
    timed.queue_due(tx, row.id)
    types = "task.queued" if limited is None else "run.queued,task.queued"
    hot.insert_facts(tx, [NewFact(types, row.run_id, row.task, tx.now, None)])


def _enters(tx: Transaction, engine: Engine, row: Held) -> bool:
    """Ask for a place for the run of a row whose time has come; False where it waits on, or has ended."""
    entered = False

    def ask() -> None:
        nonlocal entered
        entered = arrive(tx, engine, row.run_id, compiled(tx, engine.jobs, row.revision_id))

    failure = apart(tx, ask)
    if failure is not None:
        set_aside(tx, row.run_id, failure)
    return entered and failure is None


def _end_wait(tx: Transaction, engine: Engine, row: Held) -> None:
    """End a task whose wait is over."""
    if end_child_wait(tx, engine, row):
        return
    detail = orjson.loads(row.detail) if row.detail else {}
    event = detail.get("event")
    if event is not None and settle_one(tx, engine, row):
        return
    what = "What it waited for" if event is None else f"An event {EventPattern.read(event)}"
    completed = detail.get("atEnd") != "failed"
    report = report_of(row, Completed(detail.get("outputs") or {}), finished_at=tx.now)
    book = open_book(tx, engine, row.run_id, row.revision_id)
    ending = (
        Ending("rescheduled", "completed")
        if completed
        else Ending(
            "rescheduled",
            "failed",
            "wait_timeout",
            book.step(row.task).allow_failure,
            message=f"{what} did not come in time.",
        )
    )
    record_final(book, engine, row, report, ending)
