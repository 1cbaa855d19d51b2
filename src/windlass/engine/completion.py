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
from windlass.engine.step_cache import keep_result, note_taken
from windlass.engine.stopping import stop_rest
from windlass.ids import id_text
from windlass.model.ending import Circumstances, Ending, decide_ending, losses_in_row
from windlass.model.outcome import Cached, Cancelled, Completed, Failed, Outcome, Skipped, Waiting
from windlass.model.storable import storable
from windlass.store import hot_sqlite as hot
from windlass.store.artifacts import keep_artifacts
from windlass.store.logs import NewChunk, append_chunks
from windlass.store.rows import AttemptEnd, Held, NewFact, TaskEnd
from windlass.store.transaction import Transaction, apart


def settle_reports(tx: Transaction, engine: Engine, reports: Sequence[Report]) -> None:
    """Record the ends of attempts; those that lost their fence change nothing but an event.

    The common case, a run of one task that completed, is written together; everything else, and all of them where that
    cannot be done, one by one, so that a run which cannot go on is set aside alone.
    """
    quick: list[Report] = []
    others: list[Report] = []
    for reported in reports:
        outcome = storable(reported.outcome)
        report = reported if outcome is reported.outcome else replace(reported, outcome=outcome)
        plain = (
            type(outcome) is Completed
            and outcome.branches is None
            and not (report.artifacts or report.usage.unsaid or report.keep)
        )
        (quick if plain and report.single else others).append(report)
    if quick and apart(tx, partial(_complete_together, tx, quick)) is not None:
        awaited = hot.awaited_among(tx, [report.run_id for report in quick])
        rest = [report for report in quick if report.run_id not in awaited] if awaited else []
        if rest and apart(tx, partial(_complete_together, tx, rest)) is None:
            quick = [report for report in quick if report.run_id in awaited]
        others = quick + others
    for report in others:
        failure = apart(tx, partial(_settle, tx, engine, report))
        if failure is not None:
            set_aside(tx, report.run_id, failure, report.task)


class _NotAllStand(Exception):
    """One of the claims is held no more, or is to stop, or somebody waits for the end of its run."""


def _complete_together(tx: Transaction, reports: Sequence[Report]) -> None:
    """Complete runs of one task each. Raises _NotAllStand where one of them must be looked at by itself."""
    if hot.remove_running(tx, [(report.queue_id, report.fence) for report in reports]) != len(reports):
        raise _NotAllStand
    now = tx.now
    ends, runs, facts = [], [], []
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
                report.started_at, max(report.finished_at, report.started_at or 0), used.cpu_micros,
                used.max_rss_bytes, used.bytes_out, used.log_bytes,
            )
        )  # fmt: skip
        runs.append((report.run_id, outputs))
        plain = report.attempt == 1 and not used.chunks
        data = None if plain else to_json({"attempt": report.attempt} | _chunks(report))
        facts.append(NewFact("task.completed,run.completed", report.run_id, report.task, now, data))
    hot.insert_ends(tx, ends)
    if hot.runs_completed(tx, runs) != len(runs):
        raise _NotAllStand
    hot.insert_facts(tx, facts)


def _settle(tx: Transaction, engine: Engine, report: Report) -> None:
    row = hot.held(tx, report.queue_id)
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
    step = book.step(row.task)
    if report.usage.unsaid:
        at, used = max(report.finished_at, report.started_at or 0), report.usage
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
        keep_artifacts(tx, row.run_id, row.task, row.attempt, files)
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
    hot.insert_attempts(tx, [_attempt(row, report, ending)])
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
    if book.stopping and book.step(row.task).trigger_rule != "always":
        return Cancelled()
    started = start_child(book, engine, row, waiting.child)
    if isinstance(started, Failed):
        return started
    reason = f'run {id_text(started.run_id)} of job "{started.job}"'
    return replace(waiting, until=started.until, reason=reason, child_id=started.run_id)


def _wait(book: Book, row: Held, report: Report, outcome: Waiting) -> None:
    tx = book.tx
    detail: dict[str, Any] = {"atEnd": outcome.at_end, "worker": report.worker, "outputs": dict(outcome.outputs)}
    if outcome.child is not None and outcome.child_id is not None:
        detail |= {"child": id_text(outcome.child_id), "cascade": outcome.child.cascade}
    if outcome.event is not None:
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
        note_taken(tx, row.run_id, row.task, book.job.project, report.outcome)
        types, data["from"] = f"task.cached,{types}", id_text(report.outcome.origin)
    elif ending.state == "completed" and report.keep is not None and isinstance(report.outcome, Completed):
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


def _chunks(report: Report) -> dict[str, int]:
    """Return by which chunk the output of an attempt is complete; nothing where it wrote none."""
    return {"chunks": report.usage.chunks} if report.usage.chunks else {}


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
        finished_at=max(report.finished_at, row.started_at or 0) if started else None,
        cpu_micros=used.cpu_micros,
        max_rss_bytes=used.max_rss_bytes,
        bytes_out=used.bytes_out,
        log_bytes=used.log_bytes,
    )


def _attempt(row: Held, report: Report, ending: Ending) -> AttemptEnd:
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
        finished_at=max(report.finished_at, row.started_at or 0),
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
