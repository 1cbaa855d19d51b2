"""A cause: one sentence for people, a kind and facts for programs, and the causes behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from windlass.model.concurrency import ONE_TOO_MANY

#: `{kind, message, ...facts, because: [...]}`; without `because` where nothing is behind it.
Cause = dict[str, Any]

#: Causes of one kind that are named.
SHOWN: Final = 5


def cause(kind: str, message: str, because: Iterable[Cause] = (), /, **facts: Any) -> Cause:
    """Return a cause; what stands behind it only where there is something."""
    behind = list(because)
    return {"kind": kind, "message": message, **facts} | ({"because": behind} if behind else {})


def first_few(causes: list[Cause], count: int) -> list[Cause]:
    """Return the first of `count` causes with how many more there are."""
    more = count - len(causes)
    return [*causes, cause("more", f"And {more} more.", count=more)] if more > 0 else causes


def waits_for(
    told: Mapping[str, Any] | None, reason: str | None, behind: Mapping[str, Sequence[Cause]] | None = None
) -> list[Cause]:
    """Return the causes of a waiting run: `told` is its `waitingFor`, `behind` why runs that it names are not final."""
    told = dict(told or {})
    found = []
    for run in told.pop("runs", ()):
        message = f'It waits for run {run["id"]} of job "{run["job"]}" ({run["condition"]}), which is {run["state"]}.'
        facts = {"run": run["id"], "job": run["job"], "state": run["state"], "condition": run["condition"]}
        found.append(cause("dependency", message, (behind or {}).get(run["id"], ()), **facts))
    if told.get("limit") is not None:
        key = f' for "{told["key"]}"' if told.get("key") is not None else ""
        holders = ", ".join(told.get("holders", ()))
        held = f", held by {holders}" if holders else ""
        ahead = f"; {told['ahead']} {'waits' if told['ahead'] == 1 else 'wait'} before it" if told.get("ahead") else ""
        places = "the only place" if told.get("allowed") == 1 else f"one of {told.get('allowed')} places"
        message = f"It waits for {places} ({told['limit']}{key}){held}{ahead}."
        if told["limit"] == ONE_TOO_MANY:
            runs = "1 run goes" if told.get("allowed") == 1 else f"{told.get('allowed')} runs go"
            message = f"No more than {runs} on in its project at one time (WINDLASS_MAX_RUNS){held}{ahead}."
        found.append(cause("limit", message, (), **told))
    elif told or not found:
        found.append(cause(reason or "waiting", f"It waits: {reason}." if reason else "It waits.", (), waitingFor=told))
    return found
