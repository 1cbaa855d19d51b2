"""Figures that a program adds: which version runs, and what its supervisor started."""

from __future__ import annotations

from typing import Protocol

from windlass.engine.metrics.metrics import Source


class Starter(Protocol):
    """What starts processes."""

    #: Processes that were started.
    started: int


def program_figures(version: str, starter: Starter) -> Source:
    """Return the figures of a program of that version, whose steps' processes `starter` starts."""
    return lambda: {
        "windlass_build_info": {(version,): 1.0},
        "windlass_processes_started_total": {(): float(starter.started)},
    }
