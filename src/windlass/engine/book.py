"""One run opened for a change: its job, which tasks stand for which step, and the view that the DAG engine asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.fan import Fan
from windlass.model.definition import Step
from windlass.model.fanout import Cell
from windlass.model.graph import TaskLayout, layout_of
from windlass.model.progress import Tally
from windlass.store import hot
from windlass.store.rows import RunFlags
from windlass.store.transaction import Transaction

_EMPTY = Cell("", {})


@lru_cache(maxsize=256)
def plain_layout(steps: int) -> TaskLayout:
    """Return the layout of a run without fan-out."""
    return layout_of([1] * steps)


@dataclass(slots=True)
class Book:
    """A run that a unit of work changes."""

    tx: Transaction
    engine: Engine
    run_id: bytes
    flags: RunFlags
    job: CompiledJob
    layout: TaskLayout
    fan: Fan | None

    @property
    def stopping(self) -> bool:
        """Say whether only steps with the rule `always` may start."""
        return bool(self.flags.cancels or self.flags.expired)

    def step_number(self, task: int) -> int:
        """Return the number of the step that a task stands for."""
        return task if self.fan is None else self.fan.step_number(task)

    def step(self, task: int) -> Step:
        """Return the step that a task stands for."""
        return self.job.job.steps[self.step_number(task)]

    def cell(self, task: int) -> Cell:
        """Return the matrix cell of a task; an empty one where its step makes one task."""
        return (None if self.fan is None else self.fan.cell(task)) or _EMPTY

    def span(self, step: int) -> tuple[int, int]:
        """Return the first and the last task of a step."""
        return self.layout.first[step], self.layout.first[step + 1] - 1

    def settle(self, step: int) -> int:
        """Note that a predecessor of `step` became final; see `RunView.settle`."""
        return hot.settle_range(self.tx, self.run_id, *self.span(step))

    def tally(self, step: int) -> Tally:
        """Return how the tasks of a final step ended; see `RunView.tally`."""
        return tally_of(hot.ended_counts(self.tx, self.run_id, *self.span(step)))

    def chosen(self, step: int) -> frozenset[str] | None:
        """Return what a final branch step chose; see `RunView.chosen`."""
        if not self.job.job.steps[step].branch:
            return None
        chosen: set[str] = set()
        completed = False
        for task in self.layout.tasks(step):
            result = hot.task_result(self.tx, self.run_id, task)
            if result is not None and result[0] == "completed":
                completed = True
                chosen.update(orjson.loads(result[2]) if result[2] else ())
        return frozenset(chosen) if completed else None


def open_book(tx: Transaction, engine: Engine, run_id: bytes, revision_id: int, flags: RunFlags | None = None) -> Book:
    """Open a run that exists; `flags` are those of its row where they were read already."""
    flags = flags or hot.run_flags(tx, run_id)
    if flags is None:
        raise LookupError(f"run {run_id.hex()} has a queue row and no run row")
    job = compiled(tx, engine.jobs, revision_id)
    fan = engine.fans.get(tx, run_id) if flags.fanned else None
    layout = plain_layout(len(job.job.steps)) if fan is None else fan.layout
    return Book(tx, engine, run_id, flags, job, layout, fan)


def tally_of(counts: list[tuple[str, int, int]]) -> Tally:
    """Return the tally of `(state, allowed, how many)` rows."""
    total = Tally()
    for state, allowed, count in counts:
        if state == "completed":
            total += Tally(completed=count)
        elif state in {"failed", "timeout"}:
            total += Tally(failed=count, allowed=count if allowed else 0)
        elif state == "skipped":
            total += Tally(skipped=count)
        else:
            total += Tally(cancelled=count)
    return total


def to_json(value: Any) -> str:
    """Return JSON text as the store keeps it."""
    return orjson.dumps(value).decode()
