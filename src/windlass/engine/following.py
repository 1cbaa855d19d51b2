"""What follows from steps that became final, applied to the store; and the end of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from windlass.engine.admission import admit, admit_of_project, queue_held_back
from windlass.engine.book import Book, tally_of, to_json
from windlass.model.concurrency import as_ranges
from windlass.model.ending import Stop
from windlass.model.progress import RunFacts, advance, decide_end
from windlass.model.state import RunState
from windlass.store import hot, run_limits
from windlass.store.rows import TaskEnd

#: Reasons of tasks that were stopped, by why.
STOP_REASONS: Final[dict[Stop, str]] = {"cancel": "cancelled", "timeout": "run_deadline", "fail_fast": "fail_fast"}


@dataclass(slots=True)
class Consequences:
    """Ranges of tasks that one change queued, skipped or cancelled: the data of the fact that tells of it."""

    ready: list[list[int]] = field(default_factory=list)
    skipped: list[list[Any]] = field(default_factory=list)
    cancelled: list[list[Any]] = field(default_factory=list)
    #: Child runs that are to be stopped because tasks wait for them that are.
    children: list[bytes] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """Return what there is, by the keys that `model.event.expand` reads."""
        found = {"ready": self.ready, "skipped": self.skipped, "cancelled": self.cancelled}
        return {name: ranges for name, ranges in found.items() if ranges}


def follow(book: Book, final: Iterable[int], into: Consequences) -> None:
    """Queue, skip and cancel what follows from the steps `final`."""
    stopped = stopped_steps(book)
    result = advance(book.job.graph, book.job.rules, final, book, stopping=book.stopping, stopped=stopped)
    held_back = bool(book.job.job.max_parallel_tasks)
    waits = book.flags.state == "waiting"  # what is ready is queued once the run may begin
    for step in result.ready if not (held_back or waits) else ():
        into.ready.extend(as_ranges(hot.queue_range(book.tx, book.run_id, *book.span(step))))
    for step, reason in result.skipped:
        skip_step(book, step, reason, into)
    for step in result.cancelled:
        cancel_step(book, step, STOP_REASONS[stopped[step]], into)
    if held_back and not waits:
        fill(book, into)


def fill(book: Book, into: Consequences) -> None:
    """Queue as many tasks as `maxParallelTasks` leaves room for; without that nothing is held back."""
    most = book.job.job.max_parallel_tasks
    if most:
        room = most - run_limits.active(book.tx, book.run_id)
        into.ready.extend(queue_held_back(book.tx, book.run_id, room) if room > 0 else ())


def stopped_steps(book: Book) -> dict[int, Stop]:
    """Return the steps that were told to stop while they waited for their predecessors, and why."""
    if not book.stopping and not book.job.job.fail_fast:
        return {}
    return {book.step_number(task): why for task, why in hot.stopped_pending(book.tx, book.run_id)}


def skip_step(book: Book, step: int, reason: str, into: Consequences) -> None:
    """Make the pending tasks of a step final, as skipped."""
    removed = hot.remove_range(book.tx, book.run_id, *book.span(step))  # not those whose results were kept
    hot.insert_ends(book.tx, [unstarted(book, task, "skipped", reason) for task in removed])
    into.skipped.extend([*span, reason] for span in as_ranges(removed))


def cancel_step(book: Book, step: int, reason: str, into: Consequences) -> None:
    """Make the pending tasks of a step final, as cancelled."""
    removed = hot.remove_range(book.tx, book.run_id, *book.span(step))  # not those whose results were kept
    hot.insert_ends(book.tx, [unstarted(book, task, "cancelled", reason) for task in removed])
    into.cancelled.extend([*span, reason] for span in as_ranges(removed))


def unstarted(book: Book, task: int, state: str, reason: str, queued_at: int | None = None) -> TaskEnd:
    """Return a final task that was never started."""
    nothing = (None,) * 9
    return TaskEnd(book.run_id, task, state, reason, 0, None, 0, None, None, queued_at, None, book.tx.now, *nothing)


def end_if_done(book: Book) -> tuple[RunState, str | None] | None:
    """End the run if all its tasks are final; return its final state and the reason, None where it goes on."""
    tx, run_id = book.tx, book.run_id
    if hot.any_task_open(tx, run_id):
        return None
    counts = hot.ended_counts(tx, run_id, 0, book.layout.size - 1)
    tally = tally_of(counts)
    cancel_asked = book.flags.cancels > 0
    state, reason = decide_end(
        RunFacts(
            cancel_asked=cancel_asked,
            cancelled=hot.stopped_by_cancel(tx, run_id) if cancel_asked and tally.cancelled else 0,
            expired=bool(book.flags.expired),
            failed=tally.failed - tally.allowed,
        )
    )
    error = _first_failure(book) if state == "failed" else None
    if error is not None and error.get("reason") in {"worker_lost", "quarantined"}:
        reason = error["reason"]
    ended = hot.end_run(
        tx,
        run_id,
        state=state,
        reason=reason,
        counts=to_json(by_state(counts)),
        allowed_failures=tally.allowed,
        error=None if error is None else to_json(error),
        outputs=_outputs(book),
    )
    if ended:
        give_place(book)
    return (state, reason) if ended else None


def give_place(book: Book) -> None:
    """Let in the run that stands first in the line for the place of one that ended."""
    if book.job.job.concurrency is not None:
        key = run_limits.key_of(book.tx, book.run_id)
        if key is not None:
            admit(book.tx, book.engine, key)
    if book.engine.settings.max_runs is not None:
        admit_of_project(book.tx, book.engine, book.flags.project)


def by_state(counts: list[tuple[str, int, int]]) -> dict[str, int]:
    """Return how many tasks there are in each state, of `(state, allowed, how many)` rows."""
    by_state: dict[str, int] = {}
    for name, _, count in counts:
        by_state[name] = by_state.get(name, 0) + count
    return by_state


def _first_failure(book: Book) -> dict[str, Any] | None:
    found = hot.first_failure(book.tx, book.run_id)
    if found is None:
        return None
    task, reason, error = found
    details = orjson.loads(error) if error else {"reason": reason}
    return {"step": book.step(task).name, "key": book.cell(task).key, **details}


def _outputs(book: Book) -> str | None:
    """Return the outputs of the last steps that gave any, later steps over earlier ones."""
    spoke = frozenset(hot.tasks_with_outputs(book.tx, book.run_id))
    if not spoke:
        return None
    first, graph = book.layout.first, book.job.graph
    said = {step for step in range(len(graph.names)) if first[step] in spoke and len(book.layout.tasks(step)) == 1}
    merged: dict[str, Any] = {}
    for step in graph.last_among(said):
        result = hot.task_result(book.tx, book.run_id, first[step])
        if result is not None and result[1]:
            merged |= orjson.loads(result[1])
    return to_json(merged) if merged else None
