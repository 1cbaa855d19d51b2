"""Tasks that completed and of which nothing else is to be decided, settled together.

What the ends of many tasks ask of the store is asked once for all of them, and written at once: on PostgreSQL each
question is a way there and back. Whatever is out of the ordinary is left to be settled by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from windlass.engine.book import Book, open_book, tally_of, to_json
from windlass.engine.engine import Engine
from windlass.engine.following import Consequences, end_if_done
from windlass.engine.report import Report
from windlass.model.concurrency import as_ranges
from windlass.model.ending import Ending
from windlass.model.outcome import Completed
from windlass.model.progress import Tally, advance
from windlass.store import hot, settled
from windlass.store.rows import Held, NewFact, PendingTask, RunFlags, TaskEnd
from windlass.store.transaction import Transaction

#: What follows for a task whose attempt completed.
COMPLETED: Final = Ending("completed", "completed")


#: How a task ended, as `settled.results_among` reads it.
Result = tuple[int, str, str | None, int | None]


class Settled(NamedTuple):
    """A task that completed, and the final task that it becomes."""

    report: Report
    row: Held
    end: TaskEnd


@dataclass(slots=True)
class Settling:
    """What is to be written, and what was."""

    removed: list[int] = field(default_factory=list)
    ends: list[TaskEnd] = field(default_factory=list)
    facts: list[NewFact] = field(default_factory=list)
    moved: list[PendingTask] = field(default_factory=list)
    #: Tasks that may be taken now, by run and number; no hint was given of them.
    queued: set[tuple[bytes, int]] = field(default_factory=set)
    #: How tasks ended, by run and number: `(task, state, outputs, exit code)`, as who takes what follows asks for it.
    results: dict[tuple[bytes, int], Result] = field(default_factory=dict)

    def write(self, tx: Transaction) -> None:
        """Write it, and start anew."""
        if self.removed:
            settled.settle(tx, self.removed, self.ends, self.facts, self.moved)
        for end in self.ends:
            self.results[end.run_id, end.task] = (end.task, end.state, end.outputs, end.exit_code)
        self.queued.update((one.run_id, one.task) for one in self.moved if one.ready)
        self.removed, self.ends, self.facts, self.moved = [], [], [], []


def settle_together(
    tx: Transaction, engine: Engine, flags: Mapping[bytes, RunFlags], found: Iterable[Settled]
) -> tuple[list[Report], Settling]:
    """Settle tasks that completed; return the reports of those of which nothing was done, and what was written.

    Their runs and rows are locked, and `flags` were read since then.
    """
    runs: dict[bytes, list[Settled]] = {}
    for one in found:
        runs.setdefault(one.row.run_id, []).append(one)
    left: list[Report] = []
    settling = Settling()
    for run_id, tasks in runs.items():
        book = open_book(tx, engine, run_id, tasks[0].row.revision_id, flags.get(run_id))
        if not _is_plain(book, tasks) or not _settle_run(book, tasks, settling):
            left.extend(one.report for one in tasks)
    settling.write(tx)
    return left, settling


def _is_plain(book: Book, tasks: Sequence[Settled]) -> bool:
    """Say whether nothing but the steps behind them follows from the ends of tasks of a run."""
    job = book.job.job
    if book.stopping or book.flags.state != "running" or job.fail_fast or job.max_parallel_tasks:
        return False
    return not any(book.step(one.row.task).branch for one in tasks)


def _settle_run(book: Book, tasks: Sequence[Settled], settling: Settling) -> bool:
    """Settle tasks of one run; False, and nothing done, where a step is skipped or cancelled for it."""
    ledger = _Ledger(book, [one.row.task for one in tasks])
    told: list[tuple[Settled, dict[str, Any]]] = []
    for one in tasks:
        consequences = Consequences()
        for step in ledger.complete(one.row.task):
            result = advance(book.job.graph, book.job.rules, [step], ledger)
            if result.skipped or result.cancelled:
                return False
            for ready in result.ready:
                consequences.ready.extend(as_ranges(ledger.queue(ready)))
        used = one.report.usage
        data: dict[str, Any] = {"attempt": one.end.attempt} | ({"chunks": used.chunks} if used.chunks else {})
        if one.end.exit_code is not None:
            data["exitCode"] = one.end.exit_code
        told.append((one, data | consequences.data()))
    settling.removed.extend(one.row.id for one in tasks)
    settling.ends.extend(one.end for one in tasks)
    settling.moved.extend(ledger.changed(book.run_id))
    last = len(told) - 1
    for at, (one, data) in enumerate(told):
        types = "task.completed"
        if at == last and not ledger.anything_open([task.row.id for task in tasks]):
            settling.write(book.tx)
            end = end_if_done(book)
            if end is not None:
                types += f",run.{end[0]}"
                if end[1]:
                    data["run"] = {"reason": end[1]}
            hot.insert_facts(book.tx, [NewFact(types, book.run_id, one.row.task, book.tx.now, to_json(data))])
        else:
            settling.facts.append(NewFact(types, book.run_id, one.row.task, book.tx.now, to_json(data)))
    return True


class _Ledger:
    """What of a run changes with the ends of some of its tasks, kept here until it is written."""

    def __init__(self, book: Book, tasks: Sequence[int]) -> None:
        """Begin before the ends of `tasks`, which are read at once with what follows them."""
        self._book = book
        steps = {book.step_number(task) for task in tasks}
        #: Tasks of each step that are not final; none of those that are one task.
        self._open = {step: self._count_open(step) for step in sorted(steps)}
        self._completed: dict[int, int] = {}
        self._tallies: dict[int, Tally] = {}
        #: How many predecessors of a pending task are not final, those read by their steps; what was queued is in both.
        self._outstanding: dict[int, int] = {}
        self._read: dict[int, list[int]] = {}
        self._settled: set[int] = set()
        self._queued: set[int] = set()
        self._joining = 0
        self._look(dict.fromkeys(after for step in sorted(steps) for after in book.job.graph.successors[step]))

    def complete(self, task: int) -> list[int]:
        """Note that a task completed; return its step where that became final by it."""
        step = self._book.step_number(task)
        self._completed[step] = self._completed.get(step, 0) + 1
        self._open[step] -= 1
        return [] if self._open[step] else [step]

    def settle(self, step: int) -> int:
        """Note that a predecessor of `step` became final; see `RunView.settle`."""
        if step not in self._read:
            self._look([step])
        tasks = self._read[step]
        for task in tasks:
            self._outstanding[task] -= 1
            self._settled.add(task)
        left = self._outstanding[tasks[0]] if tasks else -1
        if left == 0:
            self._joining = step
        return left

    def tally(self, step: int) -> Tally:
        """Return how the tasks of a final step ended; see `RunView.tally`."""
        if step not in self._tallies:
            self._read_tallies([*self._book.job.graph.predecessors[self._joining], step])
        return self._tallies[step] + Tally(completed=self._completed.get(step, 0))

    def chosen(self, step: int) -> frozenset[str] | None:
        """Return what a final branch step chose; see `RunView.chosen`. None of those that end now is one."""
        return self._book.chosen(step)

    def queue(self, step: int) -> list[int]:
        """Let the tasks of a step be taken; return which those are."""
        tasks = self._read[step]
        self._queued.update(tasks)
        return tasks

    def changed(self, run_id: bytes) -> list[PendingTask]:
        """Return what is to be written of tasks that are not final."""
        return [
            PendingTask(run_id, task, self._outstanding[task], int(task in self._queued))
            for task in sorted(self._settled)
        ]

    def anything_open(self, removed: Sequence[int]) -> bool:
        """Say whether a task of the run is not final, those with the queue rows `removed` apart."""
        if self._outstanding or any(self._open.values()):
            return True
        return settled.any_but(self._book.tx, self._book.run_id, removed)

    def _count_open(self, step: int) -> int:
        first, last = self._book.span(step)
        return 1 if first == last else settled.open_count(self._book.tx, self._book.run_id, first, last)

    def _look(self, steps: Iterable[int]) -> None:
        spans = [(step, *self._book.span(step)) for step in steps if step not in self._read]
        found = settled.pending_in(self._book.tx, self._book.run_id, [(first, last) for _, first, last in spans])
        self._outstanding.update(found)
        for step, first, last in spans:
            self._read[step] = [task for task in range(first, last + 1) if task in found]

    def _read_tallies(self, steps: Iterable[int]) -> None:
        """Read how steps ended, those of one task together."""
        wanted = [step for step in dict.fromkeys(steps) if step not in self._tallies]
        single = {self._book.span(step)[0]: step for step in wanted if len(self._book.layout.tasks(step)) == 1}
        self._tallies.update((step, Tally()) for step in single.values())
        single = {task: step for task, step in single.items() if step not in self._completed}
        for task, state, allowed in settled.ended_among(self._book.tx, self._book.run_id, list(single)):
            self._tallies[single[task]] = tally_of([(state, allowed, 1)])
        for step in wanted:
            if step not in self._tallies:
                self._tallies[step] = self._book.tally(step)


def is_completion(report: Report) -> bool:
    """Say whether a report tells of a completion with which nothing else came."""
    outcome = report.outcome
    return (
        type(outcome) is Completed
        and outcome.branches is None
        and not (report.artifacts or report.usage.unsaid or report.keep)
    )
