"""Windlass: a self-hosted job orchestrator. These are the names for applications; see docs/guide/python.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.errors import (
        Conflict,
        NotFound,
        RunNotCompleted,
        StillRunning,
        Unavailable,
        UserError,
        WindlassError,
    )
    from windlass.sdk.app import Windlass
    from windlass.sdk.job import Job, Progress, job
    from windlass.sdk.retry import RetryPolicy
    from windlass.sdk.run import Run

__all__ = [
    "Conflict",
    "Job",
    "NotFound",
    "Progress",
    "RetryPolicy",
    "Run",
    "RunNotCompleted",
    "StillRunning",
    "Unavailable",
    "UserError",
    "Windlass",
    "WindlassError",
    "job",
]

#: Where each name is, so that importing this package costs nothing that is not used.
_PLACES = {
    "Job": "windlass.sdk.job",
    "Progress": "windlass.sdk.job",
    "RetryPolicy": "windlass.sdk.retry",
    "Run": "windlass.sdk.run",
    "Windlass": "windlass.sdk.app",
    "job": "windlass.sdk.job",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only here

    found = getattr(import_module(_PLACES.get(name, "windlass.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
