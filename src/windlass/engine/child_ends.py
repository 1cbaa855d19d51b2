"""The ends of child runs, and of the time that a task waits for one."""

from __future__ import annotations

from typing import Any, Final

import orjson

from windlass.clock import micros
from windlass.engine.book import to_json
from windlass.engine.cancellation import cancel_runs
from windlass.engine.completion import end_attempt
from windlass.engine.engine import Engine
from windlass.engine.report import report_of
from windlass.ids import id_text, parse_id
from windlass.model.child_failure import child_failure
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, TimedOut
from windlass.model.state import RUN_FINAL
from windlass.store import hot, relations
from windlass.store.ends import RunEnd, run_ends
from windlass.store.rows import Held
from windlass.store.transaction import Transaction

#: What a task says whose child is being stopped, and where the row says for how long it had run then.
_STOPPING: Final = "its run is past the timeout of the step and is being stopped"
_TIMED_OUT: Final = "timedOut"


def settle_parent(tx: Transaction, engine: Engine, child: relations.Awaited) -> None:
    """End the attempt of the task that waits for a child run which has ended; a task that does not any more stays."""
    if child.parent_id is None or child.parent_task is None:
        return
    row = relations.waiting_task(tx, child.parent_id, child.parent_task)
    if row is None or _detail(row).get("child") != id_text(child.id):
        return
    (end,), _ = run_ends(tx, [child.id])
    outcome = _outcome(child, end, stop=row.stop)
    seconds = _detail(row).get(_TIMED_OUT)
    if seconds is not None and row.stop is None and not isinstance(outcome, Completed):
        outcome = TimedOut(seconds)
    _end(tx, engine, row, outcome)


def end_child_wait(tx: Transaction, engine: Engine, row: Held) -> bool:
    """Stop the wait for a child run, now that its time is over; False where a task waits for something else.

    A child that is stopped with its step gets the time to end, for a retry starts another one.
    """
    detail = _detail(row)
    if "child" not in detail:
        return False
    child = parse_id(detail["child"])
    seconds = round((tx.now - (row.started_at or tx.now)) / 1_000_000, 3)
    flags = None if child is None else hot.run_flags(tx, child)
    live = flags is not None and flags.state not in RUN_FINAL
    if child is None or not live or not detail.get("cascade", True) or _TIMED_OUT in detail:
        _end(tx, engine, row, TimedOut(detail.get(_TIMED_OUT, seconds)))
        return True
    grace = tx.now + micros(2 * engine.settings.cleanup_grace)
    hot.wait(tx, row.id, until=grace, reason=_STOPPING, detail=to_json(detail | {_TIMED_OUT: seconds}))
    cancel_runs(tx, engine, [child], parent=row.run_id)
    return True


def _end(tx: Transaction, engine: Engine, row: Held, outcome: Outcome) -> None:
    end_attempt(tx, engine, row, report_of(row, outcome, finished_at=tx.now))


def _outcome(child: relations.Awaited, end: RunEnd, *, stop: str | None) -> Outcome:
    """Return what the end of a child run means for the attempt that started it."""
    if end.state == "completed":
        return Completed(orjson.loads(end.outputs) if end.outputs else {})
    if stop is not None and end.state in {"cancelled", "timeout"}:
        return Cancelled()
    error = orjson.loads(end.error) if end.error else {}
    why = error.get("message") or error.get("reason")
    return Failed(
        "error",
        child_failure(id_text(child.id), child.job, end.state, why),
        reason=f"child_{end.state}",
        may_retry=end.state != "cancelled",
    )


def _detail(row: Held) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(row.detail) if row.detail else {}
    return found
