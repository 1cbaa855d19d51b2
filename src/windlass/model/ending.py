"""What the end of an attempt makes of its task: a decision, not an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from windlass.model.definition import Step
from windlass.model.outcome import Cached, Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.retry import QUARANTINE_AFTER, decide_retry
from windlass.model.state import AttemptOutcome, TaskState

#: Reason of a lost attempt that its worker stopped in good order: the step has no part in that loss.
WORKER_STOPPED: Final = "worker_stopped"
#: Message of a step that says of itself that it was cancelled.
UNASKED: Final = "The step stopped as if it had been cancelled, but nobody asked for that."
#: Why a running attempt is asked to stop.
Stop = Literal["cancel", "timeout", "fail_fast"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and what follows for its task."""

    attempt: AttemptOutcome | None
    #: The task's next state: final, `scheduled` for another attempt, or `waiting`.
    state: TaskState
    reason: str | None = None
    allowed: bool = False
    #: Seconds until the next attempt.
    delay: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What besides the outcome decides."""

    #: Starts so far that were not lost, this one included.
    attempts: int
    #: Attempts in a row that were lost with their worker, this one included if it was; those that a worker stopped in
    #: good order do not count.
    losses_in_row: int
    stop: str | None
    #: A number in [0, 1) that spreads the delay.
    chance: float
    #: False where the task was only claimed: what happened then is no attempt, and none follows it.
    started: bool = True


def losses_in_row(before: int, outcome: Outcome) -> int:
    """Return how many attempts in a row were lost with their worker, after one that ended with `outcome`."""
    if not isinstance(outcome, Failed) or outcome.kind != "lost":
        return 0
    return before if outcome.reason == WORKER_STOPPED else before + 1


def decide_ending(step: Step, outcome: Outcome, facts: Circumstances) -> Ending:
    """Say what an attempt of `step` that ended with `outcome` means for its task."""
    if isinstance(outcome, Completed):
        return _completed(step, outcome, facts)
    if isinstance(outcome, Skipped):
        return Ending(None, "skipped", outcome.reason)
    if isinstance(outcome, Cancelled | Waiting) and facts.stop is not None:
        return _stopped(step, facts.stop)
    if isinstance(outcome, Waiting):
        return Ending("rescheduled", "waiting", outcome.reason)
    if isinstance(outcome, Cancelled):
        outcome = Failed("error", UNASKED, outputs=outcome.outputs, may_retry=False)
    if isinstance(outcome, Failed) and outcome.kind == "lost":
        return _lost(step, outcome, facts)
    return _failed(step, outcome, facts)


def _completed(step: Step, outcome: Completed, facts: Circumstances) -> Ending:
    if not isinstance(outcome, Cached):
        return Ending("completed", "completed")
    return Ending(None, "completed", "cached") if facts.stop is None else _stopped(step, facts.stop)


def _stopped(step: Step, stop: str) -> Ending:
    if stop == "timeout":
        return Ending("timeout", "timeout", "run_deadline", allowed=step.allow_failure)
    return Ending("cancelled", "cancelled", "fail_fast" if stop == "fail_fast" else "cancelled")


def _lost(step: Step, outcome: Failed, facts: Circumstances) -> Ending:
    if facts.stop is not None:
        ending = _stopped(step, facts.stop)
        return Ending("lost", ending.state, ending.reason, ending.allowed)
    if step.on_worker_lost == "retry":
        if facts.losses_in_row >= QUARANTINE_AFTER:
            message = f"The worker was lost {facts.losses_in_row} times in a row while this ran; it is set aside."
            return Ending("lost", "failed", "quarantined", step.allow_failure, message=message)
        return Ending("lost", "scheduled", "worker_lost", delay=0.0, message=outcome.message)
    return Ending("lost", "failed", "worker_lost", step.allow_failure, message=outcome.message)


def _failed(step: Step, outcome: Failed | TimedOut, facts: Circumstances) -> Ending:
    timed_out = isinstance(outcome, TimedOut)
    attempt: AttemptOutcome = "timeout" if timed_out else "failed"
    state: TaskState = "timeout" if timed_out else "failed"
    reason = "timeout" if isinstance(outcome, TimedOut) else outcome.reason or outcome.kind
    message = (
        f"It ran longer than its timeout of {outcome.seconds:g} s and was stopped."
        if isinstance(outcome, TimedOut)
        else outcome.message
    )
    if not facts.started:
        return Ending(None, state, reason, step.allow_failure, message=message)
    if facts.stop is None:
        decision = decide_retry(step.retry, outcome, facts.attempts, facts.chance)
        if decision.delay is not None:
            return Ending(attempt, "scheduled", reason, delay=decision.delay, message=message)
    return Ending(attempt, state, reason, step.allow_failure, message=message)
