"""Step types that start a process on the worker's own machine, or run Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.steptype import StepSpec
from windlass.model.steptypes import fragment as f

_DOTTED = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
_WHERE: Mapping[str, Mapping[str, Any]] = {
    "working_directory": {**f.TEXT, "description": "where it starts, from the step's own folder"},
    "environment": {**f.ENVIRONMENT, "description": "variables on top of the step's `env`"},
    "limits": f.LIMITS,
    "run_as": {**f.TEXT, "description": "user to run as, who gets the folders of the attempt; the worker must be root"},
}

SHELL = StepSpec(
    name="shell",
    summary="Run a script with a shell, or a program with its arguments.",
    schema=f.config(
        {
            "run": {**f.TEXT, "description": "the script"},
            "command": {**f.ARGUMENTS, "description": "a program with its arguments"},
            "shell": {
                "description": "the shell that reads `run`",
                "type": ["string", "array"],
                "minLength": 1,
                "minItems": 1,
                "items": {"type": "string"},
            },
            **_WHERE,
        },
        one_of=("run", "command"),
    ),
    places={"run": "sh", "command.*": "argv", "environment.*": "env"},
)

PROCESS = StepSpec(
    name="process",
    summary="Run a program with its arguments; no shell reads them.",
    schema=f.config(
        {"command": {**f.ARGUMENTS, "description": "a program with its arguments"}, **_WHERE}, required=("command",)
    ),
    places={"command.*": "argv", "environment.*": "env"},
)

PYTHON = StepSpec(
    name="python",
    summary="Call a Python function or run a Job class, found by its import path.",
    schema=f.config(
        {
            "function": {
                "type": "string",
                "pattern": rf"^{_DOTTED}:{_DOTTED}$",
                "description": "`package.module:name` of a function or a Job class",
            },
            "isolation": {
                "enum": ["process", "thread", "inline"],
                "default": "process",
                "description": "`inline` only in an application's own worker",
            },
            "arguments": {
                "type": "object",
                "description": "arguments by name; without them the job's parameters are taken",
            },
            "python": {**f.TEXT, "description": "the interpreter to use instead of the worker's own"},
            "environment": _WHERE["environment"],
            "limits": f.LIMITS,
        },
        required=("function",),
    ),
    places={"environment.*": "env"},
)

SPECS = (SHELL, PROCESS, PYTHON)
