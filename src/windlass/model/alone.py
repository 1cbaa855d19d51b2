"""Tasks that were lost with their workers begin apart, so that none is set aside for what another one does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from windlass.model.cause import Cause, cause
from windlass.model.dispatch import Needs
from windlass.model.retry import QUARANTINE_AFTER

#: Losses in a row after which a task shares its worker with no other that was lost: one more sets it aside.
ALONE_AFTER: Final = QUARANTINE_AFTER - 1
#: The limit that such tasks count under, for each worker by itself.
LIMIT: Final = "losses"
#: More than any worker holds.
_ALL: Final = 1 << 30


def needs_of(losses_in_row: int) -> Needs:
    """Return what a task needs of its worker: nothing, some room beside others that were lost, or all of it."""
    if not losses_in_row:
        return ()
    return ((LIMIT, _ALL if losses_in_row >= ALONE_AFTER else 1),)


def room_beside(held: Iterable[int]) -> int:
    """Return how much of that a worker has left that holds tasks with so many losses in a row."""
    return max(0, _ALL - sum(units for losses in held for _, units in needs_of(losses)))


def begins_alone(losses_in_row: int, worker: str) -> Cause:
    """Return the cause of a task that waits until a worker holds no others that were lost."""
    times = "once" if losses_in_row == 1 else f"{losses_in_row} times in a row"
    message = (
        f'It was lost with its worker {times}, and so was another task that worker "{worker}" has: '
        "they run apart, so that it shows which of them ends its worker."
    )
    return cause("begins_alone", message, lossesInRow=losses_in_row, worker=worker)
