"""Which tasks of a run that has ended are done again when it is resumed, and whose results are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from windlass.model.graph import StepGraph, TaskLayout
from windlass.model.progress import STOPPING

#: Reasons of tasks that were skipped because their run was stopped or never began: nothing was decided about them.
UNDECIDED: Final = frozenset({STOPPING, "dependency_failed", "not_needed"})


@dataclass(frozen=True, slots=True)
class EndedTask:
    """How a task of the earlier run ended."""

    state: str
    reason: str | None = None
    allowed: bool = False

    @property
    def well(self) -> bool:
        """Say whether its result may be kept: it completed, was allowed to fail, or there was a reason to skip it."""
        if self.state in {"failed", "timeout"}:
            return self.allowed
        return self.state == "completed" or (self.state == "skipped" and self.reason not in UNDECIDED)


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What a resumed run takes over and what it does again: numbers of tasks, in order."""

    kept: tuple[int, ...]
    again: tuple[int, ...]


def plan_resume(
    graph: StepGraph,
    layout: TaskLayout,
    ended: Mapping[int, EndedTask],
    *,
    start: Collection[int] = (),
    only_failed: bool = False,
) -> ResumePlan:
    """Return which tasks are kept and which are done again.

    Done again are the steps `start`, those that did not end well, and all that come after one of them. With
    `only_failed` the tasks of a fanned-out step that ended well are kept, unless the step comes after such a one.
    """
    bad = {step for step in range(len(graph.names)) if any(not _well(ended, task) for task in layout.tasks(step))}
    seeds = bad.union(start)
    behind = graph.after(seeds)
    kept: list[int] = []
    again: list[int] = []
    for step in range(len(graph.names)):
        whole = step in behind or step in start or (step in bad and not only_failed)
        for task in layout.tasks(step):
            (again if whole or not _well(ended, task) else kept).append(task)
    return ResumePlan(tuple(kept), tuple(again))


def _well(ended: Mapping[int, EndedTask], task: int) -> bool:
    return task in ended and ended[task].well
