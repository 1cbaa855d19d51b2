"""Accepting runs: checked, expanded, and written with their tasks and events in one unit of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from windlass.clock import SECOND, micros
from windlass.engine.auditing.noting import note
from windlass.engine.book import plain_layout, to_json
from windlass.engine.compiled import CompiledJob
from windlass.engine.dependencies import Dependency, hold
from windlass.engine.engine import Engine
from windlass.engine.entering import Entry, enter, entered, waiting_time
from windlass.engine.keeping import take_over
from windlass.engine.once import request, run_under_key, stand_for
from windlass.engine.punctuality import promise
from windlass.engine.step_cache import NO_CACHE
from windlass.engine.tracing import with_trace
from windlass.errors import Conflict, NotFound, UserError
from windlass.ids import id_text
from windlass.model.durations import LONGEST
from windlass.model.fanout import Expansion, expand_job, fans_out
from windlass.model.fanout_axes import axis_values
from windlass.model.graph import TaskLayout
from windlass.model.state import RUN_FINAL
from windlass.model.texts import require_no_nul
from windlass.store import hot
from windlass.store.labels import keep_run_labels
from windlass.store.relations import let_loose
from windlass.store.rows import NewFact, NewRun, NewTask
from windlass.store.transaction import Transaction, leads_others, require_alone

#: Microseconds: whoever watches the deadlines of runs looks at them in shorter pauses than this, or when it is woken.
SOON = 2 * SECOND


#: No run waits longer for its time, in microseconds.
FARTHEST = micros(LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A run that is asked for; its parameters are checked and complete."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: 1 to 15; None takes the job's.
    priority: int | None = None
    #: Not before this time, in microseconds; the past counts as now.
    scheduled_at: int | None = None
    #: Not before this many seconds from now, instead of `scheduled_at`.
    delay: float | None = None
    labels: Mapping[str, str] | None = None
    note: str | None = None
    #: What started it, such as `{"type": "manual", "by": "root"}`.
    trigger: Mapping[str, Any] | None = None
    correlation_id: str | None = None
    #: W3C trace context of whoever asks.
    traceparent: str | None = None
    idempotency_key: str | None = None
    parent_id: bytes | None = None
    root_id: bytes | None = None
    #: Whether it is cancelled with its parent.
    cascade: bool = True
    #: Whether its steps take no earlier results from the step cache; theirs are kept all the same.
    no_cache: bool = False
    #: Runs that must end before it begins.
    depends_on: Sequence[Dependency] = ()
    #: Tasks that take the results of an earlier run's over instead of being worked for, and that run.
    kept: frozenset[int] = frozenset()
    kept_from: bytes | None = None
    #: Number of the revision where one was asked for: part of what an idempotency key stands for.
    revision: int | None = None
    #: What the caller wrote, where more was made of it: what an idempotency key stands for then.
    asked: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a submission: its run, which may be an earlier one under the same key."""

    run_id: bytes
    created: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job as submissions need it: compiled, with the route of its tasks."""

    job: CompiledJob
    route_id: int
    #: The queue behind the route where it is not the job's own.
    queue: str | None = None
    #: The route of each step; None where all have the same.
    routes: Sequence[int] | None = None


async def submit(engine: Engine, prepared: Prepared, submissions: Sequence[Submission]) -> list[Accepted]:
    """Accept runs of one job, all or none; return what became of each, in order.

    Raises UserError where an idempotency key was used for something else, or a fan-out is wrong; Conflict where a
    parent has ended or is asked to stop; NoRoom where the disk
    has too little room for what is not part of a run already.
    """
    expanded = [expansion_of(engine, prepared.job, submission) for submission in submissions]
    return await engine.store.run(_accept_asked, engine, prepared, submissions, expanded)


# Beside others, and leads them: new rows are inserted, and nothing is locked that who takes tasks locks before it.
# Places under a limit are counted with its key locked; two runs under one idempotency key meet in its unique row, and
# the later one is asked about again alone. What has to do with other runs (parents, dependencies, results taken over,
# runs to be replaced) is accepted alone. That a job is disabled or deleted is done alone, so that nobody starts a run
# of it meanwhile.
@leads_others
def _accept_asked(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submissions: Sequence[Submission],
    expanded: Sequence[Expansion | None],
) -> list[Accepted]:
    _require_live_parents(tx, prepared.job, submissions)
    return accept(tx, engine, prepared, submissions, expanded)


def _require_live_parents(tx: Transaction, job: CompiledJob, submissions: Sequence[Submission]) -> None:
    """Check that the runs that are to be parents go on; what an idempotency key stands for already is not started."""
    if all(one.parent_id is None for one in submissions):
        return
    require_alone(tx)
    new = [one for one in submissions if one.parent_id is not None and _under_key(tx, job, one) is None]
    for parent_id in {one.parent_id for one in new if one.parent_id is not None}:
        flags = hot.run_flags(tx, parent_id)
        if flags is None:
            raise NotFound(f"There is no run {id_text(parent_id)}.")
        if flags.state in RUN_FINAL or flags.cancels:
            why = f"has ended ({flags.state})" if flags.state in RUN_FINAL else "is asked to stop"
            raise Conflict(f"Run {id_text(parent_id)} {why} and starts no more runs; start this one without a parent.")


async def submit_known(
    engine: Engine, prepared: Prepared, submissions: Sequence[Submission], *, told: bool = False
) -> list[Accepted]:
    """Do the same as `submit` for a job that was prepared a while ago.

    `told` says that the only worker of this process looks at the queue behind this without a hint.
    Raises Conflict as well where the job was disabled since then, NotFound where it was deleted.
    """
    expanded = [expansion_of(engine, prepared.job, submission) for submission in submissions]
    return await engine.store.run(_accept_known, engine, prepared, submissions, expanded, told=told)


@leads_others  # as `_accept_asked`
def _accept_known(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submissions: Sequence[Submission],
    expanded: Sequence[Expansion | None],
    *,
    told: bool,
) -> list[Accepted]:
    require_startable(tx, prepared.job, submissions)
    _require_live_parents(tx, prepared.job, submissions)
    accepted = accept(tx, engine, prepared, submissions, expanded)
    if told and engine.alone:
        tx.hints.discard("ready")
    elif told:
        tx.hints.add("told")
    return accepted


def require_startable(tx: Transaction, job: CompiledJob, submissions: Sequence[Submission] = ()) -> None:
    """Check that runs of a job may be started now; what an idempotency key stands for already is not started.

    Raises NotFound where the job was deleted, Conflict where it is disabled.
    """
    if tx.pending is not None and submissions and all(one.idempotency_key is None for one in submissions):
        tx.pending.require_startable(job.job_id)  # where it is not, this is asked again alone
        return
    deleted, enabled = hot.job_flags(tx, job.job_id)
    if enabled and not deleted:
        return
    if submissions and all(_under_key(tx, job, one) is not None for one in submissions):
        return
    if deleted:
        raise NotFound(f'Job "{job.alias}" was deleted: apply its manifest again to bring it back.')
    raise Conflict(f'Job "{job.alias}" is disabled; enable it before starting a run.')


def expansion_of(engine: Engine, job: CompiledJob, submission: Submission) -> Expansion | None:
    """Return the cells of a run's fanned-out steps; None where it has none. Raises UserError where they are wrong."""
    if not fans_out(job.job):
        return None
    evaluate = axis_values(submission.parameters)
    return expand_job(job.job, evaluate, limit=engine.settings.max_fan_out)


def accept(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submissions: Sequence[Submission],
    expanded: Sequence[Expansion | None],
) -> list[Accepted]:
    """Insert runs within a unit of work; see `submit`."""
    if not _is_limited(engine, prepared.job):
        return _accept(tx, engine, prepared, submissions, expanded)
    pairs = zip(submissions, expanded, strict=True)  # one by one: each counts those before it
    return [_accept(tx, engine, prepared, [one], [cells])[0] for one, cells in pairs]


def _accept(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submissions: Sequence[Submission],
    expanded: Sequence[Expansion | None],
) -> list[Accepted]:
    accepted: list[Accepted] = []
    runs: list[NewRun] = []
    tasks: list[NewTask] = []
    facts: list[NewFact] = []
    labels: list[tuple[str, str, bytes]] = []
    tied: list[tuple[bytes, Submission]] = []
    entry: Entry | None = None
    soon = tx.now + SOON
    for submission, expansion in zip(submissions, expanded, strict=True):
        run_id = engine.ids.new()
        if submission.idempotency_key is not None:
            earlier = _under_key(tx, prepared.job, submission)
            if earlier is not None:
                accepted.append(Accepted(earlier, created=False))
                continue
            asked = _asked(prepared.job, submission)
            stand_for(tx, prepared.job.project, submission.idempotency_key, asked, run_id)
        accepted.append(Accepted(run_id))
        run = _run(tx, engine, prepared, submission, expansion, run_id)
        run, entry = _placed(tx, engine, prepared.job, run, submission)
        begun = _begun(submission, entry)
        runs.append(run)
        layout = plain_layout(len(prepared.job.rules)) if expansion is None else expansion.layout()
        first = len(tasks)
        _add_tasks(engine, prepared, run, layout, tasks, begun.kept)
        facts.append(_created(run, tasks[first:]))
        if submission.labels:
            labels.extend((name, str(value), run_id) for name, value in submission.labels.items())
        if begun.depends_on or not begun.cascade or begun.kept:
            tied.append((run_id, begun))
    if labels:
        keep_run_labels(tx, labels)
    if entry is None:
        looked_at = bool(tied) or prepared.job.job.sla is not None or _is_limited(engine, prepared.job)
        hot.insert_accepted(tx, runs, tasks, facts, unread=not looked_at)
    else:
        hot.insert_accepted(tx, runs, tasks, ())
        hot.insert_facts(tx, [entered(tx, runs[0], len(tasks), entry) or facts[0]])
    _promise(tx, prepared.job, runs, tied)
    tx.hints.add("ready")
    if any(run.state == "scheduled" or run.deadline < soon for run in runs):
        tx.hints.add("wake")
    if tied:
        _tie(tx, engine, prepared, tied)
    _note(tx, prepared.job, runs)
    return accepted


def _note(tx: Transaction, job: CompiledJob, runs: Sequence[NewRun]) -> None:
    """Note who started runs, and how: by hand, again, from an earlier one."""
    for run in () if tx.actor is None else runs:
        trigger = {} if run.trigger is None else orjson.loads(run.trigger)
        verb = {"retry": "retry", "resume": "resume"}.get(trigger.get("type", ""), "start")
        of = f"{job.alias}@{job.number}"
        note(tx, f"run.{verb}", f"Run/{id_text(run.id)}", project=run.project, job=of, run=trigger.get("run"))


def _promise(
    tx: Transaction, job: CompiledJob, runs: Sequence[NewRun], tied: Sequence[tuple[bytes, Submission]]
) -> None:
    """Note by when new runs should end; those that wait for other runs are promised nothing before their release."""
    if job.job.sla is not None:
        held = {run_id for run_id, submission in tied if submission.depends_on}
        promise(tx, job, [(run.id, _due(run)) for run in runs if run.id not in held])


def _tie(tx: Transaction, engine: Engine, prepared: Prepared, tied: Sequence[tuple[bytes, Submission]]) -> None:
    """Note what new runs have to do with other runs."""
    require_alone(tx)
    loose = [run_id for run_id, submission in tied if not submission.cascade]
    if loose:
        let_loose(tx, loose)
    for run_id, one in tied:
        if one.kept_from is not None:
            take_over(tx, engine, run_id, prepared.job.revision_id, one.kept_from, one.kept)
    hold(tx, engine, prepared.job.project, [(run_id, one.depends_on) for run_id, one in tied if one.depends_on])


def _run(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submission: Submission,
    expansion: Expansion | None,
    run_id: bytes,
) -> NewRun:
    if submission.parent_id is None:  # children are part of what runs
        engine.room.require()
    labels = submission.labels or {}
    require_no_nul((submission.note, submission.correlation_id, *labels, *map(str, labels.values())))
    job = prepared.job
    definition = job.job
    said = {**(submission.trigger or {}), NO_CACHE: True} if submission.no_cache else submission.trigger
    trigger = with_trace(said, submission.traceparent)
    scheduled_at = asked_at(tx, submission)
    scheduled = scheduled_at is not None and scheduled_at > tx.now
    due = scheduled_at if scheduled and scheduled_at is not None else tx.now
    if due - tx.now > FARTHEST:
        raise UserError("A run is scheduled for a time within the next hundred years.")
    allowed = engine.settings.run_deadline if definition.timeout is None else definition.timeout
    state = "scheduled" if scheduled else "queued"
    if submission.depends_on:
        state, allowed = "waiting", max(allowed, engine.settings.run_deadline)  # its own time begins with its release
    return NewRun(
        id=run_id,
        project=job.project,
        job_id=job.job_id,
        revision_id=job.revision_id,
        state=state,
        priority=definition.priority if submission.priority is None else submission.priority,
        queue=prepared.queue or definition.queue,
        parameters=to_json(submission.parameters) if submission.parameters else "{}",
        labels=to_json(submission.labels) if submission.labels else None,
        note=submission.note,
        trigger=to_json(trigger) if trigger else None,
        parent_id=submission.parent_id,
        root_id=submission.root_id,
        correlation_id=submission.correlation_id,
        idempotency_key=submission.idempotency_key,
        scheduled_at=scheduled_at,
        created_at=tx.now,
        queued_at=tx.now if state == "queued" else None,
        deadline=due + micros(allowed),
        expansion=None if expansion is None else to_json(expansion.to_json()),
    )


def asked_at(tx: Transaction, submission: Submission) -> int | None:
    """Return when a run is asked for, in microseconds; None where that is at once."""
    return submission.scheduled_at if submission.delay is None else tx.now + micros(submission.delay)


def _is_limited(engine: Engine, job: CompiledJob) -> bool:
    """Say whether runs of a job are counted before another one may begin."""
    return job.job.concurrency is not None or engine.settings.max_runs is not None


def _placed(
    tx: Transaction, engine: Engine, job: CompiledJob, run: NewRun, submission: Submission
) -> tuple[NewRun, Entry | None]:
    """Return a run as its place under the limits of its job lets it begin."""
    if not _is_limited(engine, job):
        return run, None
    entry = enter(tx, engine, job, run, submission.parameters)
    if entry is not None and entry.verdict == "wait":
        deadline = run.created_at + micros(waiting_time(engine, job))
        run = run._replace(state="waiting", queued_at=None, deadline=deadline)
    return run, entry


def _begun(submission: Submission, entry: Entry | None) -> Submission:
    """Return what becomes of a submission: a run that does not even begin takes no results over."""
    if entry is None or entry.verdict != "skip":
        return submission
    return replace(submission, kept=frozenset(), kept_from=None)


def _add_tasks(
    engine: Engine,
    prepared: Prepared,
    run: NewRun,
    layout: TaskLayout,
    tasks: list[NewTask],
    kept: frozenset[int],
) -> None:
    due = _due(run)
    rank = engine.rank(due, run.priority)
    waiting = run.state == "waiting"
    route, routes = prepared.route_id, prepared.routes
    for step, before in enumerate(prepared.job.graph.predecessors):
        state = "pending" if before or waiting else run.state
        wake_at = due if state == "scheduled" else None
        queued_at = run.created_at if state == "queued" else None
        outstanding = len(before) or int(waiting)
        if routes is not None:
            route = routes[step]
        tasks.extend(
            NewTask(
                run.id, task, run.revision_id, state, route, run.priority, due, rank, wake_at,
                outstanding, queued_at,
            )
            for task in layout.tasks(step)
            if not kept or task not in kept
        )  # fmt: skip
    if prepared.job.job.max_parallel_tasks:
        _hold_back(tasks, run.id, prepared.job.job.max_parallel_tasks)


def _due(run: NewRun) -> int:
    """Return when a run could begin: when it was accepted, or at its not-before time."""
    return run.created_at if run.scheduled_at is None else max(run.scheduled_at, run.created_at)


def _hold_back(tasks: list[NewTask], run_id: bytes, most: int) -> None:
    """Keep all tasks of a run but the first `most` that could begin out of the queue."""
    begin = [place for place, task in enumerate(tasks) if task.run_id == run_id and task.state != "pending"]
    for place in begin[most:]:
        tasks[place] = tasks[place]._replace(state="pending", wake_at=None, queued_at=None)


def _created(run: NewRun, tasks: Sequence[NewTask]) -> NewFact:
    """Return the fact that tells of an accepted run."""
    if run.state == "waiting":
        return NewFact("run.created,run.waiting", run.id, None, run.created_at, None)
    if run.state == "scheduled":
        return NewFact("run.created,run.scheduled", run.id, None, run.created_at, to_json({"at": run.scheduled_at}))
    if len(tasks) == 1 and tasks[0].state == "queued":
        return NewFact("run.created,run.queued,task.queued", run.id, tasks[0].task, run.created_at, None)
    ready = [[task.task, task.task] for task in tasks if task.state == "queued"]
    return NewFact("run.created,run.queued", run.id, None, run.created_at, to_json({"ready": _joined(ready)}))


def _joined(ranges: list[list[int]]) -> list[list[int]]:
    joined: list[list[int]] = []
    for first, last in ranges:
        if joined and joined[-1][1] == first - 1:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return joined


def _asked(job: CompiledJob, submission: Submission) -> Mapping[str, Any]:
    """Return what an idempotency key of the submission stands for."""
    more: dict[str, Any] = {}
    if submission.parent_id is not None:
        more["parent"] = [id_text(submission.parent_id), submission.cascade]
    if submission.no_cache:
        more[NO_CACHE] = True
    return submission.asked or request(
        job.alias,
        parameters=submission.parameters,
        revision=submission.revision,
        priority=submission.priority,
        scheduled_at=submission.scheduled_at,
        delay=submission.delay,
        labels=submission.labels,
        note=submission.note,
        depends_on=[f"{id_text(one.run_id)}:{one.condition}" for one in submission.depends_on],
        again=(submission.trigger or {}).get("run"),
        **more,
    )


def _under_key(tx: Transaction, job: CompiledJob, submission: Submission) -> bytes | None:
    """Return the run that the key of a submission stands for; None where it has no key, or a free one."""
    key = submission.idempotency_key
    return None if key is None else run_under_key(tx, job.project, key, _asked(job, submission))
