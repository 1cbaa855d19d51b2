"""Which tasks of an ended run are kept and which are done again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.graph import StepGraph, layout_of
from windlass.model.progress import STOPPING
from windlass.model.resuming import EndedTask, plan_resume

pytestmark = pytest.mark.promise("W02")
DONE, BAD = EndedTask("completed"), EndedTask("failed", "exit")


def graph(*edges: tuple[int, int], size: int) -> StepGraph:
    """Return a graph of numbered steps."""
    before = tuple(tuple(sorted(a for a, b in edges if b == step)) for step in range(size))
    after = tuple(tuple(sorted(b for a, b in edges if a == step)) for step in range(size))
    return StepGraph(tuple(f"s{step}" for step in range(size)), before, after)


DIAMOND = graph((0, 1), (0, 2), (1, 3), (2, 3), size=4)


def again(ended: list[EndedTask], tasks: tuple[int, ...] = (1, 1, 1, 1), **how: Any) -> list[int]:
    """Return what of the diamond is done again."""
    plan = plan_resume(DIAMOND, layout_of(tasks), dict(enumerate(ended)), **how)
    assert sorted((*plan.kept, *plan.again)) == list(range(sum(tasks)))
    return list(plan.again)


def test_what_failed_and_all_behind_it_is_done_again() -> None:
    assert again([DONE, BAD, DONE, EndedTask("skipped", "trigger rule")]) == [1, 3]


def test_a_named_step_is_done_again_with_all_behind_it() -> None:
    assert again([DONE] * 4, start=[2]) == [2, 3]
    assert again([DONE] * 4) == []


def test_what_failed_beside_a_named_step_is_done_again_too() -> None:
    assert again([DONE, BAD, DONE, DONE], start=[2]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("ended", "kept"),
    [
        (EndedTask("failed", "exit", allowed=True), True),
        (EndedTask("skipped", "when: x is false"), True),
        (EndedTask("skipped", STOPPING), False),
        (EndedTask("skipped", "dependency_failed"), False),
        (EndedTask("cancelled", "cancelled"), False),
        (EndedTask("timeout", "timeout"), False),
        (EndedTask("timeout", "timeout", allowed=True), True),
    ],
)
def test_what_was_decided_is_kept_what_was_stopped_is_not(ended: EndedTask, kept: bool) -> None:
    assert (again([DONE, ended, DONE, DONE]) == []) == kept


def test_of_a_fanned_out_step_only_the_failed_tasks_where_that_is_asked_for() -> None:
    ended = [DONE, DONE, BAD, DONE, DONE, EndedTask("skipped", "trigger rule")]
    assert again(ended, (1, 3, 1, 1)) == [1, 2, 3, 5]
    assert again(ended, (1, 3, 1, 1), only_failed=True) == [2, 5]
    assert again(ended, (1, 3, 1, 1), only_failed=True, start=[1]) == [1, 2, 3, 5]


@given(st.data())
def test_nothing_is_kept_that_comes_after_something_done_again(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    edges = [(a, b) for b in range(size) for a in range(b) if data.draw(st.booleans())]
    shape = graph(*edges, size=size)
    tasks = [data.draw(st.integers(1, 3)) for _ in range(size)]
    layout = layout_of(tasks)
    ended = {task: data.draw(st.sampled_from([DONE, BAD, EndedTask("cancelled")])) for task in range(layout.size)}
    start = data.draw(st.sets(st.integers(0, size - 1)))
    plan = plan_resume(shape, layout, ended, start=start, only_failed=data.draw(st.booleans()))
    steps = {step for step in range(size) for task in layout.tasks(step) if task in plan.again}
    assert start <= steps
    assert all(task in plan.again for task, one in ended.items() if not one.well)
    for before, after in edges:
        if before in steps:
            assert all(task in plan.again for task in layout.tasks(after))
