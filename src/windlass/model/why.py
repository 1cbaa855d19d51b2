"""Why a run or a task is as it is: the chain of causes, as a pure function over facts.

At most a few of many alike are named, the rest is counted; each task is explained once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.clock import to_text
from windlass.model.cause import SHOWN, Cause, cause, first_few
from windlass.model.event_wait import EventPattern
from windlass.model.graph import StepGraph
from windlass.model.lack import Lack, Need
from windlass.model.run_time import RunTime, time_was_up
from windlass.model.state import RUN_FINAL, TASK_FINAL, joint_state
from windlass.model.why_others import STANDS

#: Longest chain.
_DEEPEST: Final = 50
_QUOTED: Final = re.compile(r'"([^"]+)"')
_STOPS: Final = {"cancel": "its run was cancelled", "timeout": "its run ran out of time", "fail_fast": "a step failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a queued task stands, and who could take it."""

    need: Need
    #: Why no worker takes it; None where one does.
    lack: Lack | None = None
    #: Tasks that come before it, over all routes of the workers that serve it; counted up to a limit.
    ahead: int = 0
    #: True where there are more than were counted.
    more: bool = False
    #: Workers that live, serve it and take work, with their slots and what they hold.
    workers: int = 0
    slots: int = 0
    busy: int = 0
    #: What holds the queue itself back, such as a pause: finished causes.
    held_back: Sequence[Cause] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """A task as far as it explains itself or others. Times are in microseconds."""

    task: int
    step: int
    key: str
    state: str
    reason: str | None = None
    attempt: int = 0
    max_attempts: int = 1
    #: Attempts before this one that were lost with their workers: those do not count towards `max_attempts`.
    lost: int = 0
    exit_code: int | None = None
    #: What went wrong, as a sentence.
    message: str | None = None
    allowed: bool = False
    #: What a branch chose.
    branches: Sequence[str] | None = None
    wake_at: int | None = None
    started_at: int | None = None
    worker: str | None = None
    #: Whether its worker is there no more, and nobody has settled that yet.
    worker_gone: bool = False
    #: Why the running attempt is asked to stop.
    stop: str | None = None
    on_worker_lost: str = "fail"
    #: What `retry.on` of its step names.
    retried: Sequence[str] = ()
    #: `{type, source, filter}` of the event that it waits for.
    event: Mapping[str, Any] | None = None
    #: How the attempt before ended, of a task that is to be tried again.
    last_outcome: str | None = None
    place: Place | None = None
    #: The run that it started and waits for, or failed with: a finished cause.
    child: Cause | None = None
    #: The event that ended its wait: a finished cause.
    came: Cause | None = None
    #: The run whose result it took.
    kept_from: str | None = None
    #: Why it took none from the step cache: `{missed, ...}`.
    cache: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run with its tasks."""

    id: str
    job: str
    state: str
    reason: str | None = None
    message: str | None = None
    scheduled_at: int | None = None
    #: The limit that it ran, or runs, into.
    time: RunTime | None = None
    #: Who or what asked it to stop: a finished cause.
    asked: Cause | None = None
    #: What else ended it, of what lies outside of it: finished causes.
    beyond: Sequence[Cause] = ()
    #: What a waiting run waits for: finished causes.
    waits_for: Sequence[Cause] = ()
    #: By when it should have ended (`model.sla`).
    sla: Mapping[str, Any] = field(default_factory=dict)
    #: How many of its tasks go on at one time; None where that is not limited.
    most: int | None = None
    graph: StepGraph
    tasks: Sequence[TaskFacts]

    @property
    def waits_for_runs(self) -> bool:
        """Whether other runs are among what it waits for."""
        return any(one["kind"] == "dependency" for one in self.waits_for)


def explain_run(run: RunFacts) -> dict[str, Any]:
    """Return why a run is in its state: `{subject, state, reason, because}`."""
    return {
        "subject": {"run": run.id, "job": run.job},
        "state": run.state,
        "reason": run.reason,
        "because": [*_of_run(_Reader(run)), *_late(run)],
    }


def explain_step(run: RunFacts, step: int, key: str | None = None) -> dict[str, Any] | None:
    """Return why a step is in its state, or of its tasks that with `key`; None where it has no such task."""
    reader = _Reader(run)
    tasks = [task for task in run.tasks if task.step == step and key in {None, task.key}]
    if not tasks:
        return None
    subject = {"run": run.id, "job": run.job, "step": run.graph.names[step]}
    if len(tasks) > 1:
        state = joint_state({task.state for task in tasks})
        alike = [task for task in tasks if task.state == state]
        held = [] if state == "pending" else reader.held_back(tasks)
        return {"subject": subject, "state": state, "reason": None, "because": [*reader.behind(alike), *held]}
    (task,) = tasks
    subject |= {"key": task.key, "task": f"{run.id}.{task.task}"}
    return {"subject": subject, "state": task.state, "reason": task.reason, "because": reader.causes(task)}


def _of_run(reader: _Reader) -> list[Cause]:
    run = reader.run
    if run.state == "waiting":
        later = [_not_before(run.scheduled_at)] if run.scheduled_at is not None and run.waits_for_runs else []
        return [*run.waits_for, *later] or [cause("waiting", "It waits.")]
    if run.state == "scheduled":
        at = run.scheduled_at if run.scheduled_at is not None else _earliest(run.tasks)
        return [_not_before(at)]
    if run.state not in RUN_FINAL:
        asked = [] if run.time is None else [time_was_up(run.time, [])]
        asked += [] if run.asked is None else [run.asked]
        going = reader.behind(task for task in run.tasks if task.state not in TASK_FINAL | {"pending"})
        return [*asked, *going, *reader.held_back(run.tasks)]
    return _of_end(reader)


def _late(run: RunFacts) -> list[Cause]:
    """Return the promises of its job that a run has missed."""
    missed = [(name, one) for name, one in run.sla.items() if one.get("missedAt") is not None]
    is_ = "was" if run.state in RUN_FINAL else "is"
    return [
        cause(
            "sla_missed",
            f"It {is_} late: by the sla of its job ({name}) it should have ended by {_time(one['due'])}.",
            sla=name,
            due=_time(one["due"]),
        )
        for name, one in missed
    ]


def _of_end(reader: _Reader) -> list[Cause]:
    run = reader.run
    if run.state == "cancelled" and run.asked is not None:
        return [run.asked]
    if run.beyond:
        return list(run.beyond)
    bad = [task for task in run.tasks if task.state in {"failed", "timeout"}]
    if run.state == "timeout" and run.time is not None:
        return [time_was_up(run.time, reader.behind(task for task in run.tasks if task.reason == "run_deadline"))]
    if run.state != "completed":
        found = reader.behind(task for task in bad if not task.allowed)
        return found or [cause(run.reason or "failed", run.message or f"It {STANDS[run.state]}: {run.reason}.")]
    allowed = reader.behind(task for task in bad if task.allowed)
    skipped = reader.behind(task for task in run.tasks if task.state == "skipped")
    return [cause("completed", "All its tasks have ended, and none failed that may not.", [*allowed, *skipped])]


def _not_before(at: int | None) -> Cause:
    return cause("not_before", f"It is to start at {_time(at)}, not before.", at=_time(at))


class _Reader:
    """Goes from tasks to what is behind them, each task once."""

    def __init__(self, run: RunFacts) -> None:
        self.run = run
        self._told: set[int] = set()
        self._depth = 0
        self._numbers = {name: number for number, name in enumerate(run.graph.names)}
        self._by_step: dict[int, list[TaskFacts]] = {}
        for task in run.tasks:
            self._by_step.setdefault(task.step, []).append(task)

    def behind(self, tasks: Iterable[TaskFacts]) -> list[Cause]:
        """Return a cause for each task: that it is as it is, with what is behind that."""
        found = list(tasks)
        return first_few([self._task(task) for task in found[:SHOWN]], len(found))

    def causes(self, task: TaskFacts) -> list[Cause]:
        """Return what is behind the state of a task; nothing where that was told before."""
        if task.task in self._told or self._depth > _DEEPEST:
            return []
        self._told.add(task.task)
        self._depth += 1
        found: list[Cause] = _CAUSES[task.state](self, task)
        self._depth -= 1
        return found

    def _ran(self, task: TaskFacts) -> list[Cause]:
        """Say why a step that could have taken an earlier result did not."""
        if not task.cache:
            return []
        facts = dict(task.cache)
        missed = facts.pop("missed")
        parts = ", ".join(_PARTS.get(name, name) for name in facts.get("differs", ()))
        message = _MISSED.get(missed, "No earlier result could be taken").format(run=facts.get("from"), parts=parts)
        return [cause("cache_missed", f"{message}.", missed=missed, **facts)]

    def _task(self, task: TaskFacts) -> Cause:
        step = self.run.graph.names[task.step]
        key = f" [{task.key}]" if task.key else ""
        message = f'Step "{step}"{key} {STANDS[task.state]}'
        return cause(
            "step",
            f"{message}{', which is allowed' if task.allowed else ''}.",
            self.causes(task),
            step=step,
            key=task.key,
            state=task.state,
        )

    def _steps(self, names: Iterable[str], *, bad: bool = False) -> list[Cause]:
        found = [task for name in names if name in self._numbers for task in self._by_step[self._numbers[name]]]
        return self.behind(task for task in found if not bad or task.state != "completed")

    def pending(self, task: TaskFacts) -> list[Cause]:
        before = [one for step in self.run.graph.predecessors[task.step] for one in self._by_step[step]]
        still = [one for one in before if one.state not in TASK_FINAL]
        if still:
            return self.behind(still)
        if self.run.state == "waiting":
            return list(self.run.waits_for)
        runs = "1 task runs" if self.run.most == 1 else f"{self.run.most or 'so many'} tasks run"
        message = f"Of its run no more than {runs} at one time (maxParallelTasks)."
        return [cause("held_back", message, maxParallelTasks=self.run.most)]

    def held_back(self, tasks: Iterable[TaskFacts]) -> list[Cause]:
        """Return how many of some tasks wait for no step, only for others of their run."""
        if self.run.most is None or self.run.state in RUN_FINAL | {"waiting", "scheduled"}:
            return []
        open_steps = {task.step for task in self.run.tasks if task.state not in TASK_FINAL}
        free = {step for step, before in enumerate(self.run.graph.predecessors) if not open_steps.intersection(before)}
        count = sum(task.state == "pending" and task.step in free for task in tasks)
        if not count:
            return []
        one = f"{count} other tasks are" if count > 1 else "1 other task is"
        runs = "1 task runs" if self.run.most == 1 else f"{self.run.most} tasks run"
        message = f"{one} held back: of its run no more than {runs} at one time (maxParallelTasks)."
        return [cause("held_back", message, count=count, maxParallelTasks=self.run.most)]

    def scheduled(self, task: TaskFacts) -> list[Cause]:
        at = _time(task.wake_at)
        if not task.attempt:
            return [_not_before(task.wake_at)]
        how = task.last_outcome or "ended"
        message = f"{_attempt(task)} {_WAS.get(how, how)}; the next one is due at {at}."
        facts = _counted(task) | {"outcome": task.last_outcome}
        return [cause("retry_delay", message, at=at, **facts)]

    def queued(self, task: TaskFacts) -> list[Cause]:
        if task.worker is not None and task.worker_gone:
            return [_orphaned(task)]
        if task.worker is not None:
            return [
                cause("claimed", f'Worker "{task.worker}" has taken it and is about to start it.', worker=task.worker)
            ]
        place = task.place
        if place is None:
            return [cause("queued", "It waits for a worker.")]
        if place.held_back or place.lack is not None:
            return [*place.held_back, *([] if place.lack is None else [place.lack.cause()])]
        position = place.ahead + 1
        text = f"more than {place.ahead}" if place.more else str(position)
        found = [
            cause("queued_behind", f"Its place in the queue is {text}.", position=position, **place.need.to_json())
        ]
        if place.busy >= place.slots:
            full = (
                "The only slot of the workers that serve it is taken."
                if place.slots == 1
                else f"All {place.slots} slots of the workers that serve it are taken."
            )
            found.append(cause("slots_busy", full, workers=place.workers, slots=place.slots, busy=place.busy))
        return found

    def running(self, task: TaskFacts) -> list[Cause]:
        if task.worker_gone:
            return [_orphaned(task)]
        message = f'{_attempt(task)} runs on worker "{task.worker}".'
        facts = _counted(task) | {"startedAt": _time(task.started_at)}
        found = [cause("attempt", message, worker=task.worker, **facts)]
        found += self._ran(task)
        if task.stop is not None:
            found.append(cause("stopping", f"It is asked to stop: {_STOPS.get(task.stop, task.stop)}.", why=task.stop))
        return found

    def waiting(self, task: TaskFacts) -> list[Cause]:
        until = _time(task.wake_at)
        if task.event is not None:
            wanted = f"It waits for an event {EventPattern.read(task.event)}, until {until} at the latest."
            return [cause("event", wanted, event=dict(task.event), until=until)]
        what = f" ({task.reason})" if task.reason else ""
        message = f"It gave its slot back and waits{what}, until {until} at the latest."
        return [cause("waiting", message, [] if task.child is None else [task.child], until=until)]

    def completed(self, task: TaskFacts) -> list[Cause]:
        if task.branches is not None:
            chosen = ", ".join(f'"{name}"' for name in task.branches) or "none of the steps after it"
            return [cause("chose", f"It chose {chosen}.", chosen=list(task.branches))]
        if task.reason == "cached":
            message = f"It was not run: run {task.kept_from} had worked for a result of the same content."
            return [cause("cached", message, **{"from": task.kept_from})]
        if not task.attempt:
            return [cause(task.reason or "kept", "It was not run: its result was there already.")]
        message = f"{_attempt(task)} completed."
        facts = _counted(task) | {"exitCode": task.exit_code}
        return [cause("attempt", message, [] if task.came is None else [task.came], **facts), *self._ran(task)]

    def skipped(self, task: TaskFacts) -> list[Cause]:
        if self.run.beyond and task.reason == self.run.reason:
            return list(self.run.beyond)
        reason = task.reason or "skipped"
        names = _QUOTED.findall(reason)
        message = f"{reason[:1].upper()}{reason[1:]}."
        if reason.startswith("trigger rule "):
            rule = reason.removeprefix("trigger rule ").partition(":")[0]
            return [cause("trigger_rule", message, self._steps(names, bad=True), rule=rule, steps=names)]
        if reason.startswith("branch "):
            return [cause("branch", message, self._steps(names[:1]), step=names[0] if names else None)]
        if reason.startswith("when: "):
            return [cause("when", message, expression=reason.removeprefix("when: ").removesuffix(" is false"))]
        if reason == "the run is stopping":
            return [cause("run_stopping", message, self._stopping())]
        return [cause("skipped", message)]

    def failed(self, task: TaskFacts) -> list[Cause]:
        said = f": {task.message[:1].lower()}{task.message[1:].rstrip('.')}." if task.message else "."
        facts: dict[str, Any] = {
            "reason": task.reason,
            "exitCode": task.exit_code,
            "error": task.message,
            **_counted(task),
        }
        if not task.attempt:
            return [cause(task.reason or "failed", f"It failed before it was started{said}", **facts)]
        how = "ran out of time" if task.state == "timeout" else "failed"
        message = f"{_attempt(task)} {how}{said}"
        behind = [] if task.child is None else [task.child]
        return [cause("attempt", message, behind, **facts), *self._no_other(task)]

    def _no_other(self, task: TaskFacts) -> list[Cause]:
        """Say why no other attempt followed one that failed."""
        if task.reason == "worker_lost":
            how = "nobody knows how far it came, and its step does not say onWorkerLost: retry"
            return [cause("worker_lost", f"Its worker is gone: {how}.", onWorkerLost=task.on_worker_lost)]
        if task.reason == "quarantined":
            return [cause("quarantined", "Its workers were lost too often in a row: something about it ends them.")]
        if task.reason == "run_deadline":
            return self._stopping()
        if task.attempt - task.lost >= task.max_attempts:
            return []
        policy = ", ".join(task.retried) or "nothing"
        return [cause("not_retried", f"It is not tried again: its policy retries {policy}.", on=list(task.retried))]

    def cancelled(self, task: TaskFacts) -> list[Cause]:
        if task.reason == "fail_fast":
            bad = [one for one in self.run.tasks if one.state in {"failed", "timeout"} and not one.allowed]
            return [cause("fail_fast", "Its job stops at the first failure (failFast).", self.behind(bad))]
        if self.run.beyond and task.reason == self.run.reason:
            return list(self.run.beyond)
        if task.reason in {"cancelled", "run_deadline"}:
            return self._stopping()
        return [cause(task.reason or "cancelled", f"It was stopped: {task.reason or 'cancelled'}.")]

    def _stopping(self) -> list[Cause]:
        if self.run.asked is not None:
            return [self.run.asked]
        return [] if self.run.time is None else [time_was_up(self.run.time, [])]


def _attempt(task: TaskFacts) -> str:
    """Return which attempt of a task something is said of: of how many, where all of them counted."""
    return f"Attempt {task.attempt}" if task.lost else f"Attempt {task.attempt} of {task.max_attempts}"


def _counted(task: TaskFacts) -> dict[str, Any]:
    return {"attempt": task.attempt, "maxAttempts": task.max_attempts, "lost": task.lost}


def _orphaned(task: TaskFacts) -> Cause:
    """Return the cause of a task whose worker is gone, which a server has yet to settle."""
    begun = task.state == "running"
    again = task.on_worker_lost == "retry" or not begun
    then = "given to another worker" if not begun else "tried again" if again else "ended as failed"
    said = f" (onWorkerLost: {task.on_worker_lost})" if begun else ""
    what = f"{_attempt(task)} was on it" if begun else "It had taken this task"
    message = (
        f'Worker "{task.worker}" is gone. {what}; the server, or the next `windlass up`, settles that: it is {then}'
    )
    facts = _counted(task) | {"onWorkerLost": task.on_worker_lost}
    return cause("worker_gone", f"{message}{said}.", worker=task.worker, startedAt=_time(task.started_at), **facts)


#: Why no earlier result was taken, and what the parts of a key are called.
_MISSED: Final = {
    "nothing_kept": "No earlier result of the step was kept",
    "differs": "The newest kept result, of run {run}, has another content: {parts}",
    "expired": "The kept result of the same content, of run {run}, is too old",
    "damaged": "The kept result of the same content is damaged",
    "unreadable": "The files of the kept result, of run {run}, cannot be had",
    "not_asked": "It was asked to take no earlier result",
    "secret": "It is given a secret by its value, so no result of it is kept or taken",
}
_PARTS: Final = {
    "step": "the step itself",
    "version": "cache.version",
    "key": "cache.key",
    "matrix": "its cell",
    "outputs": "outputs of the steps before it",
}
_WAS: Final = {"failed": "failed", "timeout": "ran out of time", "lost": "was lost with its worker"}
_CAUSES: Final[Mapping[str, Any]] = {
    "pending": _Reader.pending,
    "scheduled": _Reader.scheduled,
    "queued": _Reader.queued,
    "running": _Reader.running,
    "waiting": _Reader.waiting,
    "completed": _Reader.completed,
    "failed": _Reader.failed,
    "timeout": _Reader.failed,
    "skipped": _Reader.skipped,
    "cancelled": _Reader.cancelled,
}


def _earliest(tasks: Iterable[TaskFacts]) -> int | None:
    return min((task.wake_at for task in tasks if task.wake_at is not None), default=None)


def _time(at: int | None) -> str | None:
    return None if at is None else to_text(at)
