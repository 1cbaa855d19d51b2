"""Finding runs that nobody would ever move, and putting them right by the same transitions as everybody else's."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from windlass.engine.admission import let_in
from windlass.engine.book import Book, open_book, tally_of, to_json
from windlass.engine.compiled import compiled
from windlass.engine.dependencies import look_again
from windlass.engine.engine import Engine
from windlass.engine.following import (
    STOP_REASONS,
    Consequences,
    by_state,
    cancel_step,
    end_if_done,
    fill,
    follow,
    skip_step,
    stopped_steps,
    unstarted,
)
from windlass.engine.recovery import lose
from windlass.engine.setting_aside import REASON, set_aside
from windlass.ids import id_text
from windlass.model.concurrency import as_ranges
from windlass.model.graph import TaskLayout
from windlass.model.mending import FOUND, Holder, Mending, OpenTask, RunPicture, Wait, decide_mending, wait_of
from windlass.model.progress import decide_join
from windlass.model.state import RUN_FINAL
from windlass.store import hot, relations, timed
from windlass.store import mending as stored
from windlass.store.mending import QueueRow, Standing
from windlass.store.rows import NewFact, TaskEnd
from windlass.store.transaction import Transaction, apart, is_trouble

_log = logging.getLogger(__name__)

#: Repairs of one run that its event names.
_TOLD: Final = 20
_GONE: Final = "Windlass found this task neither in the queue nor in the history; what became of it is not known."


@dataclass(frozen=True, slots=True)
class _Around:
    """What other runs mean for some: what those wait for, and the ended runs that their tasks wait for."""

    waits: Mapping[bytes, Wait]
    children: Mapping[tuple[bytes, int], bytes]


def _around(tx: Transaction, run_ids: Sequence[bytes]) -> _Around:
    waits = {
        run_id: wait_of(for_place=place, keyed=keyed, waits=waits, ended=ended)
        for run_id, (place, keyed, waits, ended) in stored.lost_waits(tx, run_ids).items()
    }
    return _Around(waits, stored.ended_children(tx, run_ids))


def suspects(tx: Transaction, engine: Engine, page: Sequence[Standing]) -> list[bytes]:
    """Return those runs of a page that are not whole, or that cannot be read at all; changes nothing."""
    run_ids = [run.id for run in page]
    rows: dict[bytes, list[QueueRow]] = defaultdict(list)
    for row in stored.queue_rows(tx, run_ids):
        rows[row.run_id].append(row)
    ended: dict[bytes, dict[int, bool]] = defaultdict(dict)
    for run_id, task, attempts in stored.ended_tasks(tx, run_ids):
        ended[run_id][task] = attempts > 0
    around = _around(tx, run_ids)
    found = []
    for run in page:
        try:
            whole = not decide_mending(_picture(tx, engine, run, rows[run.id], ended[run.id], around))
        except Exception as error:  # whatever it is: `mend_run` meets it too, and sets the run aside with it
            if is_trouble(error):
                raise
            whole = False
        if not whole:
            found.append(run.id)
    return found


def mend_run(tx: Transaction, engine: Engine, run_id: bytes) -> Mending | None:
    """Put a run right; return what was done, None where the run was removed or had to be set aside.

    Looked at anew in this unit: what was seen before may have moved since.
    """
    run = stored.standing(tx, run_id)
    if run is None:
        dropped = stored.drop_rows(tx, run_id)
        _log.error("%d tasks of run %s stood in the queue, but there is no such run", dropped, id_text(run_id))
        return None
    done: list[Mending] = []
    failure = apart(tx, partial(_mend, tx, engine, run, done))
    if failure is not None:
        set_aside(tx, run_id, failure)
        return None
    return done[0]


def _mend(tx: Transaction, engine: Engine, run: Standing, done: list[Mending]) -> None:
    rows = {row.task: row for row in stored.queue_rows(tx, [run.id])}
    ended = {task: attempts > 0 for _, task, attempts in stored.ended_tasks(tx, [run.id])}
    around = _around(tx, [run.id])
    mending = decide_mending(_picture(tx, engine, run, rows.values(), ended, around))
    done.append(mending)
    if not mending:
        return
    book = open_book(tx, engine, run.id, run.revision_id)
    repairs = _told(book, mending)
    _log.error("Run %s was put right: %s", id_text(run.id), "; ".join(map(_sentence, repairs)))
    for task, what in mending.tasks:
        if what == "restore":
            hot.insert_ends(tx, [_unknown(book, task)])
        elif what == "settle":
            relations.await_again(tx, around.children[run.id, task])
        else:
            _of_row(tx, rows[task], what)
    if run.state in RUN_FINAL:
        dropped = [task for task, what in mending.tasks if what == "drop" and task not in ended]
        ends = [unstarted(book, task, "cancelled", REASON)._replace(attempt=rows[task].attempt) for task in dropped]
        hot.insert_ends(tx, ends)
        _recount(book)
        _tell(book, ["run.repaired"], repairs, Consequences())
        return
    _go_on(book, engine, run, mending, repairs, rows)


def _go_on(
    book: Book,
    engine: Engine,
    run: Standing,
    mending: Mending,
    repairs: list[dict[str, object]],
    rows: Mapping[int, QueueRow],
) -> None:
    """Move a run whose rows are right again, and its tasks, to where they should be; end it where that is the end."""
    tx, into = book.tx, Consequences()
    types = ["run.repaired", *_begin(tx, run, mending)]
    if run.state != "waiting":
        _join(book, into)
    lost = [rows[task] for task, what in mending.tasks if what == "lose"]
    end = None if lost else end_if_done(book)
    restored = [task for task, what in mending.tasks if what == "restore"]
    told = to_json({"reason": REASON})
    hot.insert_facts(tx, [NewFact("task.failed", run.id, task, tx.now, told) for task in restored])
    _tell(book, types, repairs, into, end)
    if mending.run in {"look", "go_on"}:
        look_again(tx, engine, run.id)
    elif mending.run == "let_in":
        let_in(tx, engine, run.id, run.revision_id)
    for row in lost:
        held = hot.held(tx, row.id)
        if held is not None:
            lose(tx, engine, held, f"number {row.worker_id}")


def _of_row(tx: Transaction, row: QueueRow, what: str) -> None:
    if what == "drop":
        hot.remove(tx, row.id)
    elif what == "stop":
        hot.ask_to_stop(tx, row.id, "cancel")
    elif what == "wake":
        stored.clear_wake(tx, row.id)
    elif what == "free":
        stored.free(tx, row.id)
    elif what == "unstop":
        stored.clear_stop(tx, row.id)
    elif what == "release":
        hot.release(tx, row.id)


def _begin(tx: Transaction, run: Standing, mending: Mending) -> list[str]:
    """Move the run itself; return the events of that."""
    types = []
    if mending.run in {"queue", "begin"} and timed.queue_run(tx, run.id) is not None:
        types.append("run.queued")
    if mending.run == "begin":
        hot.note_begun(tx, [run.id])
        hot.runs_started(tx, [run.id])
        if not stored.is_told_begun(tx, run.id):
            types.append("run.started")
    return types


def _join(book: Book, into: Consequences) -> None:
    """Count anew for how many steps each pending task waits, and decide on those that wait for none."""
    rows = hot.open_rows(book.tx, book.run_id)
    open_steps = {book.step_number(row.task) for row in rows}
    predecessors = book.job.graph.predecessors
    waiting: set[int] = set()
    for row in rows:
        if row.state == "pending":
            step = book.step_number(row.task)
            waiting.add(step)
            stored.set_outstanding(book.tx, row.id, sum(other in open_steps for other in predecessors[step]))
    stopped = stopped_steps(book)
    for step in book.job.graph.order() if waiting else ():
        if step not in waiting or not open_steps.isdisjoint(predecessors[step]):
            continue
        join = decide_join(book.job.graph, book.job.rules[step], step, book, stopping=book.stopping)
        if step in stopped:
            cancel_step(book, step, STOP_REASONS[stopped[step]], into)
            follow(book, [step], into)
        elif join.runs and book.job.job.max_parallel_tasks:
            continue  # `fill` queues as many of them as may run
        elif join.runs:
            into.ready.extend(as_ranges(hot.queue_range(book.tx, book.run_id, *book.span(step))))
        else:
            skip_step(book, step, join.reason or "skipped", into)
            follow(book, [step], into)
    fill(book, into)


def _unknown(book: Book, task: int) -> TaskEnd:
    error = to_json({"reason": REASON, "message": _GONE})
    return unstarted(book, task, "failed", REASON)._replace(error=error)


def _recount(book: Book) -> None:
    counts = hot.ended_counts(book.tx, book.run_id, 0, book.layout.size - 1)
    stored.recount(book.tx, book.run_id, to_json(by_state(counts)), tally_of(counts).allowed)


def _told(book: Book, mending: Mending) -> list[dict[str, object]]:
    """Return what was wrong as the event and the log tell it."""
    told: list[dict[str, object]] = []
    for task, what in mending.tasks:
        known = 0 <= task < book.layout.size
        told.append({"task": task, "step": book.step(task).name if known else None, "found": FOUND[what]})
    if mending.run is not None:
        told.append({"task": None, "step": None, "found": FOUND[mending.run]})
    more = len(told) - _TOLD
    return told if more <= 0 else [*told[:_TOLD], {"task": None, "step": None, "found": f"and {more} more"}]


def _sentence(repair: dict[str, object]) -> str:
    return f"{repair['step']}: {repair['found']}" if repair["step"] else str(repair["found"])


def _tell(
    book: Book,
    types: Iterable[str],
    repairs: list[dict[str, object]],
    into: Consequences,
    end: tuple[str, str | None] | None = None,
) -> None:
    data: dict[str, object] = {"repairs": repairs} | into.data()
    if end is not None:
        types = [*types, f"run.{end[0]}"]
        data["reason"] = end[1]
    hot.insert_facts(book.tx, [NewFact(",".join(types), book.run_id, None, book.tx.now, to_json(data))])


def _picture(
    tx: Transaction,
    engine: Engine,
    run: Standing,
    rows: Iterable[QueueRow],
    ended: dict[int, bool],
    around: _Around,
) -> RunPicture:
    job = compiled(tx, engine.jobs, run.revision_id)
    steps: Sequence[int] = range(len(job.rules))
    if run.fanned:
        steps = _steps_of(engine.fans.get(tx, run.id).layout)
    return RunPicture(
        state=run.state,
        open={row.task: _open(row, child_ended=(run.id, row.task) in around.children) for row in rows},
        ended=ended,
        steps=steps,
        predecessors=job.graph.predecessors,
        stopping=bool(run.stopping) or job.job.fail_fast,
        most=job.job.max_parallel_tasks or 0,
        wait=around.waits.get(run.id),
    )


def _steps_of(layout: TaskLayout) -> list[int]:
    return [step for step in range(len(layout.first) - 1) for _ in layout.tasks(step)]


def _open(row: QueueRow, *, child_ended: bool) -> OpenTask:
    holder: Holder = "nobody" if row.worker_id is None else "alive" if row.alive else "gone"
    return OpenTask(
        row.state,
        row.outstanding,
        bool(row.wakes),
        holder,
        row.stop is not None,
        row.attempt > 0,
        child_ended,
        bool(row.of_child),
        bool(row.fresh),
    )
