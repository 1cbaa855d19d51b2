"""Causes that lie in other runs: who stopped a run, which one replaced it, held its place, or was waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from windlass.clock import to_text
from windlass.model.cause import Cause, cause
from windlass.model.event_wait import EventPattern

#: How a run or a step stands, as the end of a sentence.
STANDS: Final = {
    "pending": "waits for steps before it",
    "scheduled": "waits for its time",
    "queued": "is in the queue",
    "running": "is running",
    "waiting": "waits",
    "completed": "completed",
    "failed": "failed",
    "skipped": "was skipped",
    "cancelled": "was cancelled",
    "timeout": "ran out of time",
}


def other_run(run: str, job: str, state: str, behind: Sequence[Cause]) -> Cause:
    """Return the cause that another run stands as it does."""
    return cause("run", f'Run {run} of job "{job}" {STANDS[state]}.', behind, run=run, job=job, state=state)


def told_elsewhere(run: str) -> Cause:
    """Return the cause at which an explanation breaks off, for it would get too long."""
    return cause("elsewhere", f"What is behind that, `windlass run why {run}` tells.", run=run)


def stopped(at: int | None, said: Mapping[str, Any], job: str | None = None, behind: Sequence[Cause] = ()) -> Cause:
    """Return the cause of a run that was asked to stop at `at`; `said` is what the event of that says.

    `job` is that of its parent, and `behind` why that stopped it, where it was that.
    """
    when = None if at is None else to_text(at)
    if said.get("replacedBy"):
        run = said["replacedBy"]
        message = f"Run {run} replaced it at {when}: its job has the strategy replace (concurrency)."
        return cause("replaced", message, run=run, at=when)
    if said.get("parent"):
        run, of = said["parent"], f' of job "{job}"' if job else ""
        return cause("parent_stopped", f"Run {run}{of}, below which it was started, stopped it at {when}.", behind,
                     run=run, at=when)  # fmt: skip
    by = f" ({said['by']})" if said.get("by") else ""
    return cause("cancel_requested", f"Somebody asked to stop it{by}, at {when}.", by=said.get("by"), at=when)


def place_was_taken(reason: str, allowed: int | None, holders: Sequence[str]) -> Cause:
    """Return the cause of a run that was not started because its job has the strategy skip."""
    runs = "1 run" if allowed == 1 else f"{allowed} runs" if allowed else "so many runs"
    message = f"Its job lets {runs} go on at one time and skips the others (concurrency, strategy: skip)"
    held = f"; those that went on: {', '.join(holders)}" if holders else ""
    return cause(reason, f"{message}{held}.", holders=list(holders))


def not_needed(reason: str, run: str, job: str, condition: str, state: str, behind: Sequence[Cause]) -> Cause:
    """Return the cause of a run that was there for an end of another run which did not come."""
    message = f'It was to follow run {run} of job "{job}" on {condition}, and that {STANDS[state]}.'
    return cause(reason, message, behind, run=run, job=job, condition=condition, state=state)


def event_came(event: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Cause:
    """Return the cause of a wait that an event ended; `event` is what the step gives of it as its output."""
    of = f" of run {event['runId']}" if event.get("runId") else ""
    message = f"The event {event['type']} from {event['source']}{of} ended its wait; it is of {event['at']}."
    facts = {name: event.get(name) for name in ("seq", "type", "source", "at", "runId")}
    found = cause("event", message, event=facts)
    return found if wanted is None else {**found, "wanted": EventPattern.read(wanted).to_json()}
