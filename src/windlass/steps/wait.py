"""The step type `wait`: the task waits for a time or an event, and no slot is held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from windlass.clock import from_text, micros, to_text
from windlass.model.durations import parse_duration
from windlass.model.event_wait import EventPattern
from windlass.model.outcome import Cancelled, Completed, Failed, Waiting
from windlass.model.steptypes.control import WAIT

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext

#: Seconds that a wait for an event takes at most, unless its step says otherwise.
LONGEST: Final = 7 * 24 * 3600


class Wait:
    """Says until when, or for what, to wait; a `timeout` that comes first ends the wait as a failure."""

    spec: StepSpec = WAIT

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Return at once: the engine does the waiting."""
        if context.cancelled.is_set():
            return Cancelled()
        now = context.clock.now()
        try:
            if "event" in config:
                pattern = EventPattern.read(config["event"])
                longest = _seconds(config.get("timeout", LONGEST), "timeout")
                return Waiting(now + micros(longest), f"for event {pattern}", "failed", event=pattern.to_json())
            until = _end(config, now)
            deadline = now + micros(_seconds(config["timeout"], "timeout")) if "timeout" in config else until
        except ValueError as error:
            return Failed("error", str(error), may_retry=False)
        if until <= now:
            return Completed()
        if deadline < until:
            return Waiting(deadline, f"until {to_text(until)}, but no longer than {to_text(deadline)}", "failed")
        return Waiting(until, f"until {to_text(until)}")


def _end(config: Mapping[str, Any], now: int) -> int:
    """Return when the wait ends, in microseconds. Raises ValueError where an expression gave no time."""
    if "duration" in config:
        return now + micros(_seconds(config["duration"], "duration"))
    try:
        return from_text(str(config["until"]))
    except (ValueError, OverflowError):
        # What it was may be a secret, and half of one is not masked.
        raise ValueError("`until` must be a time such as 2026-03-01T06:00:00Z") from None


def _seconds(value: Any, name: str) -> float:
    try:
        return parse_duration(str(value))
    except ValueError:
        raise ValueError(f"`{name}` must be a duration such as 90, 30s or 1h30m") from None
