"""Settles the work of workers whose lease has run out, and forgets what has an end.

Two rescuers do no harm: a worker is looked at and ended in one transaction, and whatever it held goes by its fence. Nor
does one whose process was stopped, or who could not reach the store: nobody counts as gone before the store could be
reached for a whole lease without a gap (`engine.watch`), so that an outage of the store gives every worker a fresh one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from windlass.engine.engine import Engine
from windlass.engine.recovery import any_gone, settle_gone
from windlass.engine.watch import Watch
from windlass.store.keys import AT_ONCE, drop_ended_keys
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rescuer:
    """The duty of finding lost workers."""

    engine: Engine
    #: Returns the workers of this process, whose numbers change when one had to join anew.
    spared: Callable[[], Collection[int]] = tuple
    #: Since when workers could renew; None where they always could.
    watch: Watch | None = None
    name: str = "rescuer"

    async def turn(self) -> float:
        """Look once; return the seconds until the next look: a third of a lease."""
        now, gone = await self.engine.store.read(_look, self.engine, self.spared())
        lost = 0
        if gone:
            now, lost = await self.engine.store.run(_settle, self.engine, self.spared(), self.watch)
        if self.watch is not None:
            self.watch.look(now, self.engine.clocks().up)
        if lost:
            _log.warning("Workers are gone; %d attempts were lost with them", lost)
        while await self.engine.store.run(drop_ended_keys) == AT_ONCE:
            pass  # the next ones
        return self.engine.settings.lease / 3


def _look(tx: Transaction, engine: Engine, spared: Collection[int]) -> tuple[int, bool]:
    """Return the time, and whether a worker seems to be gone: mostly none is, and this holds up nobody."""
    return tx.now, any_gone(tx, engine, spared)


def _settle(tx: Transaction, engine: Engine, spared: Collection[int], watch: Watch | None) -> tuple[int, int]:
    if watch is not None and not watch.has_lasted(tx.now, engine.clocks().up):
        return tx.now, 0
    return tx.now, settle_gone(tx, engine, spared)
