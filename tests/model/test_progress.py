"""The DAG engine: what starts, what is skipped, how a run ends."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import pytest

from windlass.model.definition import TriggerRule
from windlass.model.graph import StepGraph
from windlass.model.progress import Advance, RunFacts, Tally, advance, decide_end, decide_join

LARGE = 20_000
RULES = get_args(TriggerRule)

ONE = {
    "completed": Tally(completed=1),
    "failed": Tally(failed=1),
    "allowed": Tally(failed=1, allowed=1),
    "skipped": Tally(skipped=1),
    "cancelled": Tally(cancelled=1),
}
#: Which single predecessor lets a step run: the table of joins, row by row.
RUNS = {
    "all_success": {"completed", "allowed"},
    "none_failed": {"completed", "allowed", "skipped"},
    "one_success": {"completed", "allowed"},
    "all_failed": {"failed", "allowed"},
    "all_done": set(ONE),
    "always": set(ONE),
}


def graph_of(edges: Mapping[str, str]) -> StepGraph:
    """Return a graph of steps by name, each with the names before it; every step stands after those before it."""
    names = tuple(edges)
    before = tuple(tuple(sorted(names.index(one) for one in edges[name].split())) for name in names)
    after: list[list[int]] = [[] for _ in names]
    for step, others in enumerate(before):
        for other in others:
            after[other].append(step)
    return StepGraph(names, before, tuple(map(tuple, after)))


@dataclass
class View:
    """A run in memory: what `advance` asks, and how often."""

    graph: StepGraph
    tallies: dict[int, Tally] = field(default_factory=dict)
    choices: dict[int, frozenset[str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    outstanding: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Count what each step waits for."""
        self.outstanding = [len(before) for before in self.graph.predecessors]

    def settle(self, step: int) -> int:
        self.asked["settle"] += 1
        if step in self.tallies:
            return -1
        self.outstanding[step] -= 1
        return self.outstanding[step]

    def tally(self, step: int) -> Tally:
        self.asked["tally"] += 1
        return self.tallies[step]

    def chosen(self, step: int) -> frozenset[str] | None:
        return self.choices.get(step)

    def end(
        self, name: str, tally: Tally, rules: Mapping[str, TriggerRule] | None = None, *, stopping: bool = False
    ) -> Advance:
        """Make a step final and keep what follows."""
        step = self.graph.names.index(name)
        self.tallies[step] = tally
        found = tuple((rules or {}).get(one, "all_success") for one in self.graph.names)
        result = advance(self.graph, found, [step], self, stopping=stopping)
        self.tallies.update(dict.fromkeys((step for step, _ in result.skipped), Tally(skipped=1)))
        return result

    def names(self, steps: list[int]) -> list[str]:
        return [self.graph.names[step] for step in steps]


@pytest.mark.promise("C12")
@pytest.mark.parametrize("state", ONE)
@pytest.mark.parametrize("rule", RULES)
def test_a_join_after_one_step_goes_by_the_table(rule: TriggerRule, state: str) -> None:
    view = View(graph_of({"a": "", "join": "a"}))
    result = view.end("a", ONE[state], {"join": rule})
    assert (view.names(result.ready) == ["join"]) is (state in RUNS[rule])
    if not result.ready:
        ((_, reason),) = result.skipped
        assert reason.startswith(f"trigger rule {rule}: ")
        assert '"a"' in reason


@pytest.mark.promise("C12")
@pytest.mark.parametrize("second", ONE)
@pytest.mark.parametrize("first", ONE)
@pytest.mark.parametrize("rule", RULES)
def test_a_join_after_two_steps_needs_all_or_one_as_its_rule_says(rule: TriggerRule, first: str, second: str) -> None:
    view = View(graph_of({"a": "", "b": "", "join": "a b"}))
    assert view.end("a", ONE[first], {"join": rule}) == Advance(), "it waits until all are final"
    result = view.end("b", ONE[second], {"join": rule})
    enough = any if rule == "one_success" else all
    assert bool(result.ready) is enough(state in RUNS[rule] for state in (first, second))
    assert bool(result.ready) is not bool(result.skipped)


@pytest.mark.parametrize(
    ("rule", "state", "reason"),
    [
        ("all_success", "failed", 'trigger rule all_success: step "a" failed'),
        ("all_success", "skipped", 'trigger rule all_success: step "a" was skipped'),
        ("all_success", "cancelled", 'trigger rule all_success: step "a" was cancelled'),
        ("none_failed", "cancelled", 'trigger rule none_failed: step "a" was cancelled'),
        ("one_success", "failed", 'trigger rule one_success: none of "a" completed'),
        ("all_failed", "completed", 'trigger rule all_failed: step "a" did not fail'),
    ],
)
def test_a_skip_names_the_rule_and_the_step_before(rule: TriggerRule, state: str, reason: str) -> None:
    view = View(graph_of({"a": "", "join": "a"}))
    assert view.end("a", ONE[state], {"join": rule}).skipped == [(1, reason)]


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("rule", "tally", "runs"),
    [
        ("all_success", Tally(completed=9, allowed=1, failed=1), True),
        ("all_success", Tally(completed=9, failed=1), False),
        ("all_success", Tally(completed=9, skipped=1), False),
        ("none_failed", Tally(completed=9, skipped=1), True),
        ("none_failed", Tally(completed=9, cancelled=1), False),
        ("one_success", Tally(completed=1, failed=9), True),
        ("one_success", Tally(failed=9, skipped=1), False),
        ("all_failed", Tally(failed=9), True),
        ("all_failed", Tally(failed=9, completed=1), False),
        ("all_done", Tally(failed=1, cancelled=1, skipped=1), True),
        ("always", Tally(cancelled=10), True),
    ],
)
def test_a_join_after_a_fanned_out_step_looks_at_all_its_tasks(rule: TriggerRule, tally: Tally, runs: bool) -> None:
    view = View(graph_of({"a": "", "join": "a"}))
    assert bool(view.end("a", tally, {"join": rule}).ready) is runs


@pytest.mark.promise("C12")
def test_a_failure_stops_what_depends_on_it_and_nothing_else() -> None:
    view = View(graph_of({"a": "", "b": "", "a2": "a", "a3": "a2", "b2": "b", "both": "a2 b2"}))
    assert view.names([step for step, _ in view.end("a", ONE["failed"]).skipped]) == ["a2", "a3"]
    assert view.names(view.end("b", ONE["completed"]).ready) == ["b2"]
    assert view.end("b2", ONE["completed"]).skipped[0][1] == 'trigger rule all_success: step "a2" was skipped'


@pytest.mark.promise("C12")
def test_clean_up_runs_after_a_skip_of_a_skip() -> None:
    view = View(graph_of({"a": "", "b": "a", "c": "b", "clean-up": "c"}))
    result = view.end("a", ONE["failed"], {"clean-up": "all_done"})
    assert (view.names(result.ready), len(result.skipped)) == (["clean-up"], 2)


@pytest.mark.promise("C12")
def test_a_branch_skips_what_it_did_not_choose_whatever_the_rule() -> None:
    for rule in RULES:
        view = View(graph_of({"branch": "", "left": "branch", "right": "branch"}))
        view.choices[0] = frozenset({"left"})
        result = view.end("branch", ONE["completed"], {"right": rule})
        assert result == Advance([1], [(2, 'branch "branch" did not choose it')])


def test_a_branch_may_choose_several_or_none() -> None:
    edges = {"branch": "", "left": "branch", "right": "branch", "join": "left right"}
    view = View(graph_of(edges))
    view.choices[0] = frozenset({"left", "right"})
    assert view.names(view.end("branch", ONE["completed"]).ready) == ["left", "right"]
    view = View(graph_of(edges))
    view.choices[0] = frozenset()
    assert view.names([step for step, _ in view.end("branch", ONE["completed"]).skipped]) == ["left", "right", "join"]


@pytest.mark.promise("C12")
def test_ways_of_a_branch_meet_again_where_none_failed() -> None:
    rules: dict[str, TriggerRule] = {"join": "none_failed"}
    view = View(graph_of({"branch": "", "left": "branch", "right": "branch", "join": "left right"}))
    view.choices[0] = frozenset({"right"})
    view.end("branch", ONE["completed"], rules)
    assert view.names(view.end("right", ONE["completed"], rules).ready) == ["join"]


def test_a_branch_that_failed_chose_nothing_and_the_rules_decide() -> None:
    view = View(graph_of({"branch": "", "left": "branch", "mend": "branch"}))
    result = view.end("branch", ONE["failed"], {"mend": "all_failed"})
    assert view.names(result.ready) == ["mend"]


@pytest.mark.parametrize("rule", RULES)
def test_a_run_that_stops_starts_only_what_runs_always(rule: TriggerRule) -> None:
    view = View(graph_of({"a": "", "next": "a"}))
    result = view.end("a", ONE["completed"], {"next": rule}, stopping=True)
    assert bool(result.ready) is (rule == "always")
    if rule != "always":
        assert result.skipped == [(1, "the run is stopping")]


def test_several_steps_may_become_final_at_one_time() -> None:
    view = View(graph_of({"a": "", "b": "", "join": "a b", "after-a": "a"}))
    view.tallies = {0: ONE["completed"], 1: ONE["completed"]}
    assert advance(view.graph, ("all_success",) * 4, [1, 0], view) == Advance([2, 3], [])


def test_steps_that_are_final_already_are_left_alone() -> None:
    view = View(graph_of({"a": "", "b": "a"}))
    view.tallies[1] = ONE["cancelled"]
    assert view.end("a", ONE["completed"]) == Advance()


@pytest.mark.parametrize("rule", RULES)
def test_a_step_that_waits_for_nobody_may_run(rule: TriggerRule) -> None:
    view = View(graph_of({"a": ""}))
    assert decide_join(view.graph, rule, 0, view, stopping=False).runs


@pytest.mark.promise("C12")
def test_a_long_chain_of_skips_is_linear_and_never_recurses() -> None:
    graph = graph_of_chain(LARGE)
    view = View(graph, {0: ONE["failed"]})
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        result = advance(graph, ("all_success",) * LARGE, [0], view)
    finally:
        sys.setrecursionlimit(limit)
    assert [step for step, _ in result.skipped] == list(range(1, LARGE))
    assert view.asked["settle"] == LARGE - 1
    assert view.asked["tally"] <= LARGE


@pytest.mark.promise("C12")
def test_a_wide_join_is_asked_about_once() -> None:
    names = {f"s{n}": "" for n in range(LARGE)}
    graph = StepGraph((*names, "join"), ((),) * LARGE + (tuple(range(LARGE)),), ((LARGE,),) * LARGE + ((),))
    view = View(graph)
    rules: tuple[TriggerRule, ...] = ("all_success",) * (LARGE + 1)
    for step in range(LARGE):
        view.tallies[step] = ONE["completed"]
        ready = advance(graph, rules, [step], view).ready
        assert ready == ([LARGE] if step == LARGE - 1 else [])
    assert view.asked == {"settle": LARGE, "tally": LARGE}


@pytest.mark.promise("C12")
def test_a_wide_fan_out_starts_at_once_in_file_order() -> None:
    successors = (tuple(range(1, LARGE)),) + ((),) * (LARGE - 1)
    graph = StepGraph(tuple(f"s{n}" for n in range(LARGE)), ((),) + ((0,),) * (LARGE - 1), successors)
    view = View(graph, {0: ONE["completed"]})
    assert advance(graph, ("all_success",) * LARGE, [0], view).ready == list(range(1, LARGE))


def graph_of_chain(length: int) -> StepGraph:
    return StepGraph(
        tuple(f"s{n}" for n in range(length)),
        ((), *((n - 1,) for n in range(1, length))),
        (*((n,) for n in range(1, length)), ()),
    )


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("facts", "end"),
    [
        (RunFacts(cancel_asked=False, cancelled=0, expired=False, failed=0), ("completed", None)),
        (RunFacts(cancel_asked=False, cancelled=0, expired=False, failed=2), ("failed", "task_failed")),
        (RunFacts(cancel_asked=False, cancelled=3, expired=True, failed=2), ("timeout", "run_deadline")),
        (RunFacts(cancel_asked=False, cancelled=0, expired=True, failed=0), ("timeout", "run_deadline")),
        (RunFacts(cancel_asked=True, cancelled=1, expired=True, failed=2), ("cancelled", "cancelled")),
        (RunFacts(cancel_asked=True, cancelled=0, expired=True, failed=2), ("timeout", "run_deadline")),
        (RunFacts(cancel_asked=True, cancelled=0, expired=False, failed=2), ("failed", "task_failed")),
        (RunFacts(cancel_asked=True, cancelled=0, expired=False, failed=0), ("completed", None)),
    ],
)
def test_a_run_ends_as_the_first_of_cancelled_timeout_failed_completed(
    facts: RunFacts, end: tuple[str, str | None]
) -> None:
    assert decide_end(facts) == end
