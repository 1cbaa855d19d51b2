"""Whether a process is a step's, whoever works on that step."""

from __future__ import annotations

from collections.abc import Callable

from windlass.engine.engine import Engine
from windlass.supervisor.client import Supervisor
from windlass.supervisor.procfs import below_any


def is_step(engine: Engine, supervisor: Supervisor) -> Callable[[int], bool]:
    """Return what tells whether a process is a step's: of our own worker, or of one in another process here.

    It raises ProcessLookupError for a process that has ended, and Unavailable while nobody can tell.
    """

    def tell(pid: int) -> bool:
        return supervisor.owns(pid) or (engine.remote is not None and below_any(pid, engine.remote.processes()))

    return tell
