"""Where a part of canonical content was written: short forms, other spellings and defaults stand elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windlass.model.manifest.problem import Path

#: Other spellings of a key, at the same place.
_SPELLINGS = {
    "alias": ("name",),
    "attempts": ("retries",),
    "cron": ("expression", "schedule"),
    "limit": ("maxRuns",),
    "read_only": ("readOnly",),
    "sub_path": ("subPath",),
    "target": ("path",),
    "url": ("webhook_url",),
}
#: Fields of a step that hold a part of the config, by the config's name for it.
_SHORT = {
    "run": ("run", "command"),
    "working_directory": ("workdir",),
    "mounts": ("volumeMounts",),
}
_TYPE = ("image", "engine", "run", "command", "uses")
_FLAT_RETRY = {"attempts": "retries", "delay": "retryDelay", "strategy": "retryBackoff"}
_LIFTED = ("priority", "concurrency", "rateLimits", "sla", "maxParallelTasks")


def written(document: Any, path: Path) -> Path:
    """Return the path in `document` of what stands at `path` in its canonical content.

    Where nothing like it was written, that of the nearest thing around it.
    """
    best: Path = ()
    for candidate in _candidates(path):
        found = _follow(document, candidate)
        if len(found) == len(candidate):
            return found
        best = max(best, found, key=len)
    return best


def _candidates(path: Path) -> Iterator[Path]:
    """Yield the places at which the part may have been written, likeliest first."""
    yield path
    match path:
        case ("triggers", 0, *rest):
            yield ("trigger", *rest)
            yield from _beside("trigger", rest)
        case ("timeout",):
            yield ("metadata", "runTimeout")
        case (str() as name, *rest) if name in _LIFTED:
            yield ("metadata", name, *rest)
        case ("steps", int() as index, str() as name, *rest):
            yield from _of_step(("steps", index), name, tuple(rest))


def _beside(trigger: str, rest: list[str | int]) -> Iterator[Path]:
    """Yield the place beside `configuration` of what may stand inside of it."""
    if rest[:1] == ["configuration"]:
        yield (trigger, *rest[1:])


def _of_step(step: Path, name: str, rest: Path) -> Iterator[Path]:
    """Yield where a field of a step may have been written: short, or for all steps."""
    match name, rest:
        case "type", ():
            yield from ((*step, short) for short in _TYPE)
        case "config", (str() as field, *below):
            for short in (field, *_SHORT.get(field, ())):
                yield (*step, short, *below)
            yield (*step, "uses", field, *below)
        case "retry", (str() as field, *_):
            flat = _FLAT_RETRY.get(field, field)
            yield (*step, flat)
            yield from (("defaults", "retry", *rest), ("defaults", flat), ("retry", *rest), ("metadata", flat))
        case "allowFailure", _:
            yield from ((*step, "onFailure"), (*step, "continueOnError"))
        case "timeout", _:
            yield from (("defaults", "timeout"), ("metadata", "taskTimeout"))
        case _:
            yield from (("defaults", name, *rest), ("metadata", name, *rest))


def _follow(document: Any, path: Path) -> Path:
    """Return as much of `path`, in the spelling of `document`, as is there."""
    found: list[str | int] = []
    value = document
    for part in path:
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                break
            value = value[part]
            found.append(part)
            continue
        if not isinstance(value, dict):
            break
        key = next((name for name in (part, *_SPELLINGS.get(part, ())) if name in value), None)
        if key is None:
            break
        value = value[key]
        found.append(key)
    return tuple(found)
