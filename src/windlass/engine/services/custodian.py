"""Gives up claims of this process's workers that they know nothing of.

Each process has its own: nobody else knows what its workers know. A claim is given up by its fence, where it stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.recovery import lose
from windlass.store import hot
from windlass.store.mending import claims_of
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Seconds between two looks, and until the first: a command that works for a moment only takes none.
PERIOD: Final = 60.0
FIRST: Final = 2.0

#: Which of these claims, `(queue row, fence)`, the workers of this process know nothing of.
Unknown = Callable[[Collection[tuple[int, int]]], Collection[tuple[int, int]]]


@dataclass(slots=True)
class Custodian:
    """The duty of claims that were taken and forgotten, as where the answer to a worker was lost."""

    engine: Engine
    #: The workers of this process.
    own: Callable[[], Collection[int]]
    unknown: Unknown
    name: str = "custodian"
    _begun: bool = False
    #: Claims that our workers knew nothing of at the last look: an answer may be on its way for less than a period.
    _forgotten: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    async def turn(self) -> float:
        """Give up what was forgotten at two looks; return the seconds until the next one."""
        if not self._begun:
            self._begun = True
            return FIRST
        claims = await self.engine.store.read(claims_of, tuple(self.own()))
        unknown = frozenset(self.unknown(claims))
        for queue_id, fence in sorted(unknown & self._forgotten):
            await self.engine.store.run(give_up, self.engine, queue_id, fence)
        self._forgotten = unknown
        return PERIOD


def give_up(tx: Transaction, engine: Engine, queue_id: int, fence: int) -> bool:
    """Settle a claim that its worker knows nothing of, as if that worker were gone; False where it stands no more."""
    row = hot.held(tx, queue_id)
    if row is None or row.fence != fence or row.worker_id is None or row.state not in {"queued", "running"}:
        return False
    _log.error("Task %d of run %s was taken, and its worker knows nothing of it", row.task, row.run_id.hex())
    if row.state == "queued":
        hot.release(tx, row.id)
    else:
        lose(tx, engine, row, f"number {row.worker_id}")
    return True
