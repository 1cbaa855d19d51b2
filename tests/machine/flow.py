"""What follows by itself in the model: from tasks that ended to those behind them, from runs to others, from time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.machine.rows import JOINED, Run, Task, Wait
from tests.machine.shapes import Shape
from windlass.clock import SECOND

#: Why a task ended that was told to stop.
_STOPPED: Final = {"cancel": "cancelled", "timeout": "run_deadline"}
LOST_IN_ROW: Final = 3
#: Failures of which the step itself, or what is behind it, says that no other attempt is of use.
_NO_RETRY: Final = {"refused", "child_cancelled", "unasked"}


@dataclass
class Flow:
    """Runs, and what moves them."""

    now: int
    #: Seconds of the settings.
    run_deadline: int = 3_000
    grace: int = 300
    weight: int = 600
    runs: dict[bytes, Run] = field(default_factory=dict)
    #: What was told since this was looked at last: how often, by run, type and task.
    told: Counter[tuple[bytes, str, int | None]] = field(default_factory=Counter)
    accepted: int = 0

    def in_order(self) -> list[Run]:
        """Return the runs in the order of their acceptance."""
        return sorted(self.runs.values(), key=lambda run: run.number)

    def tell(self, run: Run, kind: str, task: Task | None = None) -> None:
        """Note an event."""
        self.told[run.id, kind, None if task is None else task.number] += 1

    # The beginning of runs

    def accept(
        self,
        shape: Shape,
        run_id: bytes,
        priority: int,
        of: int,
        at: int | None,
        depends_on: dict[bytes, str],
        parent: Run | None = None,
    ) -> Run:
        """Accept a run."""
        self.accepted += 1
        later = at is not None and at > self.now
        due = at if later and at is not None else self.now
        run = Run(run_id, self.accepted, shape, priority, of, self.now, 0, scheduled_at=at, parent=parent)
        own = shape.timeout or self.run_deadline
        run.deadline = due + (max(own, self.run_deadline) if depends_on else own) * SECOND
        rank = due - priority * self.weight * SECOND
        run.tasks = [Task(number, step, due, rank) for number, step in enumerate(shape.steps)]
        verdict = "enter" if later or depends_on else self.verdict(shape, of)
        self.runs[run_id] = run
        self.tell(run, "run.created")
        if depends_on:
            run.state = "waiting"
            self.tell(run, "run.waiting")
            self._hold(run, depends_on)
        elif later:
            self._schedule(run, due)
        elif verdict == "enter":
            run.queued_at = self.now
            self.tell(run, "run.queued")
            self.follow(run)
        else:
            run.queued_at = self.now
            self._no_place(run, verdict)
        return run

    def _hold(self, run: Run, depends_on: dict[bytes, str]) -> None:
        run.waits = dict(depends_on)
        for on_id in depends_on:
            if self.runs[on_id].final:
                self._take_note(run, self.runs[on_id])
            else:
                self.runs[on_id].awaited = True

    def _schedule(self, run: Run, at: int) -> None:
        run.state = "scheduled"
        self.tell(run, "run.scheduled")
        for task in run.tasks:
            if not task.step.after:
                task.state, task.wake_at = "scheduled", at

    def verdict(self, shape: Shape, of: int, without: Run | None = None) -> str:
        """Say what becomes of one more run; `without` is the one that asks, where it is there already."""
        if shape.limit is None:
            return "enter"
        line = [run for run in self.runs.values() if run.limited == (shape.alias, of) and run is not without]
        going = sum(run.state in {"queued", "running"} for run in line)
        waiting = any(run.state == "waiting" and run.reason == "concurrency" for run in line)
        if going < shape.limit and not waiting:
            return "enter"
        return {"queue": "wait"}.get(shape.strategy, shape.strategy)

    def _no_place(self, run: Run, verdict: str) -> None:
        """Let a run wait for a place, or end it."""
        if verdict == "wait":
            run.state, run.reason, run.queued_at = "waiting", "concurrency", None
            run.deadline = self.now + max(run.shape.timeout or 0, self.run_deadline) * SECOND
            for task in run.tasks:
                task.state, task.wake_at = "pending", None
            self.tell(run, "run.waiting")
            return
        reason, state = {"skip": ("concurrency_skip", "cancelled"), "fail": ("concurrency_fail", "failed")}[verdict]
        self._end_unstarted(run, state, reason, "cancelled")

    def _end_unstarted(self, run: Run, state: str, reason: str, task_state: str) -> None:
        for task in run.tasks:
            self._finish(run, task, task_state, reason)
        run.state, run.reason, run.finished_at = state, reason, self.now
        self.tell(run, f"run.{state}")

    def _take_note(self, run: Run, ended: Run) -> None:
        """Let a run go on, or end, now that one that it waits for has ended."""
        condition = run.waits.pop(ended.id)
        if run.state != "waiting" or run.stopping:
            return
        failed = ended.state in {"failed", "timeout"}
        if condition == "success" and ended.state != "completed":
            self._end_unstarted(run, "failed", "dependency_failed", "skipped")
        elif condition == "failure" and not failed:
            self._end_unstarted(run, "cancelled", "not_needed", "skipped")
        elif not run.waits:
            self._release(run)

    def _release(self, run: Run) -> None:
        at = run.scheduled_at if run.scheduled_at is not None and run.scheduled_at > self.now else None
        run.deadline = (self.now if at is None else at) + (run.shape.timeout or self.run_deadline) * SECOND
        if at is not None:
            self._schedule(run, at)
            return
        verdict = self.verdict(run.shape, run.of, run)
        self.tell(run, "run.queued")
        run.queued_at = self.now
        if verdict == "enter":
            run.state = "queued"
            self.follow(run)
        else:
            self._no_place(run, verdict)

    # The end of attempts

    def end_attempt(self, run: Run, task: Task, kind: str, wait: Wait | None = None, until: int = 0) -> None:
        """Make of a task what the end of its attempt means."""
        step, begun = task.step, task.state in {"running", "waiting"}
        stop = task.stop or ("cancel" if run.stopping and step.rule != "always" else None)
        if kind == "lost":
            task.losses, task.losses_in_row = task.losses + 1, task.losses_in_row + 1
            self.tell(run, "task.lost", task)
        if kind in {"cancelled", "waiting", "lost"} and stop is not None:
            state = "timeout" if stop == "timeout" else "cancelled"
            self._end_task(run, task, state, _STOPPED[stop], "lost" if kind == "lost" else state)
        elif kind == "waiting":
            task.state, task.wake_at, task.worker, task.wait = "waiting", until, None, wait
            self.tell(run, "task.waiting", task)
        elif kind == "lost":
            self._lose(run, task)
        elif kind == "completed":
            self._end_task(run, task, "completed", None, "completed")
        elif kind == "skipped":
            self._end_task(run, task, "skipped", "when", "completed" if begun else None)
        else:
            self._fail(run, task, "unasked" if kind == "cancelled" else kind, stop, begun=begun)

    def _lose(self, run: Run, task: Task) -> None:
        if not task.step.again_when_lost:
            self._end_task(run, task, "failed", "worker_lost", "lost")
        elif task.losses_in_row >= LOST_IN_ROW:
            self._end_task(run, task, "failed", "quarantined", "lost")
        else:
            self._again(run, task, "lost", 0)

    def _fail(self, run: Run, task: Task, kind: str, stop: str | None, *, begun: bool) -> None:
        step, state = task.step, "timeout" if kind == "timeout" else "failed"
        named = {"refused": "child_refused", "unasked": "error"}.get(kind, kind)
        policy = "error" if kind.startswith("child_") else kind
        left = task.attempt - task.losses < step.attempts
        if begun and stop is None and left and policy in step.on and kind not in _NO_RETRY:
            task.losses_in_row = 0
            self._again(run, task, state, step.delay)
        else:
            self._end_task(run, task, state, named, state if begun else None)

    def _again(self, run: Run, task: Task, outcome: str, delay: int) -> None:
        at = self.now + delay * SECOND
        task.earlier.append((task.attempt, outcome))
        task.state, task.due, task.wake_at, task.rank = "scheduled", at, at, at - run.priority * self.weight * SECOND
        task.worker = task.started_at = task.wait = None
        self.tell(run, "task.retried", task)

    def _end_task(self, run: Run, task: Task, state: str, reason: str | None, outcome: str | None) -> None:
        self._finish(run, task, state, reason, outcome)
        self.follow(run)
        self.end_if_done(run)

    def _finish(self, run: Run, task: Task, state: str, reason: str | None, outcome: str | None = None) -> None:
        task.state, task.reason, task.outcome, task.ended_at = state, reason, outcome, self.now
        task.worker = task.wake_at = task.wait = None
        self.tell(run, f"task.{state}", task)

    # What comes after

    def follow(self, run: Run) -> None:
        """Queue, skip or cancel every task that waits for nothing any more."""
        moved = run.state != "waiting"
        while moved:
            moved = False
            for task in run.tasks:
                before = [run.tasks[step] for step in task.step.after]
                if task.state == "pending" and all(one.final for one in before):
                    self._decide(run, task, before)
                    moved = True

    def _decide(self, run: Run, task: Task, before: list[Task]) -> None:
        good = [one.state == "completed" or (one.failed and one.step.allow_failure) for one in before]
        if task.stop is not None:
            self._finish(run, task, "cancelled", _STOPPED[task.stop])
        elif run.stopping and task.step.rule != "always":
            self._finish(run, task, "skipped", "the run is stopping")
        elif task.step.rule == "all_success" and not all(good):
            self._finish(run, task, "skipped", JOINED)
        else:
            task.state = "queued"
            self.tell(run, "task.queued", task)

    def end_if_done(self, run: Run) -> None:
        """End a run whose tasks are all final, and let in whoever waits for its place."""
        if run.open or run.final:
            return
        bad = [task for task in run.tasks if task.failed and not task.step.allow_failure]
        if run.cancels and any(task.reason == "cancelled" for task in run.tasks):
            run.state, run.reason = "cancelled", "cancelled"
        elif run.expired:
            run.state, run.reason = "timeout", "run_deadline"
        elif bad:
            first = min(bad, key=lambda task: (task.ended_at or 0, task.number))
            run.state = "failed"
            run.reason = first.reason if first.reason in {"worker_lost", "quarantined"} else "task_failed"
        else:
            run.state, run.reason = "completed", None
        run.finished_at = self.now
        self.tell(run, f"run.{run.state}")
        self._admit(run)

    def _admit(self, ended: Run) -> None:
        if ended.shape.limit is None:
            return
        line = [run for run in self.runs.values() if run.limited == ended.limited]
        going = sum(run.state in {"queued", "running"} for run in line)
        waiting = [run for run in line if run.state == "waiting" and run.reason == "concurrency"]
        for run in sorted(waiting, key=lambda one: (one.rank, one.number))[: max(0, ended.shape.limit - going)]:
            run.state, run.reason, run.queued_at = "queued", None, self.now
            run.deadline = self.now + (run.shape.timeout or self.run_deadline) * SECOND
            self.tell(run, "run.queued")
            self.follow(run)

    # Stopping

    def stop(self, run: Run) -> None:
        """Cancel a run that is not final; the second time what cleans up too."""
        again, until = run.cancels > 0, self.now + self.grace * SECOND
        run.deadline = min(run.deadline, until) if run.stopping else until
        run.cancels = min(run.cancels + 1, 2)
        self.tell(run, "run.cancel_requested")
        self._stop_rest(run, spare=not again)
        self._stop_children(run, again=again)

    def _expire(self, run: Run) -> None:
        again = run.stopping
        run.deadline = self.now + self.grace * SECOND
        if again:
            run.cancels = 2 if run.cancels else 0
        else:
            run.expired = 1
        self._stop_rest(run, spare=not again)
        self._stop_children(run, again=again)

    def _stop_children(self, run: Run, *, again: bool) -> None:
        for one in self.in_order():
            if one.parent is not run or not one.cascades or one.final or self._goes_on(run, one):
                continue
            if again and not one.cancels:
                self.stop(one)  # clean-up started it: it gets none of its own
            if not one.final and (again or not one.cancels):
                self.stop(one)

    def _goes_on(self, run: Run, child: Run) -> bool:
        task = None if child.parent_task is None else run.tasks[child.parent_task]
        return task is not None and task.state == "waiting" and task.stop is None

    def _stop_rest(self, run: Run, *, spare: bool) -> None:
        why = "cancel" if run.cancels else "timeout"
        spare = spare and run.state == "running"
        spared = {task.number for task in run.open if spare and task.step.rule == "always"}
        going = {task.number for task in run.open if task.state == "running" or task.has_child}
        cleaning = {number for number in spared if run.tasks[number].state == "pending"}
        between = run.shape.around(going, before=False) & run.shape.around(cleaning, before=True)
        for task in run.open:
            if task.number in spared:
                continue
            if task.number in going or (task.state == "pending" and task.number in between):
                task.stop = task.stop if task.stop and spare else why
            else:
                self._finish(run, task, "cancelled", _STOPPED[why], "rescheduled" if task.state == "waiting" else None)
        self.follow(run)
        self.end_if_done(run)

    # Time

    def wake(self) -> None:
        """Do what is due, and what follows from that, until nothing is."""
        while any([self._wake_due(), self._expire_due(), self._settle_ended()]):
            continue

    def _wake_due(self) -> bool:
        due = [
            (run, task) for run in self.in_order() for task in run.open if (task.wake_at or self.now + 1) <= self.now
        ]
        for run, task in sorted(due, key=lambda one: (one[1].wake_at or 0, one[0].number, one[1].number)):
            if task.wake_at is None or task.final or task.wake_at > self.now:
                continue  # one before it stopped the rest of their run
            if task.state == "scheduled":
                self._queue(run, task)
            else:
                self._end_wait(run, task)
        return bool(due)

    def _queue(self, run: Run, task: Task) -> None:
        if run.state == "scheduled":
            verdict = self.verdict(run.shape, run.of, run)
            run.queued_at = self.now
            if verdict != "enter":
                self._no_place(run, verdict)
                return
            run.state = "queued"
            self.tell(run, "run.queued")
        task.state, task.wake_at = "queued", None
        self.tell(run, "task.queued", task)

    def _end_wait(self, run: Run, task: Task) -> None:
        wait = task.wait or Wait()
        if wait.child is None:
            failed = wait.at_end == "failed"
            self._end_task(run, task, wait.at_end, "wait_timeout" if failed else None, "rescheduled")
            return
        child = self.runs.get(wait.child)
        if child is None or child.final or not wait.cascades or wait.timed_out:
            self.end_attempt(run, task, "timeout")
            return
        wait.timed_out, task.wake_at = True, self.now + 2 * self.grace * SECOND
        if not child.cancels:
            self.stop(child)

    def _expire_due(self) -> bool:
        due = [run for run in self.in_order() if not run.final and run.deadline <= self.now]
        for run in sorted(due, key=lambda one: (one.deadline, one.number)):
            if not run.final and run.deadline <= self.now:
                self._expire(run)
        return bool(due)

    def _settle_ended(self) -> bool:
        ended = [run for run in self.in_order() if run.final and run.awaited]
        for run in ended:
            run.awaited = False
            if run.parent is not None and run.parent_task is not None and run.parent.id in self.runs:
                self._settle_parent(run.parent, run.parent.tasks[run.parent_task], run)
            for other in self.in_order():
                if run.id in other.waits:
                    self._take_note(other, run)
        return bool(ended)

    def _settle_parent(self, parent: Run, task: Task, child: Run) -> None:
        wait = task.wait
        if task.state != "waiting" or wait is None or wait.child != child.id:
            return
        kind = "completed" if child.state == "completed" else f"child_{child.state}"
        if task.stop is not None and child.state in {"cancelled", "timeout"}:
            kind = "cancelled"
        elif wait.timed_out and task.stop is None and kind != "completed":
            kind = "timeout"
        self.end_attempt(parent, task, kind)
