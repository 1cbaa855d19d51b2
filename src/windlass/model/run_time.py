"""How long a run may take, by which limit, and when that time was up."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.clock import SECOND, micros, to_text
from windlass.model.cause import Cause, cause
from windlass.model.durations import duration_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTime:
    """The limit that a run stands under. Times are in microseconds, lengths in seconds."""

    seconds: float
    #: Whether the job's `timeout` says so, and not the settings.
    own: bool
    #: Whether the run waited for all that time, and never came into the queue.
    waited: bool
    #: When the time was up.
    up_at: int


def run_time(timeout: float | None, *, begins: int, up_at: int, waited: bool) -> RunTime:
    """Return the limit of a run whose time was counted from `begins` and up at `up_at`.

    `timeout` is that of its job. Where it is not what the run got, the settings gave it its time: as they were then.
    """
    own = timeout is not None and micros(timeout) == up_at - begins
    seconds = timeout if own and timeout is not None else (up_at - begins) / SECOND
    return RunTime(seconds=seconds, own=own, waited=waited, up_at=up_at)


def time_was_up(found: RunTime, behind: list[Cause]) -> Cause:
    """Return the cause of a run that was stopped because its time was up."""
    at, length = to_text(found.up_at), duration_text(found.seconds)
    if found.waited:
        limit = f"a run waits for {length} at most"
    elif found.own:
        limit = f"the timeout of its job gives it {length}"
    else:
        limit = f"a run whose job has no timeout gets {length}"
    setting = "" if found.own else " (WINDLASS_RUN_DEADLINE)"
    facts = {"limit": "timeout" if found.own else "run_deadline", "seconds": found.seconds, "deadline": at}
    return cause("run_deadline", f"Its time was up at {at}: {limit}{setting}.", behind, **facts)
