"""Runs of jobs with `concurrency` asking for a place: when they are accepted, or when their time has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.clock import micros
from windlass.engine.admission import limit_now, may_go_on, told_of_project
from windlass.engine.book import to_json
from windlass.engine.cancellation import cancel_run
from windlass.engine.compiled import CompiledJob
from windlass.engine.engine import Engine
from windlass.engine.shapes import secret_names
from windlass.errors import Conflict, ExpressionError, UserError
from windlass.ids import id_text
from windlass.model.concurrency import (
    FAILED,
    ONE_TOO_MANY,
    SKIPPED,
    WAITS,
    Verdict,
    decide_entry,
    key_value,
    limit_key,
    to_replace,
)
from windlass.store import hot, project_limits, run_limits
from windlass.store.rows import NewFact, NewRun, TaskEnd
from windlass.store.transaction import Transaction

#: Most runs that are looked at to name one that has a place.
_NAMED = 1
#: Most runs that are told to have the places.
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What a new run is counted under, and whether it enters."""

    key: str | None
    #: Its place among those that wait.
    rank: int
    verdict: Verdict
    #: JSON text of what it waits for, or would have; and the word for it.
    told: str
    reason: str = WAITS


def enter(
    tx: Transaction, engine: Engine, job: CompiledJob, run: NewRun, parameters: Mapping[str, Any]
) -> Entry | None:
    """Decide about a run that is about to be inserted; None where nothing limits it.

    Raises Conflict where there is no place and the strategy is `fail`, UserError where the key has no value.
    """
    due = run.created_at if run.scheduled_at is None else max(run.created_at, run.scheduled_at)
    rank = engine.rank(due, run.priority)
    entry = _under_key(tx, engine, job, run, parameters, rank)
    free = engine.settings.max_runs is None or run.parent_id is not None or run.queue.startswith(".")
    if free or (entry is not None and entry.verdict != "enter"):
        return entry
    key = None if entry is None else entry.key
    enters = run.state in {"scheduled", "waiting"} or may_go_on(tx, engine, run.project)
    return Entry(key, rank, "enter" if enters else "wait", told_of_project(engine), ONE_TOO_MANY)


def _under_key(
    tx: Transaction, engine: Engine, job: CompiledJob, run: NewRun, parameters: Mapping[str, Any], rank: int
) -> Entry | None:
    concurrency = job.job.concurrency
    if concurrency is None:
        return None
    try:
        value = key_value(concurrency, parameters)
    except ExpressionError as error:
        raise UserError(f'Job "{job.alias}": concurrency.key: {error}') from None
    key = limit_key(job.job_id, value)
    told = to_json(_told(job, value))
    if run.state in {"scheduled", "waiting"}:
        return Entry(key, rank, "enter", told)
    verdict = _ask(tx, engine, job, key, run.id)
    if verdict == "fail":
        raise Conflict(_no_place(tx, engine, job, key))
    return Entry(key, rank, verdict, told)


def entered(tx: Transaction, run: NewRun, tasks: int, entry: Entry) -> NewFact | None:
    """Note under what an inserted run is counted; return the fact that tells of it where it does not simply go on."""
    waits = entry.verdict == "wait"
    run_limits.note_key(
        tx,
        run.id,
        entry.key,
        entry.rank,
        reason=entry.reason if waits else None,
        waiting_for=entry.told if waits else None,
    )
    if waits:
        return NewFact("run.created,run.waiting", run.id, None, tx.now, _waiting_data(entry.told, entry.reason))
    if entry.verdict == "skip":
        data = _end_unstarted(tx, run.id, tasks, "cancelled", SKIPPED, None) | _who_has_it(tx, entry.key, run.id)
        return NewFact("run.created,run.cancelled", run.id, None, tx.now, to_json(data))
    return None


def arrive(tx: Transaction, engine: Engine, run_id: bytes, job: CompiledJob) -> bool:
    """Ask for a place for a run whose time has come and that was just queued; False where it did not get one.

    Its tasks are then out of the queue, and its event is written.
    """
    limited = None if job.job.concurrency is None else run_limits.limited(tx, run_id)
    if limited is None or job.job.concurrency is None:
        return _goes_on(tx, engine, run_id, job)
    key, parameters, tasks = limited
    verdict = _ask(tx, engine, job, key, run_id, own=1)
    if verdict == "enter":
        return _goes_on(tx, engine, run_id, job)
    if verdict == "wait":
        _wait(tx, engine, run_id, job, to_json(_told(job, key_value(job.job.concurrency, orjson.loads(parameters)))))
        return False
    state, reason, error = "cancelled", SKIPPED, None
    if verdict == "fail":
        state, reason = "failed", FAILED
        error = to_json({"reason": FAILED, "message": _no_place(tx, engine, job, key, run_id)})
    data = _end_unstarted(tx, run_id, tasks, state, reason, error) | _who_has_it(tx, key, run_id)
    hot.insert_facts(tx, [NewFact(f"run.{state}", run_id, None, tx.now, to_json(data))])
    return False


def _goes_on(tx: Transaction, engine: Engine, run_id: bytes, job: CompiledJob) -> bool:
    """Ask whether one more run of the project may go on, for one that was just queued."""
    if engine.settings.max_runs is None:
        return True
    entrant = project_limits.entrant(tx, run_id)
    if entrant is None or entrant.is_free or may_go_on(tx, engine, entrant.project, own=1):
        return True
    told = told_of_project(engine)
    _wait(tx, engine, run_id, job, told, ONE_TOO_MANY)
    project_limits.line_up(tx, run_id, engine.rank(tx.now, entrant.priority), told)
    return False


def _wait(tx: Transaction, engine: Engine, run_id: bytes, job: CompiledJob, told: str, reason: str = WAITS) -> None:
    """Let a run wait that was just queued."""
    deadline = tx.now + micros(waiting_time(engine, job))
    run_limits.hold(tx, run_id, reason=reason, waiting_for=told, deadline=deadline)
    hot.insert_facts(tx, [NewFact("run.waiting", run_id, None, tx.now, _waiting_data(told, reason))])


def waiting_time(engine: Engine, job: CompiledJob) -> float:
    """Return how many seconds a run may wait: its own time begins when it enters."""
    return max(job.job.timeout or 0.0, engine.settings.run_deadline)


def _ask(tx: Transaction, engine: Engine, job: CompiledJob, key: str, run_id: bytes, *, own: int = 0) -> Verdict:
    """Decide whether a run gets a place; those that it replaces are cancelled. `own` is the place it seems to have."""
    concurrency = job.job.concurrency or {}
    run_limits.lock_key(tx, key)
    limit = limit_now(tx, engine, job.job_id, job.revision_id)
    verdict = _decide(tx, concurrency, key, limit, own)
    if verdict != "replace" or limit is None:
        return verdict
    others = [one for one in run_limits.under(tx, key) if one.id != run_id]
    # Those that wait go first: none of them must get the place that another one leaves.
    for one in sorted(to_replace(others, limit), key=lambda other: other.state != "waiting"):
        cancel_run(tx, engine, one.id, f"run {id_text(run_id)}", {"replacedBy": id_text(run_id)})
    return "enter" if _decide(tx, concurrency, key, limit, own) == "enter" else "wait"


def _decide(tx: Transaction, concurrency: Mapping[str, Any], key: str, limit: int | None, own: int) -> Verdict:
    return decide_entry(
        concurrency.get("strategy", "queue"),
        limit=limit,
        holding=run_limits.holding(tx, key) - own,
        waiting=bool(run_limits.LINE.first(tx, key, 1)),
    )


def _end_unstarted(
    tx: Transaction, run_id: bytes, tasks: int, state: str, reason: str, error: str | None
) -> dict[str, Any]:
    """End a run of which nothing was started; return what the event of it says."""
    nothing = (None,) * 9
    run_limits.remove_tasks(tx, run_id)
    hot.insert_ends(
        tx,
        [
            TaskEnd(run_id, task, "cancelled", reason, 0, None, 0, None, None, None, None, tx.now, *nothing)
            for task in range(tasks)
        ],
    )
    counts = to_json({"cancelled": tasks})
    hot.end_run(
        tx, run_id, state=state, reason=reason, counts=counts, allowed_failures=0, error=error, outputs=None
    )  # fmt: skip
    return {"reason": reason, "cancelled": [[0, tasks - 1, reason]]}


def _who_has_it(tx: Transaction, key: str | None, run_id: bytes) -> dict[str, Any]:
    """Return the runs that have the places which a run would have needed, as its event tells of them."""
    found = [] if key is None else run_limits.holders(tx, key, _TOLD + 1)
    return {"holders": [id_text(one) for one in found if one != run_id][:_TOLD]}


def _no_place(tx: Transaction, engine: Engine, job: CompiledJob, key: str, run_id: bytes | None = None) -> str:
    """Return the sentence that refuses a run."""
    limit = limit_now(tx, engine, job.job_id, job.revision_id) or 1
    others = [id_text(one) for one in run_limits.holders(tx, key, _NAMED + 1) if one != run_id][:_NAMED]
    same = " with the same key" if "key" in (job.job.concurrency or {}) else ""
    are = f"run {others[0]} goes on" if limit == 1 else f"{limit} go on, such as run {others[0]}"
    runs = "one run" if limit == 1 else f"{limit} runs"
    return f'Job "{job.alias}" allows {runs}{same} at a time, and {are}: wait for its end, or cancel it.'


def _waiting_data(told: str, reason: str) -> str:
    return to_json({"reason": reason, "waitingFor": orjson.loads(told)})


def _told(job: CompiledJob, value: Any) -> dict[str, Any]:
    """Return what a waiting run is told; a value is left out where it could be a secret."""
    concurrency = job.job.concurrency or {}
    told = {"limit": "concurrency", "allowed": concurrency.get("limit", 1)}
    if "key" in concurrency:
        told["key"] = concurrency["key"] if secret_names(job) else value
    return told
