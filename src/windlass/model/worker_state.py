"""How a worker is, by what it was told and when it was last heard of."""

from __future__ import annotations

from typing import Final, Literal

WorkerState = Literal["running", "draining", "ending", "silent", "lost"]
#: What the column `draining` of a worker says: it takes work; an operator told it to take no more; it was asked to end.
TAKES: Final = 0
DRAINS: Final = 1
ENDS: Final = 2
#: Signs of life that may be missing before a worker counts as silent: one that is a little late is none.
_MISSED: Final = 2


def worker_state(*, said: int, unheard: int, heartbeat: int, lease: int, dead: bool = False) -> WorkerState:
    """Return the state of a worker that was last heard of so many microseconds ago.

    `said` is what it was told, `heartbeat` and `lease` are in microseconds, `dead` says that its process is gone.
    """
    if dead or unheard >= lease:
        return "lost"
    if unheard > _MISSED * heartbeat:
        return "silent"
    if said == ENDS:
        return "ending"
    return "running" if said == TAKES else "draining"
