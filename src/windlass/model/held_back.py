"""What keeps a task that is ready from being handed out: sentences for people, facts for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.clock import SECOND, to_text
from windlass.model.cause import Cause, cause
from windlass.model.durations import duration_text
from windlass.model.rates import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStanding:
    """How a limited resource stands under one of its limits."""

    resource: str
    rate: Rate
    #: Units that were taken within the last window, and those that tasks will take which are about to start.
    used: int
    #: When there is room for one that takes `units`, on the wall clock; None where that depends on those.
    free_at: int | None
    units: int = 1

    @property
    def is_full(self) -> bool:
        """Whether there is no room."""
        return self.used + self.units > self.rate.limit

    def to_json(self) -> dict[str, Any]:
        """Return it in the shape that lists and causes share."""
        return {
            "resource": self.resource,
            "limit": self.rate.limit,
            "window": self.rate.window / SECOND,
            "used": self.used,
            "nextAt": to_text(self.free_at) if self.is_full and self.free_at is not None else None,
        }


def maintenance_is_on(said: Mapping[str, Any]) -> Cause:
    """Return the cause of tasks that wait for the end of maintenance; `said` is `{since, by, why}`, in texts."""
    message = f"Maintenance is on since {said['since']}{_by(said)}: nothing is started until it is off."
    return cause("maintenance", message, since=said["since"], by=said["by"], why=said["why"])


def queue_is_paused(queue: str, said: Mapping[str, Any]) -> Cause:
    """Return the cause of tasks in a queue that somebody paused; `said` is `{since, by, why}`, in texts."""
    message = f'Queue "{queue}" is paused since {said["since"]}{_by(said)}.'
    return cause("queue_paused", message, queue=queue, since=said["since"], by=said["by"], why=said["why"])


def slots_are_taken(kind: str, name: str, limit: int, busy: int, holders: Sequence[str]) -> Cause:
    """Return the cause of tasks in a queue or a pool of which so many run as may; `holders` are runs."""
    what = f'{kind.capitalize()} "{name}"'
    tasks = "1 task" if limit == 1 else f"{limit} tasks"
    held = f", of run{'' if len(holders) == 1 else 's'} {', '.join(holders)}" if holders else ""
    message = f"{what} lets {tasks} run at one time, and {busy} {'does' if busy == 1 else 'do'}{held}."
    return cause(f"{kind}_limit", message, limit=limit, busy=busy, holders=list(holders), **{kind: name})


def rate_is_used_up(standing: RateStanding) -> Cause:
    """Return the cause of a task that takes of a resource in which there is no room for it."""
    window = duration_text(standing.rate.window / SECOND)
    units = "" if standing.units == 1 else f"{standing.units} of "
    message = f'It takes {units}"{standing.resource}", of which {standing.used} of {standing.rate.limit} were taken'
    when = "" if standing.free_at is None else f"; there is room again at {to_text(standing.free_at)}"
    facts = {**standing.to_json(), "units": standing.units}
    return cause("rate_limit", f"{message} within {window}{when}.", **facts)


def _by(said: Mapping[str, Any]) -> str:
    by = f" by {said['by']}" if said["by"] else ""
    return f"{by} ({said['why']})" if said["why"] else by
