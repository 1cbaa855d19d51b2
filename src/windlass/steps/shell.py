"""The step type `shell`: a script for a shell, or a program with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from windlass.model.steptypes.local import SHELL
from windlass.steps.local_process import run_process

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.model.steptype import StepSpec
    from windlass.steps.contract import StepContext

_DEFAULT_SHELL: Final = "/bin/sh"
#: Linux takes no single argument of 128 KiB or more; a larger script travels as a file.
_LARGEST_ARGUMENT: Final = 120 * 1024


class Shell:
    """Runs `run` as `sh -c` would, without options that the author did not ask for."""

    spec: StepSpec = SHELL

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        """Run the script to its end; its exit status is that of the step."""
        return await run_process(context, shell_argv(context, config), config)


def shell_argv(context: StepContext, config: Mapping[str, Any]) -> list[str]:
    """Return the arguments that run a config with `run` or `command`."""
    if "command" in config:
        return [str(argument) for argument in config["command"]]
    shell = config.get("shell", _DEFAULT_SHELL)
    interpreter = [shell] if isinstance(shell, str) else list(shell)
    script: str = config["run"]
    text = script.encode("utf-8", "surrogateescape")
    if len(text) <= _LARGEST_ARGUMENT:
        return [*interpreter, "-c", script]
    path = context.scratch / "script"
    path.write_bytes(text)
    return [*interpreter, str(path)]
