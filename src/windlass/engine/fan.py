"""The tasks of fanned-out runs, read once for each run and kept while it is worked on.

A run of 20,000 cells is opened 40,000 times, so that reading its cells anew each time would cost hours.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass

import orjson

from windlass.model.fanout import Cell, Expansion
from windlass.model.graph import TaskLayout
from windlass.store import hot
from windlass.store.transaction import Transaction

#: Tasks of all kept runs together.
TASK_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Fan:
    """Which tasks of a run stand for which step and cell."""

    #: The cells of each step; None for a step without fan-out.
    cells: tuple[tuple[Cell, ...] | None, ...]
    layout: TaskLayout

    def step_number(self, task: int) -> int:
        """Return the number of the step that a task stands for."""
        return bisect_right(self.layout.first, task) - 1

    def cell(self, task: int) -> Cell | None:
        """Return the cell of a task; None where its step has none."""
        step = self.step_number(task)
        cells = self.cells[step]
        return cells[task - self.layout.first[step]] if cells else None


class FanCache:
    """Fans by run id, those used last; safe to use from every thread of a store."""

    def __init__(self, *, tasks: int = TASK_LIMIT) -> None:
        """Keep runs of up to `tasks` tasks in all."""
        self._limit = tasks
        self._kept = 0
        self._lock = threading.Lock()
        self._fans: OrderedDict[bytes, Fan] = OrderedDict()

    def get(self, tx: Transaction, run_id: bytes) -> Fan:
        """Return the fan of a run that has one; it never changes."""
        with self._lock:
            found = self._fans.get(run_id)
            if found is not None:
                self._fans.move_to_end(run_id)
                return found
        expansion = Expansion.from_json(orjson.loads(hot.expansion(tx, run_id)))
        fan = Fan(expansion.cells, expansion.layout())
        with self._lock:
            if run_id not in self._fans:
                self._fans[run_id] = fan
                self._kept += fan.layout.size
            while self._kept > self._limit and len(self._fans) > 1:
                self._kept -= self._fans.popitem(last=False)[1].layout.size
        return fan
