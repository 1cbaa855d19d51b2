"""Settles the work of workers whose lease has run out, and forgets what has an end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from windlass.engine.engine import Engine
from windlass.engine.recovery import settle_gone
from windlass.store.keys import drop_ended_keys

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rescuer:
    """The duty of finding lost workers."""

    engine: Engine
    #: Returns the workers of this process, whose numbers change when one had to join anew.
    spared: Callable[[], Collection[int]] = tuple
    name: str = "rescuer"

    async def turn(self) -> float:
        """Look once; return the seconds until the next look: a third of a lease."""
        lost = await self.engine.store.run(settle_gone, self.engine, self.spared())
        if lost:
            _log.warning("Workers are gone; %d attempts were lost with them", lost)
        await self.engine.store.run(drop_ended_keys)
        return self.engine.settings.lease / 3
