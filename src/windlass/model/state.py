"""States of runs and tasks, and the one table of the moves between them."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Literal

RunState = Literal["scheduled", "queued", "running", "waiting", "completed", "failed", "cancelled", "timeout"]
TaskState = Literal[
    "pending",
    "scheduled",
    "queued",
    "running",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "cancelled",
    "timeout",
]
#: How one attempt of a task ended.
AttemptOutcome = Literal["completed", "failed", "timeout", "cancelled", "lost", "rescheduled"]

RUN_FINAL: Final = frozenset({"completed", "failed", "cancelled", "timeout"})
TASK_FINAL: Final = frozenset({"completed", "failed", "skipped", "cancelled", "timeout"})

#: From each run state to the states it may move to; final states move nowhere.
RUN_MOVES: Final[dict[str, frozenset[str]]] = {
    "scheduled": frozenset({"queued", "waiting", "failed", "cancelled", "timeout"}),
    "waiting": frozenset({"scheduled", "queued", "running", "failed", "cancelled", "timeout"}),
    "queued": frozenset({"running", "waiting", "failed", "cancelled", "timeout", "completed"}),
    "running": frozenset({"waiting", "completed", "failed", "cancelled", "timeout"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "timeout": frozenset(),
}

#: From each task state to the states it may move to; final states move nowhere.
TASK_MOVES: Final[dict[str, frozenset[str]]] = {
    "pending": frozenset({"queued", "scheduled", "skipped", "cancelled", "timeout"}),
    "scheduled": frozenset({"queued", "pending", "skipped", "cancelled", "timeout"}),
    "queued": frozenset({"running", "waiting", "pending", "completed", "skipped", "failed", "cancelled", "timeout"}),
    "running": frozenset({"completed", "failed", "scheduled", "queued", "waiting", "skipped", "cancelled", "timeout"}),
    "waiting": frozenset({"queued", "scheduled", "completed", "failed", "skipped", "cancelled", "timeout"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
    "timeout": frozenset(),
}


#: Which state of several tasks stands for all of them: the first of these that there is.
_STANDS: Final[tuple[TaskState, ...]] = (
    "running",
    "failed",
    "timeout",
    "waiting",
    "queued",
    "scheduled",
    "pending",
    "cancelled",
    "completed",
    "skipped",
)


def joint_state(states: Container[str]) -> TaskState | None:
    """Return the state that stands for the states of several tasks; None where there are none."""
    return next((state for state in _STANDS if state in states), None)


def may_move(moves: dict[str, frozenset[str]], old: str, new: str) -> bool:
    """Say whether the table `moves` has a move from `old` to `new`."""
    return new in moves[old]
