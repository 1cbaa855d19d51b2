"""Keeps a worker's share of the database's connections: few where many workers are there."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND
from windlass.engine.engine import Engine
from windlass.errors import Unavailable
from windlass.model.thrift import PLENTY, UNKNOWN, Thrift, beginning, thrift
from windlass.store.crowd import Crowd, crowd
from windlass.store.programs import Program, forget_program, note_program
from windlass.store.transaction import Transaction, beside_others

_log = logging.getLogger(__name__)

#: Seconds between two counts where a connection is open anyway, and where one is opened for it.
PERIOD: Final = 10.0
SELDOM: Final = 60.0
#: Of that, what is left where chance takes most of it away: workers that began together count at different times.
_LEAST: Final = 0.5
#: Microseconds for which a worker counts as a program at work after a count.
_AT_WORK: Final = round(3 * SELDOM * SECOND)


@dataclass(slots=True)
class Purser:
    """The duty of a worker that speaks to the database itself: to count who else does, and to be counted."""

    engine: Engine
    #: Number of the worker, which changes when it has to join anew.
    own: Callable[[], int]
    #: What this process is to those who upgrade the store.
    program: Program
    #: Told what is kept from now on.
    spare: Callable[[Thrift], object]
    name: str = "purser"
    kept: Thrift = UNKNOWN
    _counted: bool = False

    async def turn(self) -> float:
        """Count once, and keep to what comes of it; return the seconds until the next count.

        Many may begin at one moment: not before a second count is any of them sure that there is plenty.
        """
        found = await self.engine.store.run(_count, self.own(), self.program)
        kept = thrift(found.room, found.workers, found.before)
        if kept == PLENTY and not self._counted:
            kept = beginning(found.room, found.before)
        self._counted = True
        if kept != self.kept:
            self.kept = kept
            self.spare(kept)
        period = SELDOM if kept.poll > PLENTY.poll else PERIOD
        return period * random.uniform(_LEAST, 1.0)  # noqa: S311 - spreads workers, keeps no secret

    async def leave(self) -> None:
        """Say that this process works no more; what cannot be told ends by itself."""
        try:
            await self.engine.store.run(forget_program, self.program.instance)
        except Unavailable as error:
            _log.warning("The store could not be told that this program ends: %s", error)


# Beside others: it writes one row, which is this process's alone.
@beside_others
def _count(tx: Transaction, worker_id: int, program: Program) -> Crowd:
    note_program(tx, program, _AT_WORK)
    return crowd(tx, worker_id)
