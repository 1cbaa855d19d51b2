"""The closed vocabulary of how one attempt of a step ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

#: Why an attempt failed; `retry.on` names these.
FailureKind = Literal["exit", "error", "connection", "expression", "lost", "poison"]
#: Reason of a failure to begin for want of what the machine has none of just now; nothing was started.
NO_RESOURCES: Final = "no_resources"


@dataclass(frozen=True, slots=True)
class Completed:
    """The step did its work."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    #: Names of the steps that a branch chose; None where it chose nothing because it is no branch.
    branches: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Cached(Completed):
    """The step was not worked for: an earlier result of the same content stands for its own."""

    #: The key that it was found under, and the run that worked for it.
    key: str = ""
    origin: bytes = b""


@dataclass(frozen=True, slots=True)
class Failed:
    """The step failed; `retry` decides whether it is tried again."""

    kind: FailureKind
    message: str
    exit_code: int | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    #: A fixed name where programs need one, such as `expression_error`, `oom`, `worker_lost`; else the kind.
    reason: str | None = None
    #: Seconds until the next attempt, where the step knows better than the policy; None leaves it to the policy.
    retry_after: float | None = None
    #: False where the step itself says that trying again is of no use.
    may_retry: bool = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt ran longer than its timeout and was stopped."""

    seconds: float
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt was stopped because a cancel was asked for."""

    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step has nothing to do: its `when` is false."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChildRun:
    """A run that the engine is to start, and whose end ends the attempt."""

    job: str
    revision: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Whether it is cancelled with the task that waits for it.
    cascade: bool = True
    #: Names of the parameters that hold secrets of the step.
    secret: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The attempt gives its slot back and the task waits.

    At `until` (microseconds) the task ends as `at_end` says. This is how `wait` holds no slot. With a `child` the
    engine starts that run, whose end ends the attempt, and sets the time itself. With an `event` the first one that
    fits ends the attempt.
    """

    until: int
    reason: str
    at_end: Literal["completed", "failed"] = "completed"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    child: ChildRun | None = None
    #: The run that the engine started for it.
    child_id: bytes | None = None
    #: `{type, source, filter}` of the event that is waited for.
    event: Mapping[str, Any] | None = None


Outcome = Completed | Failed | TimedOut | Cancelled | Skipped | Waiting
