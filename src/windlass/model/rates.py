"""Limited resources: what jobs say of them, what the start of a task takes, and when there is room for it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from windlass.clock import SECOND, micros
from windlass.model.definition import Job, Step
from windlass.model.durations import duration_text

#: Parts of a window within which starts count as one: what is kept of a resource stays small.
GRAINS: Final = 1000
#: Most units that a manifest can name; revisions from before that was checked may say anything.
_MOST: Final = 1_000_000_000


class Resource(NamedTuple):
    """A limited resource: jobs of a project that give it the same name share it."""

    project: str
    name: str

    @property
    def line(self) -> str:
        """The name of the line in which tasks wait for it."""
        return f"rate:{self.project}:{self.name}"


def own_of(resource: Resource, job_id: bytes) -> Resource:
    """Return what a job that is not listed, or no longer, counts its own starts under."""
    return Resource(resource.project, f"{job_id.hex()}/{resource.name}")


class Rate(NamedTuple):
    """So many units in any window of this length, in microseconds."""

    limit: int
    window: int


#: What one start takes of each resource, by its name.
Takes = tuple[tuple[str, int], ...]
NOTHING: Final[Takes] = ()


def stated(job: Job) -> dict[str, Rate]:
    """Return the limits that a job states, itself or by its steps, by the name of the resource."""
    return _by_name([job.rate_limits, *(step.rate_limits for step in job.steps)])


def stated_in(canonical: Mapping[str, Any]) -> dict[str, Rate]:
    """Return the limits that the canonical content of a job states; see `stated`."""
    return _by_name([canonical.get("rateLimits", ()), *(step.get("rateLimits", ()) for step in canonical["steps"])])


def _by_name(lists: Iterable[Sequence[Mapping[str, Any]]]) -> dict[str, Rate]:
    return {
        entry["resource"]: Rate(min(entry["limit"], _MOST), max(1, micros(entry["window"])))
        for entries in lists
        for entry in entries
        if "limit" in entry
    }


def takes_of(job: Job) -> list[Takes] | None:
    """Return what a start of each step takes, by the step's place; None where no step takes anything.

    A resource of the job that no step names is taken by all of them, one unit a start.
    """
    named = [_named(step) for step in job.steps]
    of_some = {name for takes in named for name in takes}
    of_all = {entry["resource"]: 1 for entry in job.rate_limits if entry["resource"] not in of_some}
    found = [tuple(sorted((name, units) for name, units in (of_all | takes).items() if units)) for takes in named]
    return found if any(found) else None


def _named(step: Step) -> dict[str, int]:
    entries = [*step.rate_limits, *(() if step.rate_limit is None else (step.rate_limit,))]
    return {entry["resource"]: min(entry.get("units", 1), _MOST) for entry in entries}


def route_text(project: str, takes: Takes) -> str:
    """Return the text by which a route says what tasks on it take; empty where they take nothing."""
    return orjson.dumps([project, takes]).decode() if takes else ""


def read_route(text: str) -> tuple[tuple[Resource, int], ...]:
    """Return what tasks on a route take."""
    if not text:
        return ()
    project, takes = orjson.loads(text)
    return tuple((Resource(project, name), units) for name, units in takes)


def wanted(units: int, rate: Rate) -> int:
    """Return how much of a limit a start takes: one that takes more than there ever is takes all of it."""
    return min(units, rate.limit)


def grain_of(rates: Iterable[Rate]) -> int:
    """Return within how many microseconds starts may count as one."""
    return max(1, min((rate.window for rate in rates), default=1) // GRAINS)


def free_at(starts: Iterable[tuple[int, int]], rate: Rate, room: int, units: int) -> int | None:
    """Return when `units` fit under a limit that has `room` now; None where that cannot be said.

    `starts` are `(at, units)` of those within the window, oldest first.
    """
    for at, taken in starts:
        room += taken
        if room >= units:
            return at + rate.window
    return None


def other_limit(name: str, rate: Rate, alias: str, other: Rate) -> str:
    """Return the warning about two jobs that give one resource different limits."""
    mine, theirs = rate_text(rate), rate_text(other)
    return f'"{name}" is limited to {mine} here and to {theirs} in job "{alias}": both limits hold for both jobs'


def rate_text(rate: Rate) -> str:
    """Return a limit as people write it, such as `100 in 1m`."""
    return f"{rate.limit} in {duration_text(rate.window / SECOND)}"
