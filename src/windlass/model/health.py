"""How a job is doing, told by how its last runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

Health = Literal["healthy", "degraded", "failing", "idle", "disabled"]

#: Runs that ended and are looked at, the newest first.
LOOKED_AT: Final = 10
#: Ends that say something bad about a job; a cancel says nothing about it.
BAD: Final = frozenset({"failed", "timeout"})


def job_health(ends: Sequence[str], *, enabled: bool) -> tuple[Health, int]:
    """Return how a job is doing, and how many of its runs ended badly in a row.

    `ends` are the final states of its last runs, the newest first. `failing`: the last one ended badly; `degraded`: an
    earlier one did; `idle`: none ended.
    """
    telling = [state for state in ends if state != "cancelled"]
    in_row = next((number for number, state in enumerate(telling) if state not in BAD), len(telling))
    if not enabled:
        return "disabled", in_row
    if not telling:
        return "idle", 0
    if in_row:
        return "failing", in_row
    return ("degraded" if BAD.intersection(telling) else "healthy"), 0
