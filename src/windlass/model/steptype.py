"""What is known of a step type without running it: its config, and how values enter it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: How the text of a config field reaches the world, which decides how an expression may stand in it:
#: `argv` a list of arguments; `sh` a script for a POSIX shell; `powershell` and `cmd` scripts of those;
#: `env` a map of environment variables; `text` data that nothing interprets.
Place = Literal["argv", "sh", "powershell", "cmd", "env", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """The face of a step type towards lint, schema, preview and forms."""

    name: str
    #: One sentence for the documentation.
    summary: str
    #: JSON Schema (2020-12) of `config`, an object with `additionalProperties: false`.
    schema: Mapping[str, Any]
    #: Place of each config field that is not `text`, by its dotted path (`*` stands for any key or item).
    places: Mapping[str, Place] = field(default_factory=dict)
    #: False where the type is known but its engine is not there yet: lint warns, a run of it fails with a clear reason.
    in_force: bool = True
    #: Whether several attempts of it may share one event loop turn: only for steps that start nothing.
    light: bool = False
