"""The step type `job`: the task waits for a run of another job, and no slot is held meanwhile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from windlass.model.outcome import Cancelled, ChildRun, Failed, Waiting
from windlass.model.printable import printable
from windlass.model.steptypes.control import JOB

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext

#: Alias of a job, or its id.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class JobStep:
    """Says which run to start: the engine starts it, and ends the task as that run ends."""

    spec: StepSpec = JOB

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Return at once: each attempt is a child run of its own."""
        if context.cancelled.is_set():
            return Cancelled()
        job = str(config["job"])
        if not _NAME.fullmatch(job):
            return Failed("error", f'"{printable(job[:80])}" is no name of a job', may_retry=False)
        child = ChildRun(
            job=job,
            revision=config.get("revision"),
            parameters=dict(config.get("with") or {}),
            cascade=config.get("cascade", True),
        )
        return Waiting(0, f"a run of {child.job}", child=child)
