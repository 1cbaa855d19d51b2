"""Any graph, driven to its end in any order, ends as a plain evaluation of the whole graph says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.model.definition import TriggerRule
from windlass.model.graph import StepGraph
from windlass.model.progress import Tally, advance

RULES: tuple[TriggerRule, ...] = get_args(TriggerRule)
OUTCOMES = ("completed", "completed", "completed", "failed", "allowed", "skipped")
TALLIES = {
    "completed": Tally(completed=1),
    "failed": Tally(failed=1),
    "allowed": Tally(failed=1, allowed=1),
    "skipped": Tally(skipped=1),
    "cancelled": Tally(cancelled=1),
}


@dataclass(frozen=True)
class Story:
    """A graph with its rules, and how each step would end if it were started."""

    before: tuple[tuple[int, ...], ...]
    rules: tuple[TriggerRule, ...]
    outcomes: tuple[str, ...]
    #: Of a branch step, what it chooses among its successors; None for others.
    choices: tuple[frozenset[int] | None, ...]

    @property
    def graph(self) -> StepGraph:
        after: list[list[int]] = [[] for _ in self.before]
        for step, others in enumerate(self.before):
            for other in others:
                after[other].append(step)
        return StepGraph(tuple(map(str, range(len(self.before)))), self.before, tuple(map(tuple, after)))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    size = draw(st.integers(1, 12))
    mixed = draw(st.permutations(range(size)))  # steps may stand in the file before those they depend on
    before: list[tuple[int, ...]] = [()] * size
    for place, step in enumerate(mixed):
        before[step] = tuple(sorted(draw(st.sets(st.sampled_from(mixed[:place]), max_size=4)))) if place else ()
    choices: list[frozenset[int] | None] = []
    for step in range(size):
        after = [other for other in range(size) if step in before[other]]
        is_branch = bool(after) and draw(st.integers(0, 3)) == 0
        choices.append(draw(st.frozensets(st.sampled_from(after))) if is_branch else None)
    rules = draw(st.lists(st.sampled_from(RULES), min_size=size, max_size=size))
    outcomes = draw(st.lists(st.sampled_from(OUTCOMES), min_size=size, max_size=size))
    return Story(tuple(before), tuple(rules), tuple(outcomes), tuple(choices))


def expected_states(story: Story) -> list[str]:
    """Return how every step ends, by the words of the table of joins and nothing else."""
    states: dict[int, str] = {}
    while len(states) < len(story.before):
        for step, before in enumerate(story.before):
            if step not in states and all(other in states for other in before):
                runs = may_run(story, step, [states[other] for other in before])
                runs = runs and not any(unchosen(story, step, other, states[other]) for other in before)
                states[step] = story.outcomes[step] if runs else "skipped"
    return [states[step] for step in range(len(states))]


def unchosen(story: Story, step: int, other: int, state: str) -> bool:
    choice = story.choices[other]
    return choice is not None and state == "completed" and step not in choice


def may_run(story: Story, step: int, before: Sequence[str]) -> bool:
    rule = story.rules[step]
    counted = {"allowed": "failed" if rule == "all_failed" else "completed"}
    found = [counted.get(state, state) for state in before]
    if not found or rule in {"all_done", "always"}:
        return True
    if rule == "all_success":
        return set(found) == {"completed"}
    if rule == "none_failed":
        return not {"failed", "cancelled"} & set(found)
    if rule == "one_success":
        return "completed" in found
    return set(found) == {"failed"}


@dataclass
class Drive:
    """A run in memory that is driven step by step, checking itself."""

    story: Story
    states: dict[int, str] = field(default_factory=dict)
    ready: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    stopping: bool = False
    outstanding: list[int] = field(init=False)
    graph: StepGraph = field(init=False)

    def __post_init__(self) -> None:
        """Make the steps that wait for nobody ready."""
        self.graph = self.story.graph
        self.outstanding = [len(before) for before in self.story.before]
        self.ready = list(self.graph.roots)

    def settle(self, step: int) -> int:
        if step in self.states:
            return -1
        assert step not in self.started, "what was started has no open predecessors"
        self.outstanding[step] -= 1
        return self.outstanding[step]

    def tally(self, step: int) -> Tally:
        return TALLIES[self.states[step]]

    def chosen(self, step: int) -> frozenset[str] | None:
        choice = self.story.choices[step]
        if choice is None or self.states[step] != "completed":
            return None
        return frozenset(map(str, choice))

    def step_on(self, choice: int) -> None:
        """Start and end one of the ready steps."""
        step = self.ready.pop(choice % len(self.ready))
        assert all(other in self.states for other in self.story.before[step]), "it started before its predecessors"
        assert step not in self.started, "it started twice"
        assert not self.stopping or self.story.rules[step] == "always", "it started although the run stops"
        self.started.append(step)
        self.finish([step], self.story.outcomes[step])

    def stop(self) -> None:
        """Cancel everything that is not started and whose rule is not `always`."""
        self.stopping = True
        stopped = [
            step
            for step in range(len(self.story.before))
            if step not in self.states and self.story.rules[step] != "always"
        ]
        self.ready = [step for step in self.ready if step not in stopped]
        self.finish(stopped, "cancelled")

    def finish(self, steps: list[int], state: str) -> None:
        self.states.update(dict.fromkeys(steps, state))
        result = advance(self.graph, self.story.rules, steps, self, stopping=self.stopping)
        for step, reason in result.skipped:
            assert step not in self.states
            assert reason
            self.states[step] = "skipped"
        assert not set(result.ready) & (set(self.ready) | set(self.states))
        assert result.ready == sorted(result.ready)
        self.ready.extend(result.ready)


@pytest.mark.promise("C12")
@given(stories(), st.lists(st.integers(0, 11), min_size=12, max_size=12))
@settings(max_examples=300)
def test_a_run_ends_as_the_whole_graph_says_in_whatever_order_its_steps_end(story: Story, order: list[int]) -> None:
    drive = Drive(story)
    for choice in order:
        if drive.ready:
            drive.step_on(choice)
    assert not drive.ready
    assert [drive.states[step] for step in range(len(story.before))] == expected_states(story)


@pytest.mark.promise("H11")
@given(stories(), st.lists(st.integers(0, 11), min_size=12, max_size=12), st.integers(0, 12))
@settings(max_examples=200)
def test_a_run_that_is_stopped_at_any_moment_still_ends(story: Story, order: list[int], moment: int) -> None:
    drive = Drive(story)
    for turn, choice in enumerate(order):
        if turn == moment:
            drive.stop()
        if drive.ready:
            drive.step_on(choice)
    if not drive.stopping:
        drive.stop()
    while drive.ready:
        drive.step_on(0)
    assert set(drive.states) == set(range(len(story.before)))
