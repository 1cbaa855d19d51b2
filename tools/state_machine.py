"""Draws docs/state-machine.md from the tables of windlass.model.state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from windlass.model.owners import RUN_OWNERS, TASK_OWNERS, Owner
from windlass.model.state import RUN_MOVES, TASK_MOVES, AttemptOutcome, RunState, TaskState

_INTRODUCTION: Final = """# States of runs, tasks and attempts

Made by `make docs` from `state.py` and `owners.py` in `src/windlass/model`; change these, not this file.

Every change of state is one guarded update that names the state it comes from: where the row has moved on, nothing
happens. Final states are final. States are words, never numbers. No state that is not final lasts for ever: somebody
moves it, and the latest time for that stands in the last column. Behind all of them is the reconciler, which does what
they left undone.
"""

_RUN: Final[Mapping[str, str]] = {
    "scheduled": "accepted for a later time",
    "queued": "its first tasks wait for a worker",
    "running": "at least one task has started; a cancel that was asked for is not yet confirmed",
    "waiting": "held by what its reason names: other runs, a limit, an approval",
    "completed": "every task ended well, or was allowed to fail",
    "failed": "a task that was not allowed to failed or timed out, or a run that it depends on did",
    "cancelled": "a cancel was asked for and stopped something",
    "timeout": "the run's own deadline passed",
}

_TASK: Final[Mapping[str, str]] = {
    "pending": "predecessors are not final yet",
    "scheduled": "held until a time: a start that was asked for later, or the delay before another attempt",
    "queued": "a worker may take it",
    "running": "an attempt is under way",
    "waiting": "holds no worker until what its reason names has come",
    "completed": "did its work",
    "failed": "the last attempt failed, or its worker was lost",
    "skipped": "its join, its `when` or a branch left it out",
    "cancelled": "stopped by a cancel",
    "timeout": "the last attempt ran longer than it may, or the run's deadline passed",
}

_ATTEMPT: Final[Mapping[str, str]] = {
    "completed": "did its work",
    "failed": "failed, whether or not another attempt follows",
    "timeout": "ran longer than it may and was stopped",
    "cancelled": "stopped by a cancel",
    "lost": "its worker vanished",
    "rescheduled": "gave its place back and waits without a worker",
}


def render() -> str:
    """Return the whole document. Raises KeyError on a state that has no sentence here."""
    attempts = "\n".join(f"| `{outcome}` | {_ATTEMPT[outcome]} |" for outcome in get_args(AttemptOutcome))
    return "\n".join(
        (
            _INTRODUCTION,
            _section("Run", get_args(RunState), RUN_MOVES, _RUN, RUN_OWNERS),
            _section("Task", get_args(TaskState), TASK_MOVES, _TASK, TASK_OWNERS),
            f"## Attempt\n\nAn attempt has no states: it has an end.\n\n| end | meaning |\n|---|---|\n{attempts}\n",
        )
    )


def _section(
    title: str,
    states: tuple[str, ...],
    moves: Mapping[str, frozenset[str]],
    meaning: Mapping[str, str],
    owners: Mapping[str, Owner],
) -> str:
    """Return the diagram and the table of one kind of thing, states in the order they are declared."""
    arrows: list[str] = []
    rows: list[str] = []
    for state in states:
        targets = [target for target in states if target in moves[state]]
        arrows += [f"    {state} --> {target}" for target in targets] or [f"    {state} --> [*]"]
        onward = ", ".join(f"`{target}`" for target in targets) or "final"
        owner = owners[state] if targets else None
        kept = "| |" if owner is None else f"| {', '.join(owner.movers)} | {owner.deadline} |"
        rows.append(f"| `{state}` | {meaning[state]} | {onward} {kept}")
    diagram = "\n".join(("```mermaid", "stateDiagram-v2", *arrows, "```"))
    table = "\n".join(("| state | meaning | moves to | moved by | at the latest |", "|---|---|---|---|---|", *rows))
    return f"## {title}\n\n{diagram}\n\n{table}\n"
