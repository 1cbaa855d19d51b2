"""What the model knows of runs and tasks, and how it is held against the rows of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.machine.shapes import Shape, Step

FINAL: Final = frozenset({"completed", "failed", "skipped", "cancelled", "timeout"})
#: What a join says that keeps a step from running is a sentence; the model knows that there is one.
JOINED: Final = "(a join)"


@dataclass
class Wait:
    """What a waiting task waits for: a time, or a run that it started."""

    at_end: str = "completed"
    child: bytes | None = None
    #: Whether the child is stopped with it, and whether that has been done because it took too long.
    cascades: bool = True
    timed_out: bool = False


@dataclass
class Task:
    """One task."""

    number: int
    step: Step
    due: int
    rank: int
    state: str = "pending"
    wake_at: int | None = None
    attempt: int = 0
    losses: int = 0
    losses_in_row: int = 0
    fence: int = 0
    worker: int | None = None
    started_at: int | None = None
    stop: str | None = None
    wait: Wait | None = None
    reason: str | None = None
    #: How its last attempt ended, and when it became final.
    outcome: str | None = None
    ended_at: int | None = None
    #: The attempts that another one followed.
    earlier: list[tuple[int, str]] = field(default_factory=list)

    @property
    def final(self) -> bool:
        """Say whether nothing changes it any more."""
        return self.state in FINAL

    @property
    def failed(self) -> bool:
        """Say whether it ended badly, allowed or not."""
        return self.state in {"failed", "timeout"}

    @property
    def dead(self) -> bool:
        """Say whether somebody has to decide what becomes of it."""
        return self.failed and not self.step.allow_failure and self.reason != "run_deadline"

    @property
    def has_child(self) -> bool:
        """Say whether it waits for a run that is stopped with it."""
        return self.state == "waiting" and self.wait is not None and self.wait.child is not None and self.wait.cascades

    def seen(self) -> tuple[Any, ...]:
        """Return what its row must say."""
        if self.final:
            allowed = int(self.failed and self.step.allow_failure)
            return self.state, self.reason, self.attempt, self.outcome, allowed, self.ended_at
        return (
            self.state, self.due, self.rank, self.wake_at, self.attempt, self.losses, self.losses_in_row, self.fence,
            self.worker, self.started_at, self.stop,
        )  # fmt: skip


@dataclass
class Run:
    """One run."""

    id: bytes
    #: Runs are numbered in the order of their acceptance.
    number: int
    shape: Shape
    priority: int
    of: int
    created_at: int
    deadline: int
    state: str = "queued"
    reason: str | None = None
    scheduled_at: int | None = None
    queued_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    cancels: int = 0
    expired: int = 0
    parent: Run | None = None
    parent_task: int | None = None
    cascades: bool = True
    #: Whether somebody is to be told of its end, and was not yet.
    awaited: bool = False
    key: str | None = None
    restored_at: int | None = None
    tasks: list[Task] = field(default_factory=list)
    #: The runs that it still waits for, each with the condition.
    waits: dict[bytes, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Say whether nothing changes it any more."""
        return self.finished_at is not None

    @property
    def stopping(self) -> bool:
        """Say whether only steps that always run may start."""
        return bool(self.cancels or self.expired)

    @property
    def limited(self) -> tuple[str, int] | None:
        """What it is counted under; None where its job limits nothing."""
        return None if self.shape.limit is None else (self.shape.alias, self.of)

    @property
    def rank(self) -> int:
        """Its place in the line of those that wait for a place."""
        return self.tasks[0].rank

    @property
    def depth(self) -> int:
        """How many runs there are from it up to the first."""
        return 1 + (0 if self.parent is None else self.parent.depth)

    @property
    def open(self) -> list[Task]:
        """Its tasks that are not final."""
        return [task for task in self.tasks if not task.final]

    def counts(self) -> dict[str, int]:
        """Return how many tasks there are in each state."""
        return dict(Counter(task.state for task in self.tasks))

    def seen(self) -> tuple[Any, ...]:
        """Return what its row must say."""
        allowed = sum(task.step.allow_failure for task in self.tasks if task.failed)
        return (
            self.state, self.reason, self.priority, self.created_at, self.scheduled_at, self.queued_at,
            self.started_at, self.finished_at, self.deadline, self.cancels, self.expired,
            None if self.parent is None else self.parent.id, self.parent_task, int(self.cascades), int(self.awaited),
            self.restored_at, self.counts() if self.final else None, allowed if self.final else 0,
        )  # fmt: skip
