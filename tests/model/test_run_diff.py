"""What two runs have in common and what not."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.model.run_diff import MOST_LINES, differs, log_diff, pair_tasks, task_diff, values_diff

pytestmark = pytest.mark.promise("W04")


def task(step: str, key: str = "", **more: Any) -> dict[str, Any]:
    return {"step": step, "key": key, "state": "completed", "outputs": {}, "seconds": 1.0} | more


def test_values_differ_by_content_and_by_kind() -> None:
    assert values_diff({"a": 1, "b": [1], "c": None}, {"a": 1, "b": [1], "c": None}) == {}
    assert values_diff({"a": 1, "n": 0, "o": None}, {"a": True, "p": 2}) == {
        "a": {"left": 1, "right": True},
        "n": {"left": 0, "right": None},
        "o": {"left": None, "right": None},
        "p": {"left": None, "right": 2},
    }


def test_tasks_are_paired_by_step_and_cell() -> None:
    left, right = [task("a"), task("m", "x"), task("gone")], [task("m", "x"), task("a"), task("m", "y")]
    pairs = pair_tasks(left, right)
    assert [task_diff(*pair)["in"] for pair in pairs] == ["both", "both", "right", "left"]
    assert [(one or two or {})["step"] for one, two in pairs] == ["m", "a", "m", "gone"]


def test_a_task_differs_in_its_facts_and_outputs() -> None:
    found = task_diff(task("a", outputs={"rows": 1}, seconds=2.0), task("a", state="failed", exitCode=3))
    assert found["facts"] == {
        "exitCode": {"left": None, "right": 3}, "state": {"left": "completed", "right": "failed"},
    }  # fmt: skip
    assert found["outputs"] == {"rows": {"left": 1, "right": None}}
    assert found["seconds"] == {"left": 2.0, "right": 1.0}


def test_logs_are_compared_line_by_line_up_to_a_number() -> None:
    assert log_diff(["a"], ["a"]) == (True, [])
    same, lines = log_diff(["a", "b"], ["a", "c"])
    assert (same, lines[-2:]) == (False, ["-b", "+c"])
    _, many = log_diff([], [str(number) for number in range(5000)])
    assert len(many) == MOST_LINES + 1


def test_times_alone_make_no_difference() -> None:
    same: dict[str, Any] = {"definition": [], "parameters": {}, "outputs": {}, "state": {}}
    assert not differs(same | {"tasks": [task_diff(task("a"), task("a", seconds=9.0))]})
    assert differs(same | {"tasks": [task_diff(None, task("a"))]})
    assert differs(same | {"tasks": [task_diff(task("a"), task("a")) | {"logs": {"same": False}}]})
