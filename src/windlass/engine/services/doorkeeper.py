"""Lets runs in that wait for a place under a limit that was changed, or whose holder left without a word.

Two doorkeepers do no harm: who counts places under a key locks it first, and a run is let in by a change that asks
whether it still waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from windlass.engine.admission import admit_all
from windlass.engine.engine import Engine


@dataclass(slots=True)
class Doorkeeper:
    """The duty of places that became free and were not given on by whatever freed them."""

    engine: Engine
    name: str = "doorkeeper"

    async def turn(self) -> float:
        """Look once; return the seconds until the next look: a third of a lease."""
        await self.engine.store.run(admit_all, self.engine)
        return self.engine.settings.lease / 3
