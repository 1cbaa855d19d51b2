"""How two runs differ: pure comparison of what is known of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

#: Lines of a comparison of logs that are shown.
MOST_LINES: Final = 400
#: Of a task, what may differ beside its outputs, its log and its time.
_FACTS: Final = ("state", "reason", "attempt", "exitCode", "image")


def values_diff(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `{name: {left, right}}` of the names whose values differ; null stands for one that is not there."""
    return {
        name: {"left": left.get(name), "right": right.get(name)}
        for name in sorted({*left, *right})
        if (name in left) != (name in right)
        or left[name] != right[name]
        or isinstance(left[name], bool) != isinstance(right[name], bool)
    }


def pair_tasks(
    left: Iterable[Mapping[str, Any]], right: Iterable[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    """Return tasks of two runs beside each other, by step and key; None where one run has no such task.

    They come in the order of the right run, then those that only the left one has.
    """
    before = {(task["step"], task["key"]): task for task in left}
    pairs: list[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]] = [
        (before.pop((task["step"], task["key"]), None), task) for task in right
    ]
    return [*pairs, *((task, None) for task in before.values())]


def task_diff(left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return how two tasks of the same step differ; each is a task as it is shown, with `seconds` and `image`."""
    task = right or left or {}
    both = left is not None and right is not None
    before, after = (_facts(one) for one in (left, right))
    return {
        "step": task["step"],
        "key": task["key"],
        "in": "both" if both else "right" if left is None else "left",
        "facts": values_diff(before, after) if both else {},
        "outputs": values_diff(left["outputs"], right["outputs"]) if left is not None and right is not None else {},
        "seconds": {"left": (left or {}).get("seconds"), "right": (right or {}).get("seconds")},
    }


def _facts(task: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: task.get(name) for name in _FACTS} if task is not None else {}


def log_diff(left: Sequence[str], right: Sequence[str]) -> tuple[bool, list[str]]:
    """Return whether two logs are the same, and the lines of their unified diff: the first ones where it is long."""
    if list(left) == list(right):
        return True, []
    lines: list[str] = []
    for line in difflib.unified_diff(left, right, "left", "right", n=2, lineterm=""):
        if len(lines) == MOST_LINES:
            lines.append("... more lines differ")
            break
        lines.append(line)
    return False, lines


def differs(found: Mapping[str, Any]) -> bool:
    """Say whether anything but times differs in what a comparison of runs found."""
    return bool(
        found["definition"]
        or found["parameters"]
        or found["outputs"]
        or found["state"]
        or any(
            task["in"] != "both" or task["facts"] or task["outputs"] or not task.get("logs", {}).get("same", True)
            for task in found["tasks"]
        )
    )
