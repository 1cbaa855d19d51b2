"""Who moves what is in a state that is not final, and by which time: no state is without both.

Behind each of them stands the reconciler, which looks at everything that is not final and does what they left undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: The loops of `engine.services`, by their names; `worker` is whoever takes or runs the task.
Mover = Literal["worker", "timer", "rescuer", "doorkeeper", "listener"]


@dataclass(frozen=True, slots=True)
class Owner:
    """What keeps a state from lasting for ever."""

    #: Who moves it on in good order.
    movers: tuple[Mover, ...]
    #: The time by which it has moved in any case, and who sees to that, for people.
    deadline: str
    keeper: Mover


_RUN: Final = "the run's deadline"

RUN_OWNERS: Final[dict[str, Owner]] = {
    "scheduled": Owner(("timer",), f"its not-before time; {_RUN}", "timer"),
    "waiting": Owner(("worker", "timer", "doorkeeper"), f"{_RUN}, which is that of the wait", "timer"),
    "queued": Owner(("worker",), _RUN, "timer"),
    "running": Owner(("worker",), f"{_RUN}, and the time for clean-up after it", "timer"),
}

TASK_OWNERS: Final[dict[str, Owner]] = {
    "pending": Owner(("worker",), _RUN, "timer"),
    "scheduled": Owner(("timer",), f"its time; {_RUN}", "timer"),
    "queued": Owner(("worker", "rescuer"), _RUN, "timer"),
    "running": Owner(("worker", "rescuer"), "the attempt's timeout; the lease of a worker that is gone", "rescuer"),
    "waiting": Owner(("timer", "listener"), f"the end of the wait, which each has; {_RUN}", "timer"),
}
