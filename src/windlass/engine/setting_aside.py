"""Setting a run aside that cannot go on: its revision cannot be read, or a defect shows whenever it is touched.

Nothing here looks at the graph of the run. What runs of it is asked to stop and is set aside when it ends.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from windlass.engine.book import to_json
from windlass.ids import id_text
from windlass.model.state import RUN_FINAL
from windlass.model.storable import clean
from windlass.store import hot
from windlass.store.rows import Held, NewFact, TaskEnd
from windlass.store.transaction import Transaction, require_alone

_log = logging.getLogger(__name__)

REASON: Final = "internal_error"


def set_aside(tx: Transaction, run_id: bytes, error: Exception, task: int | None = None) -> None:
    """Fail a run because of `error`; `task` is the one that was being worked on, whose attempt is over."""
    require_alone(tx)
    flags = hot.run_flags(tx, run_id)
    rows = hot.open_rows(tx, run_id)
    if flags is None or (not rows and flags.state in RUN_FINAL):
        return
    _log.error("Run %s cannot go on and is set aside", id_text(run_id), exc_info=error, extra={"run": id_text(run_id)})
    message = clean(f"An unexpected {type(error).__name__} in Windlass itself: {error}")
    told = to_json({"reason": REASON, "message": message})
    ended = [row for row in rows if row.task == task or row.state != "running"]
    for row in rows:
        if row not in ended:
            hot.ask_to_stop(tx, row.id, row.stop or "cancel")
    for row in ended:
        hot.remove(tx, row.id)
    last = rows[-1].task if rows else 0
    known = {result[0] for result in hot.task_results(tx, run_id, rows[0].task, last)} if rows else set()
    new = [row for row in ended if row.task not in known]
    hot.insert_ends(tx, [_end(tx, row, told if row.task == task else None) for row in new])
    types = [] if task is None else ["task.failed"]
    data: dict[str, object] = {"reason": REASON}
    data["cancelled"] = [[row.task, row.task, REASON] for row in ended if row.task != task]
    if len(ended) == len(rows):
        counts: Counter[str] = Counter()
        allowed = 0
        for state, is_allowed, count in hot.ended_counts(tx, run_id, 0, 2**31 - 1):
            counts[state] += count
            allowed += count if is_allowed else 0
        hot.end_run(
            tx, run_id, state="failed", reason=REASON, counts=to_json(counts), allowed_failures=allowed, error=told,
            outputs=None,
        )  # fmt: skip
        tx.hints.add("places")  # nobody here can say who waits for its end
        types.append("run.failed")
        data["run"] = {"reason": REASON}
    hot.insert_facts(tx, [NewFact(",".join(types), run_id, task, tx.now, to_json(data))])


def _end(tx: Transaction, row: Held, error: str | None) -> TaskEnd:
    """Return the final task that a row becomes: failed where it has the error, else cancelled."""
    started = row.state in {"running", "waiting"}
    return TaskEnd(
        run_id=row.run_id,
        task=row.task,
        state="cancelled" if error is None else "failed",
        reason=REASON,
        attempt=row.attempt,
        outcome=("rescheduled" if row.state == "waiting" else "failed") if started else None,
        allowed=0,
        outputs=None,
        branches=None,
        queued_at=row.queued_at,
        first_started_at=row.first_started_at,
        ended_at=tx.now,
        worker=None,
        exit_code=None,
        error=error,
        started_at=row.started_at,
        finished_at=tx.now if started else None,
        cpu_micros=None,
        max_rss_bytes=None,
        bytes_out=None,
        log_bytes=None,
    )
