"""When a failed attempt of a Python job is followed by another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from windlass.errors import UserError

#: Seconds, a `timedelta`, or a text such as `90s` or `1h30m`.
Duration = float | timedelta | str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another one: up to three starts, after 5, 10, 20 ... seconds, unless said.

    Raises UserError where a value makes no sense.
    """

    #: Starts in all, the first one included.
    attempts: int = 3
    strategy: Literal["fixed", "linear", "exponential"] = "exponential"
    #: Time before the second attempt, and the longest before any.
    delay: Duration = 5.0
    max_delay: Duration = 300.0
    #: Whether delays are varied, so that many do not come at once.
    jitter: bool = True
    #: What is retried: `error`, `timeout`, `exit`, `connection`.
    on: Sequence[str] = ("exit", "error", "connection")

    def __post_init__(self) -> None:
        """Check the values that a manifest's own check would name in other words."""
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise UserError(f"RetryPolicy: attempts counts starts, from 1; it is {self.attempts!r}.")
        for name in ("delay", "max_delay"):
            seconds(getattr(self, name), f"RetryPolicy: {name}")

    def to_json(self) -> dict[str, Any]:
        """Return the policy as a manifest has it."""
        return {
            "attempts": self.attempts,
            "strategy": self.strategy,
            "delay": seconds(self.delay, "delay"),
            "maxDelay": seconds(self.max_delay, "max_delay"),
            "jitter": self.jitter,
            "on": list(self.on),
        }


def seconds(duration: Duration, where: str) -> float:
    """Return a duration in seconds; raises UserError, which begins with `where`, where it is none."""
    if isinstance(duration, timedelta):
        found: Any = duration.total_seconds()
    elif isinstance(duration, str):
        from windlass.model.durations import parse_duration  # noqa: PLC0415 - most durations are numbers

        try:
            found = parse_duration(duration)
        except ValueError:
            found = None
    else:
        found = None if isinstance(duration, bool) else duration
    if not isinstance(found, int | float) or not 0 <= found < float("inf"):
        raise UserError(f"{where} is a number of seconds, a timedelta or a text such as 90s; it is {duration!r}.")
    return found
