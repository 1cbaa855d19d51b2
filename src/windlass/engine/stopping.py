"""Stopping the tasks of a run: because it was cancelled, ran out of time, or failed fast."""

from __future__ import annotations

import orjson

from windlass.engine.book import Book
from windlass.engine.following import STOP_REASONS, Consequences, follow, unstarted
from windlass.ids import parse_id
from windlass.model.ending import Stop
from windlass.store import hot
from windlass.store.rows import Held, TaskEnd


def stop_rest(book: Book, why: Stop, into: Consequences, *, spare: bool = True, ended: int | None = None) -> None:
    """Cancel every task of the run that is not started, and ask those that run to stop; then do what follows.

    `ended` is the step of a task that just became final: what comes after it is decided once the rest is stopped.
    `spare` leaves out steps whose rule is `always` (for `fail_fast`: `all_done` too): they clean up once all that comes
    before them has really ended. So what lies between such a step and one that still runs is told to stop and stays.
    """
    kept = {"all_done", "always"} if why == "fail_fast" else {"always"}
    rows = hot.lock_open_rows(book.tx, book.run_id)
    spared = {row.id for row in rows if spare and book.step(row.task).trigger_rule in kept}
    between = _between(book, rows, spared) if spared else set()
    removed: list[Held] = []
    for row in rows:
        if row.id in spared:
            continue
        child = _child(row)
        if child is not None:
            into.children.append(child)
        still = row.state == "running" or child is not None
        if still or (row.state == "pending" and book.step_number(row.task) in between):
            if row.stop is None or not spare:
                hot.ask_to_stop(book.tx, row.id, why)
        else:
            hot.remove(book.tx, row.id)
            removed.append(row)
    reason = STOP_REASONS[why]
    hot.insert_ends(book.tx, [_cancelled(book, row, reason) for row in removed])
    into.cancelled.extend([first, last, reason] for first, last in _ranges([row.task for row in removed]))
    steps = {book.step_number(row.task) for row in removed}
    if ended is not None:
        steps.add(ended)
    follow(book, sorted(step for step in steps if not hot.any_open(book.tx, book.run_id, *book.span(step))), into)


def _between(book: Book, rows: list[Held], spared: set[int]) -> set[int]:
    """Return the steps that come after one that still runs and before one that is spared."""
    running = {book.step_number(row.task) for row in rows if row.state == "running" or _child(row)}
    waiting = {book.step_number(row.task) for row in rows if row.id in spared and row.state == "pending"}
    if not running or not waiting:
        return set()
    graph = book.job.graph
    return graph.after(running) & graph.before(waiting)


def _child(row: Held) -> bytes | None:
    """Return the child run that a task waits for and that is stopped with it: the task ends as that run does."""
    if row.state != "waiting" or row.detail is None:
        return None
    detail = orjson.loads(row.detail)
    return parse_id(detail["child"]) if detail.get("child") and detail.get("cascade", True) else None


def _cancelled(book: Book, row: Held, reason: str) -> TaskEnd:
    """Return the final task that a row becomes which does not run; one that waits has an attempt behind it."""
    end = unstarted(book, row.task, "cancelled", reason, row.queued_at)
    end = end._replace(attempt=row.attempt, first_started_at=row.first_started_at)
    if row.state != "waiting":
        return end
    worker = orjson.loads(row.detail)["worker"] if row.detail else None
    return end._replace(outcome="rescheduled", worker=worker, started_at=row.started_at, finished_at=book.tx.now)


def _ranges(tasks: list[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as ranges."""
    ranges: list[tuple[int, int]] = []
    for task in tasks:
        if ranges and ranges[-1][1] == task - 1:
            ranges[-1] = (ranges[-1][0], task)
        else:
            ranges.append((task, task))
    return ranges
