"""The end of attempts: guarded, recorded, and everything that follows from it, in one unit of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from windlass.engine.book import Book, open_book, to_json
from windlass.engine.cancellation import cancel_runs
from windlass.engine.children import start_child
from windlass.engine.engine import Engine
from windlass.engine.event_waits import begin_event_wait
from windlass.engine.following import Consequences, end_if_done, fill, follow
from windlass.engine.report import Report
from windlass.engine.setting_aside import set_aside
from windlass.engine.settling import COMPLETED, Settled, Settling, is_completion, settle_together
from windlass.engine.step_cache import keep_result, note_taken
from windlass.engine.stopping import stop_rest
from windlass.ids import id_text
from windlass.model.ending import Circumstances, Ending, decide_ending, losses_in_row
from windlass.model.outcome import Cached, Cancelled, Completed, Failed, Outcome, Skipped, Waiting
from windlass.model.storable import storable
from windlass.store import hot, settled
from windlass.store.artifacts import keep_artifacts
from windlass.store.logs import NewChunk, append_chunks
from windlass.store.rows import AttemptEnd, Held, NewFact, ShortEnd, TaskEnd
from windlass.store.transaction import Transaction, apart, require_alone


def settle_reports(tx: Transaction, engine: Engine, reports: Sequence[Report]) -> Settling:
    """Record the ends of attempts; those that lost their fence change nothing but an event.

    The common cases, runs of one task that completed and tasks of others that did, are written together; everything
    else, and all of them where that cannot be done, one by one, so that a run which cannot go on is set aside alone.
    Return what was written together: no hint was given of the tasks that may be taken now.
    """
    quick, others = told_apart(reports)
    if quick:
        others = _complete_together(tx, quick) + others
    written = Settling()
    if others:
        others, written = _settle_plain(tx, engine, others)
    settle_each(tx, engine, others)
    return written


def told_apart(reports: Iterable[Report]) -> tuple[list[Report], list[Report]]:
    """Return the ends that are completions of runs of one task, with nothing beside them, and the others."""
    quick: list[Report] = []
    others: list[Report] = []
    for reported in reports:
        outcome = storable(reported.outcome)
        report = reported if outcome is reported.outcome else replace(reported, outcome=outcome)
        (quick if report.single and is_completion(report) else others).append(report)
    return quick, others


def settle_each(tx: Transaction, engine: Engine, reports: Iterable[Report]) -> None:
    """Record ends of attempts one by one; the runs of several tasks among them are locked."""
    for report in reports:
        failure = apart(tx, partial(_settle, tx, engine, report))
        if failure is not None:
            set_aside(tx, report.run_id, failure, report.task)


def _settle_plain(tx: Transaction, engine: Engine, reports: Sequence[Report]) -> tuple[list[Report], Settling]:
    """Lock runs of several tasks, settle those of their tasks that merely completed.

    Return the other reports, and what was written.
    """
    plain = [report for report in reports if not report.single and is_completion(report)]
    queue_ids = [report.queue_id for report in plain]
    if len(plain) == len(reports):
        flags, held = settled.lock_with_runs(tx, queue_ids)
    else:
        flags = settled.lock_runs(tx, {report.run_id for report in reports if not report.single})
        held = settled.lock_rows(tx, queue_ids)
    found = [
        Settled(report, row, final_task(tx, row, report, COMPLETED))
        for report in plain
        if (row := held.get(report.queue_id)) is not None and _stands(row, report)
    ]
    left: list[Report] = []
    written = Settling()

    def settle() -> None:
        nonlocal written
        undone, written = settle_together(tx, engine, flags, found)
        left.extend(undone)

    if not found or apart(tx, settle) is not None:
        return list(reports), Settling()
    done = {id(one.report) for one in found} - {id(report) for report in left}
    return [report for report in reports if id(report) not in done], written


def can_settle_beside_others(reports: Iterable[Report]) -> bool:
    """Say whether nothing is among these ends of attempts that must be recorded alone, as far as they tell."""
    return not any(
        report.keep is not None
        or isinstance(report.outcome, Cached)
        or (isinstance(report.outcome, Waiting) and (report.outcome.child or report.outcome.event) is not None)
        for report in reports
    )


def _complete_together(tx: Transaction, reports: Sequence[Report]) -> list[Report]:
    """Complete runs of one task each; return those that must be looked at by themselves."""
    now = tx.now
    ends, facts = [], []
    for report in reports:
        outcome = report.outcome
        if not isinstance(outcome, Completed):
            continue
        outputs = to_json(dict(outcome.outputs)) if outcome.outputs else None
        used = report.usage
        ends.append(
            TaskEnd(
                report.run_id, report.task, "completed", None, report.attempt, "completed", 0, outputs, None,
                report.queued_at, report.first_started_at, now, report.worker, outcome.exit_code, None,
                report.started_at, _finished_at(report, report.started_at, now), used.cpu_micros,
                used.max_rss_bytes, used.bytes_out, used.log_bytes,
            )
        )  # fmt: skip
        plain = report.attempt == 1 and not used.chunks
        data = None if plain else to_json({"attempt": report.attempt} | _chunks(report))
        facts.append(NewFact("task.completed,run.completed", report.run_id, report.task, now, data))
    left = hot.complete(tx, [(report.queue_id, report.fence) for report in reports], ends, facts)
    return [reports[at] for at in left]


def _settle(tx: Transaction, engine: Engine, report: Report) -> None:
    row = hot.lock_held(tx, report.queue_id)
    if row is None or not _stands(row, report):
        if hot.run_flags(tx, report.run_id) is None:
            return  # the run has left meanwhile: nobody is there to be told
        data = to_json({"attempt": report.attempt, "worker": report.worker, "outcome": type(report.outcome).__name__})
        hot.insert_facts(tx, [NewFact("task.late", report.run_id, report.task, tx.now, data)])
        return
    end_attempt(tx, engine, row, report)


def _stands(row: Held, report: Report) -> bool:
    """Say whether the claim behind a report still holds its row, and the report can be true of it."""
    if row.fence != report.fence or row.worker_id is None:
        return False
    return row.state == "running" or isinstance(report.outcome, Skipped | Failed | Cached)


def end_attempt(tx: Transaction, engine: Engine, row: Held, report: Report) -> None:
    """Make of a held row what the end of its attempt means: another attempt, a wait, or a final task."""
    book = open_book(tx, engine, row.run_id, row.revision_id)
    if book.flags.state == "queued" and row.state == "running":  # begun in a streak
        hot.note_begun(tx, [row.run_id])
        book.flags = book.flags._replace(state="running")
    step = book.step(row.task)
    if report.usage.unsaid:
        at, used = _finished_at(report, report.started_at, tx.now), report.usage
        claim = (report.queue_id, report.fence, row.run_id, row.task, row.attempt)
        append_chunks(tx, [NewChunk(*claim, used.chunks, at, "system", used.unsaid)])
    if isinstance(report.outcome, Waiting) and report.outcome.child is not None and row.stop is None:
        report = replace(report, outcome=_with_child(book, engine, row, report.outcome))
    lost = isinstance(report.outcome, Failed) and report.outcome.kind == "lost"
    losses, in_row = row.losses + lost, losses_in_row(row.losses_in_row, report.outcome)
    facts = Circumstances(
        attempts=row.attempt - losses,
        losses_in_row=in_row,
        stop=row.stop or ("cancel" if book.stopping and step.trigger_rule != "always" else None),
        chance=engine.chance(),
        started=row.state in {"running", "waiting"},
    )
    if report.artifacts:
        files = [(file.name, file.size, file.sha256, file.path) for file in report.artifacts]
        keep_artifacts(tx, row.run_id, row.task, row.attempt, files, engine.home)
    ending = decide_ending(step, checked_branch(book, row.task, report.outcome), facts)
    if ending.state == "scheduled":
        _again(tx, engine, row, report, ending, losses=losses, in_row=in_row)
    elif ending.state == "waiting" and isinstance(report.outcome, Waiting):
        _wait(book, row, report, report.outcome)
    else:
        record_final(book, engine, row, report, ending)


def checked_branch(book: Book, task: int, outcome: Outcome) -> Outcome:
    """Return the outcome of a branch step, failed where it chose a step that does not follow it."""
    step = book.step_number(task)
    if not isinstance(outcome, Completed) or not book.job.job.steps[step].branch:
        return outcome
    names = [book.job.graph.names[after] for after in book.job.graph.successors[step]]
    for chosen in outcome.branches or ():
        if chosen not in names:
            message = f'It chose "{chosen}", which does not follow it; it may choose {", ".join(names)}.'
            return Failed("error", message, outcome.exit_code, outcome.outputs, "unknown_branch")
    return outcome


def _again(
    tx: Transaction, engine: Engine, row: Held, report: Report, ending: Ending, *, losses: int, in_row: int
) -> None:
    at = tx.now + round((ending.delay or 0.0) * 1_000_000)
    hot.insert_attempts(tx, [_attempt(tx, row, report, ending)])
    hot.reschedule(tx, row.id, at=at, rank=engine.rank(at, row.priority), losses_in_row=in_row, losses=losses)
    data = {
        "attempt": row.attempt,
        "worker": report.worker,
        "outcome": ending.attempt,
        "reason": ending.reason,
        "at": at,
        **_chunks(report),
    }
    types = "task.lost,task.retried" if ending.attempt == "lost" else "task.retried"
    hot.insert_facts(tx, [NewFact(types, row.run_id, row.task, tx.now, to_json(data))])


def _with_child(book: Book, engine: Engine, row: Held, waiting: Waiting) -> Outcome:
    """Return the wait for a run that is started here, or the failure where it cannot be."""
    if waiting.child is None:
        return waiting
    require_alone(book.tx)
    if book.stopping and book.step(row.task).trigger_rule != "always":
        return Cancelled()
    started = start_child(book, engine, row, waiting.child)
    if isinstance(started, Failed):
        return started
    reason = f'run {id_text(started.run_id)} of job "{started.job}"'
    return replace(waiting, until=started.until, reason=reason, child_id=started.run_id)


def _wait(book: Book, row: Held, report: Report, outcome: Waiting) -> None:
    tx = book.tx
    detail: dict[str, Any] = {}
    if outcome.child is not None and outcome.child_id is not None:
        detail |= {"child": id_text(outcome.child_id), "cascade": outcome.child.cascade}  # first: `WAITS_FOR_CHILD`
    detail |= {"atEnd": outcome.at_end, "worker": report.worker, "outputs": dict(outcome.outputs)}
    if outcome.event is not None:
        require_alone(tx)
        detail["event"] = dict(outcome.event)
        begin_event_wait(book, row, outcome)
    hot.wait(tx, row.id, until=outcome.until, reason=outcome.reason, detail=to_json(detail))
    consequences = Consequences()
    fill(book, consequences)
    data = {"reason": outcome.reason, "until": outcome.until} | _chunks(report) | consequences.data()
    hot.insert_facts(tx, [NewFact("task.waiting", row.run_id, row.task, tx.now, to_json(data))])


def record_final(book: Book, engine: Engine, row: Held, report: Report, ending: Ending) -> None:
    """Make a held row a final task, and do everything that follows for its run."""
    tx = book.tx
    final = final_task(tx, row, report, ending)
    hot.remove(tx, row.id)
    hot.insert_ends(tx, [final])
    types = f"task.{ending.state}"
    consequences = Consequences()
    data: dict[str, Any] = {"attempt": final.attempt} | _chunks(report)
    if ending.state == "completed" and isinstance(report.outcome, Cached):
        require_alone(tx)
        note_taken(tx, row.run_id, row.task, book.job.project, report.outcome)
        types, data["from"] = f"task.cached,{types}", id_text(report.outcome.origin)
    elif ending.state == "completed" and report.keep is not None and isinstance(report.outcome, Completed):
        require_alone(tx)
        keep_result(tx, engine, row.run_id, report.keep, report.outcome, report.artifacts)
    if ending.reason:
        data["reason"] = ending.reason
    if final.exit_code is not None:
        data["exitCode"] = final.exit_code
    if ending.attempt == "lost":
        types = f"task.lost,{types}"
        data["worker"] = report.worker
    step = book.step_number(row.task)
    failed = ending.state in {"failed", "timeout"} and not ending.allowed
    if failed and book.job.job.fail_fast and not book.stopping:
        stop_rest(book, "fail_fast", consequences, ended=step)
        cancel_runs(tx, engine, consequences.children, parent=row.run_id)
    elif not hot.any_open(tx, row.run_id, *book.span(step)):
        follow(book, [step], consequences)
    else:
        fill(book, consequences)
    end = end_if_done(book)
    if end is not None:
        types += f",run.{end[0]}"
        if end[1]:
            data["run"] = {"reason": end[1]}
    hot.insert_facts(tx, [NewFact(types, row.run_id, row.task, tx.now, to_json(data | consequences.data()))])


def short_end(report: Report) -> ShortEnd:
    """Return a completion that `told_apart` called quick as `hot.turn` takes it."""
    outcome, used = report.outcome, report.usage
    outputs = getattr(outcome, "outputs", None)
    plain = report.attempt == 1 and not used.chunks
    return ShortEnd(
        report.queue_id, report.fence, report.finished_at, getattr(outcome, "exit_code", None),
        to_json(dict(outputs)) if outputs else None, used.cpu_micros, used.max_rss_bytes, used.bytes_out,
        used.log_bytes, None if plain else to_json({"attempt": report.attempt} | _chunks(report)),
    )  # fmt: skip


def _chunks(report: Report) -> dict[str, int]:
    """Return by which chunk the output of an attempt is complete; nothing where it wrote none."""
    return {"chunks": report.usage.chunks} if report.usage.chunks else {}


def _finished_at(report: Report, started_at: int | None, now: int) -> int:
    """Return when an attempt ended: its worker says it, within what the clock of the store allows.

    So what follows it never begins before its end, whatever the worker's clock says.
    """
    return max(min(report.finished_at, now), started_at or 0)


def final_task(tx: Transaction, row: Held, report: Report, ending: Ending) -> TaskEnd:
    """Return the final task that a held row becomes."""
    outcome = report.outcome
    outputs = getattr(outcome, "outputs", None)
    branches = outcome.branches if isinstance(outcome, Completed) else None
    started = row.state in {"running", "waiting"}
    used = report.usage
    return TaskEnd(
        run_id=row.run_id,
        task=row.task,
        state=ending.state,
        reason=ending.reason,
        attempt=row.attempt,
        outcome=(ending.attempt or "completed") if started else None,
        allowed=int(ending.allowed),
        outputs=to_json(dict(outputs)) if outputs else None,
        branches=None if branches is None else to_json(list(branches)),
        queued_at=row.queued_at,
        first_started_at=row.first_started_at,
        ended_at=tx.now,
        worker=report.worker if started else None,
        exit_code=getattr(outcome, "exit_code", None),
        error=_error(ending),
        started_at=row.started_at,
        finished_at=_finished_at(report, row.started_at, tx.now) if started else None,
        cpu_micros=used.cpu_micros,
        max_rss_bytes=used.max_rss_bytes,
        bytes_out=used.bytes_out,
        log_bytes=used.log_bytes,
    )


def _attempt(tx: Transaction, row: Held, report: Report, ending: Ending) -> AttemptEnd:
    used = report.usage
    return AttemptEnd(
        run_id=row.run_id,
        task=row.task,
        number=row.attempt,
        outcome=ending.attempt or "failed",
        worker=report.worker,
        exit_code=getattr(report.outcome, "exit_code", None),
        error=_error(ending, report.outcome),
        started_at=row.started_at,
        finished_at=_finished_at(report, row.started_at, tx.now),
        cpu_micros=used.cpu_micros,
        max_rss_bytes=used.max_rss_bytes,
        bytes_out=used.bytes_out,
        log_bytes=used.log_bytes,
    )


def _error(ending: Ending, outcome: Outcome | None = None) -> str | None:
    """Return why an attempt ended badly; of one that another follows the reason is that of its own `outcome`."""
    if ending.message is None:
        return None
    reason = getattr(outcome, "reason", None) or ending.reason
    return to_json({"reason": reason, "message": ending.message})


def give_back(tx: Transaction, claims: Iterable[tuple[int, int]]) -> None:
    """Return claims that were never started, by `(queue id, fence)`, as if they had not been taken."""
    for queue_id, fence in claims:
        row = hot.held(tx, queue_id)
        if row is not None and row.fence == fence and row.state == "queued":
            hot.release(tx, queue_id)
