"""The step type `process`: a program with its arguments, read by no shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from windlass.model.steptypes.local import PROCESS
from windlass.steps.local_process import run_process

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext


class Process:
    """Runs `command` with exactly the arguments that it lists."""

    spec: StepSpec = PROCESS

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Run the program to its end; its exit status is that of the step."""
        return await run_process(context, [str(argument) for argument in config["command"]], config)
