"""The step types that a worker has: those that are installed, or those of an application."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from windlass.errors import UserError


def step_types(app: str | None) -> tuple[Any, str | None]:
    """Return the step types that this worker has, and what its application is called; None where it has none.

    `app` says where that is: `module:name`. Raises UserError where there is no such application.
    """
    if app is None:
        from windlass.steps.registry import StepTypes  # noqa: PLC0415 - one of two

        return StepTypes(), None
    from windlass.sdk.app import Windlass  # noqa: PLC0415 - with the application

    module, _, name = app.partition(":")
    sys.path.insert(0, "")
    try:
        found = import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f'--app {app}: there is no such application: {error}; write "module:name".') from error
    if not isinstance(found, Windlass):
        raise UserError(f'--app {app}: that is no application; write "module:name" of a `Windlass(...)`.')
    return found.step_types(), found.name
