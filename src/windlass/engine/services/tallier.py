"""Keeps the figures of ended runs current.

Two talliers do no harm: figures are added together with the mark of how far events were counted, by a change that asks
for the mark from which they were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.tallying import tally

#: Seconds between two looks, and between two pages while there is more: others come in between.
_PAUSE: Final = 60.0
_BREATH: Final = 0.05


@dataclass(slots=True)
class Tallier:
    """The duty of adding up the runs that ended."""

    engine: Engine
    name: str = "tallier"

    async def turn(self) -> float:
        """Count one page; return the seconds until the next: soon only where this one was full."""
        return _BREATH if await tally(self.engine) else _PAUSE
