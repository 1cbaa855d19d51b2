"""The graph of a job's steps by number, and which tasks of a run stand for which step."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from windlass.model.definition import Job


@dataclass(frozen=True, slots=True)
class StepGraph:
    """Steps by their place in the file; both directions of every edge."""

    names: tuple[str, ...]
    predecessors: tuple[tuple[int, ...], ...]
    successors: tuple[tuple[int, ...], ...]

    @property
    def roots(self) -> tuple[int, ...]:
        """Steps that wait for nobody."""
        return tuple(step for step, before in enumerate(self.predecessors) if not before)

    @property
    def leaves(self) -> tuple[int, ...]:
        """Steps that nobody waits for."""
        return tuple(step for step, after in enumerate(self.successors) if not after)

    def after(self, steps: Iterable[int]) -> set[int]:
        """Return every step that one of `steps` comes before, directly or not."""
        return _reached(steps, self.successors)

    def before(self, steps: Iterable[int]) -> set[int]:
        """Return every step that comes before one of `steps`, directly or not."""
        return _reached(steps, self.predecessors)

    def last_among(self, steps: Container[int]) -> list[int]:
        """Return those of `steps` that are met first on the ways back from the leaves, in a topological order."""
        found: set[int] = set()
        seen = set(self.leaves)
        waiting = [*seen]
        while waiting:
            step = waiting.pop()
            if step in steps:
                found.add(step)
                continue
            new = [other for other in self.predecessors[step] if other not in seen]
            seen.update(new)
            waiting.extend(new)
        return [step for step in self.order() if step in found] if len(found) > 1 else [*found]

    def layers(self) -> list[list[int]]:
        """Return the steps by the longest way from a root, each layer in file order."""
        depth = [0] * len(self.names)
        for step in self.order():
            for after in self.successors[step]:
                depth[after] = max(depth[after], depth[step] + 1)
        layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for step, level in enumerate(depth):
            layers[level].append(step)
        return layers

    def order(self) -> list[int]:
        """Return a topological order; among steps that could come next, the first in the file comes first."""
        waiting = [len(before) for before in self.predecessors]
        ready = [step for step, count in enumerate(waiting) if count == 0]
        order: list[int] = []
        while ready:
            order.extend(ready)
            following: list[int] = []
            for step in ready:
                for after in self.successors[step]:
                    waiting[after] -= 1
                    if waiting[after] == 0:
                        following.append(after)
            ready = sorted(following)
        return order


def _reached(steps: Iterable[int], edges: Sequence[Sequence[int]]) -> set[int]:
    found: set[int] = set()
    waiting = [*steps]
    while waiting:
        for step in edges[waiting.pop()]:
            if step not in found:
                found.add(step)
                waiting.append(step)
    return found


def step_graph(job: Job) -> StepGraph:
    """Return the graph of a job that lint found sound."""
    number = {step.name: index for index, step in enumerate(job.steps)}
    predecessors = tuple(tuple(sorted(number[name] for name in step.depends_on)) for step in job.steps)
    successors: list[list[int]] = [[] for _ in job.steps]
    for step, before in enumerate(predecessors):
        for other in before:
            successors[other].append(step)
    return StepGraph(tuple(number), predecessors, tuple(tuple(after) for after in successors))


@dataclass(frozen=True, slots=True)
class TaskLayout:
    """Which tasks stand for which step: those of step n are `first[n]` up to, not including, `first[n + 1]`."""

    first: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of tasks."""
        return self.first[-1]

    def tasks(self, step: int) -> range:
        """Return the tasks of a step."""
        return range(self.first[step], self.first[step + 1])


def layout_of(tasks_per_step: Sequence[int]) -> TaskLayout:
    """Return the layout of steps with these numbers of tasks."""
    first = [0]
    for count in tasks_per_step:
        first.append(first[-1] + count)
    return TaskLayout(tuple(first))
