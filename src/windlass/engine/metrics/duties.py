"""Figures of the duties that a process has."""

from __future__ import annotations

from windlass.engine.duty import Duties
from windlass.engine.metrics.metrics import Source


def duty_figures(duties: Duties) -> Source:
    """Return which duties this process has at that moment, of those that it would do."""
    return lambda: {
        "windlass_duty_held": {(name,): float(name in duties.held) for name in sorted(duties.names)},
    }
