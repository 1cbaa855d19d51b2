"""Rules on limited resources: what steps take of them, and the limits that a job states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from windlass.model.did_you_mean import suggestion
from windlass.model.durations import duration_text
from windlass.model.manifest.draft import Draft, Findings, Found

Path = tuple[str | int, ...]

#: Seconds.
_SHORTEST: Final = 0.001


def resources_are_declared(draft: Draft) -> Findings:
    """See that a limited resource that a step takes is limited somewhere in the job, and that what it takes fits."""
    limits: dict[Any, Any] = {}
    for _, entry in _stated(draft):
        limits[entry.get("resource")] = entry
    for number, step in enumerate(draft.steps):
        seen: set[Any] = set()
        for path, wanted in _of_step(number, step):
            if "resource" not in wanted:
                continue
            name = wanted["resource"]
            if name in seen:
                yield Found((*path, "resource"), f'the step takes of "{name}" twice')
            seen.add(name)
            if name not in limits:
                near = suggestion(name, [known for known in limits if known])
                yield Found((*path, "resource"), f'rateLimits has no resource "{name}"{near}')
            elif wanted.get("units", 1) > (limit := limits[name].get("limit", math.inf)):
                yield Found((*path, "units"), f'units is more than "{name}" ever has ({limit:,})')


def limits_are_whole(draft: Draft) -> Findings:
    """See that a step which states a limit says how much and in which time, and that times can be told apart."""
    for number, step in enumerate(draft.steps):
        for place, entry in enumerate(step.get("rateLimits", ())):
            given = [name for name in ("limit", "window") if name in entry]
            if len(given) == 1:
                other = "window" if given == ["limit"] else "limit"
                message = f"{given[0]} needs {other} beside it"
                yield Found(("steps", number, "rateLimits", place, given[0]), message)
    for path, entry in _stated(draft):
        if entry.get("window", _SHORTEST) < _SHORTEST:
            yield Found((*path, "window"), f"window is shorter than {duration_text(_SHORTEST)}")


def resources_are_unique(draft: Draft) -> Findings:
    """Each limited resource has one limit."""
    seen: dict[Any, tuple[Any, Any]] = {}
    of_job = set()
    for path, entry in _stated(draft):
        name, rate = entry.get("resource"), (entry.get("limit"), entry.get("window"))
        if path[0] == "rateLimits":
            if name in of_job:
                yield Found((*path, "resource"), f'rateLimits has the resource "{name}" twice')
            of_job.add(name)
        elif seen.get(name, rate) != rate:
            yield Found((*path, "resource"), f'"{name}" has another limit elsewhere in the job; keep one')
        seen.setdefault(name, rate)


def _stated(draft: Draft) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the limits that a job states, itself or by its steps, each with its place."""
    for number, entry in enumerate(draft.canonical.get("rateLimits", ())):
        yield ("rateLimits", number), entry
    for number, step in enumerate(draft.steps):
        for place, entry in enumerate(step.get("rateLimits", ())):
            if "limit" in entry or "window" in entry:
                yield ("steps", number, "rateLimits", place), entry


def _of_step(number: int, step: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield what a step takes, each with its place."""
    if step.get("rateLimit"):
        yield ("steps", number, "rateLimit"), step["rateLimit"]
    for place, entry in enumerate(step.get("rateLimits", ())):
        yield ("steps", number, "rateLimits", place), entry


RULES = (resources_are_declared, limits_are_whole, resources_are_unique)
