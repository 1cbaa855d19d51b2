"""The step type `branch`: a script or program that chooses among the next steps by what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from windlass.model.steptypes.control import BRANCH
from windlass.steps.local_process import run_process
from windlass.steps.shell import shell_argv

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext


class Branch:
    """Runs as `shell` does; each line `##windlass::branch NAME` chooses a step, and without any none is chosen."""

    spec: StepSpec = BRANCH

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Run the script to its end; a name that is none of the next steps is a failure."""
        return await run_process(context, shell_argv(context, config), config)
