"""Tasks that were lost with their workers, kept apart from each other: see `model.alone`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from windlass.model.alone import ALONE_AFTER, LIMIT, needs_of, room_beside
from windlass.model.dispatch import Needs
from windlass.store import hot, run_limits
from windlass.store.floor import LOWEST
from windlass.store.losses import held_losses, losses_in_row
from windlass.store.rows import Ready
from windlass.store.transaction import Transaction

_NOTHING: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Apart:
    """How often in a row ready tasks were lost, and those that a worker holds; empty where all may run together."""

    ready: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    held: Sequence[int] = ()

    def __bool__(self) -> bool:
        """Say whether any of them is to run apart."""
        return max((*self.ready.values(), *self.held), default=0) >= ALONE_AFTER

    def __or__(self, other: Apart) -> Apart:
        """Return this together with what was found of the same worker on other routes."""
        return Apart({**self.ready, **other.ready}, other.held or self.held)

    def needs(self, row: Ready) -> Needs:
        """Return what a ready task needs beside the others."""
        return needs_of(self.ready.get(row.id, 0))

    def room(self) -> dict[str, int]:
        """Return what the worker has left of that."""
        return {LIMIT: room_beside(self.held)}


def ready_beside(
    tx: Transaction, routes: Sequence[int], capacity: int, worker_id: int, floor: int = LOWEST
) -> tuple[list[Ready], Apart]:
    """Return ready tasks as `hot.ready` does, and which of them are to be kept apart on a worker.

    Where some are, there are more than `capacity` tasks if need be, so that enough are left that may run beside any.
    """
    asked = capacity
    while True:
        rows = hot.ready(tx, routes, asked, floor)
        lost = [row.id for row in rows if row.losses]
        if not lost:
            return rows, Apart()
        apart = Apart(losses_in_row(tx, lost), held_losses(tx, worker_id))
        if not apart or len(rows) < asked or len(rows) - len(apart.ready) >= capacity:
            break
        asked *= 2
    if apart and room_beside(apart.held):  # nobody else takes one for this worker meanwhile
        run_limits.lock_key(tx, f"{LIMIT}:{worker_id}")
        apart = Apart(apart.ready, held_losses(tx, worker_id))
    return rows, apart
