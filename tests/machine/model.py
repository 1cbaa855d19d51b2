"""The store as a model: what users, workers and the clock do to it, by the words of the manual and without a row.

Nothing here is shared with what it is held against: where that follows edges and counts, this looks at all tasks again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.machine.flow import LOST_IN_ROW, Flow
from tests.machine.rows import Run, Task, Wait
from tests.machine.shapes import Shape
from windlass.clock import SECOND

#: Words of a refusal.
UNKNOWN: Final = "NotFound"
CONFLICT: Final = "Conflict"
OTHER_CONTENT: Final = "UserError"
_KEY_LIFE: Final = 24 * 3600 * SECOND


class Refused(Exception):
    """What was asked for is refused; the text is the name of the error."""


@dataclass(frozen=True)
class Held:
    """A claim in the hands of a worker."""

    run: bytes
    task: int
    fence: int
    attempt: int


@dataclass
class Worker:
    """A worker that is at work."""

    id: int
    slots: int
    heartbeat_at: int
    draining: bool = False


@dataclass
class Model(Flow):
    """All runs, workers and queues."""

    #: Seconds of the settings.
    lease: int = 15
    #: How deep runs may start runs.
    depth: int = 16
    retention: int = 7_200
    archive_retention: int = 14_400
    workers: dict[int, Worker] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=dict)
    maintenance: bool = False
    keys: dict[str, tuple[bytes, Any, int]] = field(default_factory=dict)
    #: Runs that are to be deleted once they have ended.
    deleting: set[bytes] = field(default_factory=set)
    #: Runs in the archive, each with its end.
    archived: dict[bytes, Run] = field(default_factory=dict)

    # Users

    def under_key(self, key: str | None, asked: Any) -> bytes | None:
        """Return the run that a key stands for. Raises Refused where that was asked for with other content."""
        found = None if key is None else self.keys.get(key)
        if found is None or found[2] <= self.now:
            return None
        if found[1] != asked:
            raise Refused(OTHER_CONTENT)
        return found[0]

    def may_submit(self, shape: Shape, of: int, at: int | None, depends_on: dict[bytes, str]) -> None:
        """Raise Refused where a new run is not accepted."""
        at_once = not depends_on and (at is None or at <= self.now)
        if shape.strategy == "fail" and at_once and self.verdict(shape, of) == "fail":
            raise Refused(CONFLICT)
        if any(run_id not in self.runs for run_id in depends_on):
            raise Refused(UNKNOWN)

    def keep_key(self, key: str, asked: Any, run_id: bytes) -> None:
        """Have a key stand for a run."""
        self.keys[key] = (run_id, asked, self.now + _KEY_LIFE)

    def cancel(self, run_id: bytes) -> None:
        """Ask a run to stop. Raises Refused where there is none, or it ended in another way."""
        run = self.runs.get(run_id)
        if run is None:
            raise Refused(UNKNOWN)
        if run.state == "cancelled":
            return
        if run.final:
            raise Refused(CONFLICT)
        self.stop(run)

    def delete(self, run_id: bytes) -> None:
        """Stop a run with what it started, to forget it all once it has ended. Raises Refused where it is needed."""
        run = self.runs.get(run_id)
        if run is None:
            raise Refused(UNKNOWN)
        if run.final and run.parent is not None and not run.parent.final:
            raise Refused(CONFLICT)
        if not run.final and not run.cancels:
            self.stop(run)
        for one in self._family(run)[1:]:
            if not one.final and not one.cancels:
                self.stop(one)
        self.deleting |= {one.id for one in self._family(run)}

    def forget_deleted(self) -> bool:
        """Forget what is to be deleted and has ended; return whether anything was."""
        for run in [one for one in self.in_order() if one.id in self.deleting]:
            family = self._family(run)
            needed = run.parent is not None and not run.parent.final
            if run.id in self.runs and not needed and all(one.final and not one.awaited for one in family):
                for one in family:
                    self._let_go(one)
                return True
        return False

    def _let_go(self, run: Run) -> None:
        self._forget(run)
        self.deleting.discard(run.id)
        self.keys = {key: found for key, found in self.keys.items() if found[0] != run.id}
        for child in self.runs.values():
            if child.parent is run and not child.cascades:
                child.parent = None

    def _family(self, run: Run) -> list[Run]:
        family = [run]
        for parent in family:
            family += [one for one in self.in_order() if one.parent is parent and one.cascades]
        return family

    def _forget(self, run: Run) -> None:
        del self.runs[run.id]
        for told in [one for one in self.told if one[0] == run.id]:
            del self.told[told]

    # Workers

    def ready(self) -> list[tuple[Run, Task]]:
        """Return all tasks that a worker may take, those first that come first."""
        found = [(run, task) for run in self.in_order() for task in run.tasks if task.state == "queued"]
        return sorted(
            (one for one in found if one[1].worker is None), key=lambda one: (one[1].rank, one[0].number, one[1].number)
        )

    def held(self, worker_id: int | None = None) -> list[tuple[Run, Task]]:
        """Return the tasks that a worker holds, or any of them."""
        found = [(run, task) for run in self.in_order() for task in run.tasks if task.worker is not None]
        return [one for one in found if worker_id is None or one[1].worker == worker_id]

    def depths(self) -> dict[str, dict[str, int]]:
        """Return how many tasks of each state each queue holds."""
        found: dict[str, Counter[str]] = {}
        for run in self.runs.values():
            if run.open:
                found.setdefault(run.shape.queue, Counter()).update(task.state for task in run.open)
        return {queue: dict(counts) for queue, counts in found.items()}

    def room(self) -> dict[str, int]:
        """Return how many more tasks of each limited queue may be held: counted from the claims."""
        held = Counter(run.shape.queue for run, _ in self.held())
        return {queue: limit - held[queue] for queue, limit in self.limits.items()}

    def take(self, worker_id: int, capacity: int) -> list[Held]:
        """Give a worker up to `capacity` tasks; those without anything to decide are started."""
        worker = self.workers.get(worker_id)
        if worker is None or worker.draining or self.maintenance:
            return []
        room = self.room()
        full = {*self.paused, *(queue for queue, left in room.items() if left <= 0)}
        beside = [task.losses_in_row for _, task in self.held(worker_id) if task.losses_in_row]
        waits = False  # whether one that was lost waits: then none that was lost passes it
        taken: list[Held] = []
        for run, task in self.ready():
            queue, losses = run.shape.queue, task.losses_in_row
            if len(taken) == capacity or queue in full or (losses and waits):
                continue
            # One that was lost twice in a row runs beside none that was lost.
            apart = bool(losses and beside) and max(losses, *beside) >= LOST_IN_ROW - 1
            waits |= apart
            if room.get(queue, 1) <= 0:
                full.add(queue)
            if apart or queue in full:
                continue
            if queue in room:
                room[queue] -= 1
            if losses:
                beside.append(losses)
            task.worker, task.fence = worker_id, task.fence + 1
            if not task.step.when:
                self._begin(run, task)
            taken.append(Held(run.id, task.number, task.fence, task.attempt + task.step.when))
        return taken

    def _begin(self, run: Run, task: Task) -> None:
        if run.state == "queued":
            run.state, run.started_at = "running", self.now
            self.tell(run, "run.started")
        task.state, task.attempt, task.started_at = "running", task.attempt + 1, self.now
        self.tell(run, "task.started", task)

    def task_of(self, held: Held) -> tuple[Run, Task] | None:
        """Return what a claim holds; None where it holds nothing any more."""
        run = self.runs.get(held.run)
        if run is None:
            return None
        task = run.tasks[held.task]
        stands = not task.final and task.fence == held.fence and task.worker is not None
        return (run, task) if stands else None

    def start(self, held: Held) -> bool:
        """Start what was only claimed; False where the claim no longer stands."""
        found = self.task_of(held)
        if found is None:
            return False
        run, task = found
        if task.state == "running":
            return task.attempt == held.attempt
        if task.stop is not None:
            return False
        self._begin(run, task)
        return True

    def end(self, held: Held, kind: str, wait: Wait | None = None, until: int = 0) -> None:
        """Report the end of an attempt: `completed`, `skipped`, `cancelled`, `timeout`, `waiting`, or how it failed."""
        found = self._stands(held, kind)
        if found is not None:
            self.end_attempt(*found, kind, wait, until)

    def end_with_child(self, held: Held, shape: Shape, run_id: bytes | None, *, cascades: bool) -> None:
        """Report that an attempt goes on as a run of its own, which is `run_id`; None where none came of it."""
        found = self._stands(held, "waiting")
        if found is None:
            return
        run, task = found
        if task.stop is not None or (run.stopping and task.step.rule != "always"):
            self.end_attempt(run, task, "waiting")
        elif run_id is None or self.verdict(shape, 1) == "fail" or run.depth >= self.depth:
            self.end_attempt(run, task, "refused")
        else:
            child = self.accept(shape, run_id, run.priority, 1, None, {}, parent=run)
            child.cascades, child.awaited, child.parent_task = cascades, True, task.number
            longest = (shape.timeout or self.run_deadline) + self.run_deadline + 2 * self.grace
            self.end_attempt(run, task, "waiting", Wait(child=run_id, cascades=cascades), self.now + longest * SECOND)

    def _stands(self, held: Held, kind: str) -> tuple[Run, Task] | None:
        """Return whose attempt a report ends; one that is late is told of."""
        found = self.task_of(held)
        if found is not None and (found[1].state == "running" or kind in {"skipped", "exit", "error"}):
            return found
        run = self.runs.get(held.run)
        if run is not None:
            self.tell(run, "task.late", run.tasks[held.task])
        return None

    def lose(self, spared: set[int]) -> None:
        """Let the workers be found gone that said nothing for the time of a lease; `spared` have just spoken."""
        for worker in self.workers.values():
            if worker.id in spared:
                worker.heartbeat_at = self.now
        for worker_id in sorted(self.workers):
            if self.workers[worker_id].heartbeat_at < self.now - self.lease * SECOND:
                self.settle(worker_id)

    def settle(self, worker_id: int) -> None:
        """End a worker: what it had only claimed is free again, what it had started is lost."""
        for run, task in self.held(worker_id):
            if task.worker != worker_id:
                continue  # one before it stopped the rest of their run
            if task.state == "queued":
                task.worker = None
            else:
                self.end_attempt(run, task, "lost")
        self.workers.pop(worker_id, None)

    # Time

    def leaving(self, *, memory: bool) -> list[Run]:
        """Return the final runs whose time in the hot store is over, and which nothing holds."""
        found = [run for run in self.in_order() if run.final and self._aged(run, memory=memory) and self._free(run)]
        return found if memory else [run for run in found if not self._undecided(run)]

    def _undecided(self, run: Run) -> bool:
        """Say whether a run stays until somebody has decided about what failed in it, or so long at most."""
        if run.finished_at is None or run.finished_at <= self.now - self.archive_retention * SECOND:
            return False
        if not any(task.dead for task in run.tasks):
            return False
        if run.parent_task is None:
            return True
        if run.parent is None or run.parent.id not in self.runs:
            return False
        above = run.parent.tasks[run.parent_task]
        return above.final and (above.dead or (above.ended_at or 0) < run.finished_at)

    def _aged(self, run: Run, *, memory: bool) -> bool:
        age = (3_600 if run.state == "completed" else 7_200) if memory else self.retention
        since = run.finished_at if run.restored_at is None else run.restored_at
        return since is not None and since <= self.now - age * SECOND

    def _free(self, run: Run) -> bool:
        kept = any(found[0] == run.id and found[2] > self.now for found in self.keys.values())
        around = [one for one in self.runs.values() if one.parent is run or one is run.parent]
        waited = any(run.id in one.waits for one in self.runs.values())
        return not (run.id in self.deleting or kept or run.awaited or waited or any(not one.final for one in around))

    def sweep(self, *, memory: bool) -> None:
        """Let final runs leave, to the archive where there is one, and end what was there long enough."""
        for run in self.leaving(memory=memory):
            self._forget(run)
            if not memory:
                self.archived[run.id] = run
        age = self.archive_retention * SECOND
        self.archived = {
            run_id: run for run_id, run in self.archived.items() if (run.finished_at or 0) >= self.now - age
        }

    def restore(self, run_id: bytes) -> None:
        """Bring a run back; the archive keeps it. Raises Refused where it has no such run."""
        run = self.archived.get(run_id)
        if run is None:
            raise Refused(UNKNOWN)
        if run_id not in self.runs:
            run.restored_at = self.now
            self.runs[run_id] = run
