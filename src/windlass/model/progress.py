"""The DAG engine, pure: from a step that became final to what starts or is skipped, and how a run ends."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from windlass.model.definition import TriggerRule
from windlass.model.graph import StepGraph
from windlass.model.state import RunState

#: Why a step is skipped that the end of its run keeps from being decided on.
STOPPING: Final = "the run is stopping"


@dataclass(frozen=True, slots=True)
class Tally:
    """How the tasks of one final step ended."""

    completed: int = 0
    #: Failed or timed out, allowed ones included.
    failed: int = 0
    #: Those of `failed` whose failure is allowed.
    allowed: int = 0
    skipped: int = 0
    cancelled: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return the sum."""
        return Tally(
            self.completed + other.completed,
            self.failed + other.failed,
            self.allowed + other.allowed,
            self.skipped + other.skipped,
            self.cancelled + other.cancelled,
        )


class RunView(Protocol):
    """What `advance` asks of a run."""

    def settle(self, step: int) -> int:
        """Note that a predecessor of `step` became final; return how many are not, or -1 if `step` is final."""
        ...

    def tally(self, step: int) -> Tally:
        """Return how the tasks of a final step ended."""
        ...

    def chosen(self, step: int) -> frozenset[str] | None:
        """Return the names that a final branch step chose; None where it is no branch or did not complete."""
        ...


@dataclass(frozen=True, slots=True)
class Join:
    """Whether a step whose predecessors are all final runs, and if not, why."""

    runs: bool
    reason: str | None = None


@dataclass(slots=True)
class Advance:
    """What follows from steps that became final: numbers of steps to queue, and of steps that end without a start.

    Those that are skipped come with the reason, those that are cancelled had been told to stop.
    """

    ready: list[int] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)


def advance(
    graph: StepGraph,
    rules: tuple[TriggerRule, ...],
    final: Iterable[int],
    view: RunView,
    *,
    stopping: bool = False,
    stopped: Container[int] = (),
) -> Advance:
    """Return what follows from the steps `final`, which have just become final, skips of skips included.

    `rules` holds each step's trigger rule. `stopping` says that the run was cancelled or ran out of time: then only
    steps with the rule `always` start. Steps in `stopped` were told to stop while they waited for their predecessors:
    they are cancelled once these are final. Work grows with the edges touched, not with the size of the graph.
    """
    result = Advance()
    ended_now: dict[int, Tally] = {}
    reading = _EndedToo(view, ended_now)
    waiting = list(final)
    while waiting:
        step = waiting.pop()
        for after in graph.successors[step]:
            if view.settle(after) != 0:
                continue
            if after in stopped:
                result.cancelled.append(after)
                ended_now[after] = Tally(cancelled=1)
                waiting.append(after)
                continue
            join = decide_join(graph, rules[after], after, reading, stopping=stopping)
            if join.runs:
                result.ready.append(after)
            else:
                result.skipped.append((after, join.reason or "skipped"))
                ended_now[after] = Tally(skipped=1)
                waiting.append(after)
    result.ready.sort()
    return result


@dataclass(slots=True)
class _EndedToo:
    """A view in which the steps that are being skipped and cancelled are already final."""

    view: RunView
    ended: dict[int, Tally]

    def settle(self, step: int) -> int:
        return self.view.settle(step)

    def tally(self, step: int) -> Tally:
        return self.ended[step] if step in self.ended else self.view.tally(step)

    def chosen(self, step: int) -> frozenset[str] | None:
        return None if step in self.ended else self.view.chosen(step)


def decide_join(graph: StepGraph, rule: TriggerRule, step: int, view: RunView, *, stopping: bool) -> Join:
    """Say whether `step` runs now that all its predecessors are final."""
    before = graph.predecessors[step]
    for other in before:
        chosen = view.chosen(other)
        if chosen is not None and graph.names[step] not in chosen:
            return Join(runs=False, reason=f'branch "{graph.names[other]}" did not choose it')
    if stopping and rule != "always":
        return Join(runs=False, reason=STOPPING)
    for other in before if rule != "one_success" else ():
        fault = _fault(rule, view.tally(other))
        if fault:
            return Join(runs=False, reason=f'trigger rule {rule}: step "{graph.names[other]}" {fault}')
    if rule == "one_success" and before and not any(_successes(view.tally(other)) for other in before):
        names = ", ".join(f'"{graph.names[other]}"' for other in before)
        return Join(runs=False, reason=f"trigger rule one_success: none of {names} completed")
    return Join(runs=True)


def _successes(tally: Tally) -> int:
    return tally.completed + tally.allowed


def _fault(rule: TriggerRule, tally: Tally) -> str | None:
    """Say what about a predecessor keeps a step with `rule` from running."""
    failures = tally.failed - tally.allowed
    if rule in {"all_success", "none_failed"}:
        if failures:
            return "failed"
        if tally.cancelled:
            return "was cancelled"
        if rule == "all_success" and tally.skipped:
            return "was skipped"
    if rule == "all_failed" and (tally.completed or tally.skipped or tally.cancelled):
        return "did not fail"
    return None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What decides how a run ends once all its tasks are final."""

    cancel_asked: bool
    #: Tasks that were stopped or never started because of the cancel.
    cancelled: int
    expired: bool
    #: Tasks that failed or timed out and were not allowed to.
    failed: int


def decide_end(facts: RunFacts) -> tuple[RunState, str | None]:
    """Return the final state of a run and its reason."""
    if facts.cancel_asked and facts.cancelled:
        return "cancelled", "cancelled"
    if facts.expired:
        return "timeout", "run_deadline"
    if facts.failed:
        return "failed", "task_failed"
    return "completed", None
