"""Whether this process is part of a step, or was started by one: such a process has no store to work with."""

from __future__ import annotations

import os
from typing import Final

from windlass.errors import Refused
from windlass.supervisor import procfs
from windlass.supervisor.wire import MARK_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: What stands together in the environment of every step.
_OF_STEPS: Final = ("WINDLASS_RUN_ID", "WINDLASS_TASK_ID", "WINDLASS_STEP")


def refuse_inside_step(environment: Mapping[str, str]) -> None:
    """Raise Refused where this process, which has that environment, is a step's or descends from one."""
    if MARK_VARIABLE not in environment and not all(name in environment for name in _OF_STEPS) and not _is_below_one():
        return
    run, step = environment.get("WINDLASS_RUN_ID"), environment.get("WINDLASS_STEP")
    which = f' (step "{step[:80]}" of run {run[:40]})' if run and step else ""
    raise Refused(
        f"Windlass cannot be used from inside a step{which}: a step reaches no store. Give values on as outputs, and "
        "start what comes afterwards as a step that depends on this one, or from outside with "
        "`windlass run start JOB --after RUN`."
    )


def _is_below_one() -> bool:
    """Say whether a process above this one was started with the mark of an attempt, whatever our environment says."""
    one = procfs.process(os.getpid())
    while one is not None and one.parent > 1:
        if procfs.variable(one.parent, MARK_VARIABLE.encode()) is not None:
            return True
        one = procfs.process(one.parent)
    return False
