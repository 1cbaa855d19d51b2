"""From where on ready tasks are looked for, while most of what lies before is gone and cannot be removed yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND
from windlass.store.transaction import Transaction

#: The rank below all others: a look from the beginning.
LOWEST: Final = -(2**63)
#: Rows that are gone from which on it pays to begin behind them.
MANY: Final = 20_000
#: Seconds between looks from the beginning for each row that is gone and each worker of the pool: ten times what it
#: costs to pass one, so that all of them together spend a tenth of one processor on it.
_FOR_EACH: Final = 0.000_001
#: Seconds after which a worker looks from the beginning at the latest, whatever it costs: as long may a task wait.
LONGEST: Final = 2.0
#: Seconds between counts of what is gone.
_COUNTED: Final = 1.0
#: Microseconds by which what is accepted now may lie behind: a transaction takes as long to show what it wrote.
_LATE: Final = 5 * SECOND
_COUNT: Final = (
    "SELECT pg_stat_get_dead_tuples('queue'::regclass), "
    "(SELECT count(*) FROM workers WHERE ended_at IS NULL AND pool = ?)"
)


@dataclass(slots=True)
class Floor:
    """How far one worker has come on the routes that it looks at together.

    PostgreSQL keeps rows that are gone as long as any transaction is open that might see them, and passes all of them
    on the way to the first task that is ready. While there are many, a look begins where the last one found something.
    Where that was nothing it begins as far below the time as anything that was found meanwhile, for a rank lies below
    the time by what the priority is worth and by how long the task has waited. What lies before, more urgent than all
    of those, older, put back by others, or shown late, is found by the next look from the beginning.
    """

    #: The pool of the worker, whose others look at the same rows.
    pool: str
    #: Microseconds by which ranks lie below the time where nothing is known yet: what the usual priority is worth.
    usual: int
    _rank: int = LOWEST
    _counted_at: float = float("-inf")
    _whole_at: float = float("-inf")
    #: Seconds between looks from the beginning; 0 where each is one.
    _pause: float = 0.0
    #: How far below the time anything was found while there was a pause, in microseconds.
    _below: int = 0

    def begin(self, tx: Transaction) -> int:
        """Return the rank from which on to look now."""
        if tx.dialect == "sqlite":  # it keeps nothing that is gone
            return LOWEST
        now = time.monotonic()
        if now - self._counted_at >= _COUNTED:
            self._counted_at = now
            gone, workers = tx.cursor.execute(_COUNT, (self.pool,)).fetchone()
            self._pause = min(gone * max(workers, 1) * _FOR_EACH, LONGEST) if gone >= MANY else 0.0
        if not self._pause:
            self._below = self.usual
        if now - self._whole_at >= self._pause:
            self._whole_at = now
            return LOWEST
        return self._rank

    def end(self, tx: Transaction, first: int | None) -> None:
        """Note the lowest rank that a look over all routes found, tasks that were left included; None for none."""
        if first is None:
            self._rank = tx.now - _LATE - self._below
        else:
            self._rank = first
            self._below = max(self._below, tx.now - first)

    def again(self, began: int) -> float | None:
        """Return the seconds after which to look once more where a look from `began` on left slots free.

        None where it was one from the beginning, so that there was nothing else.
        """
        return None if began == LOWEST else max(self._whole_at + self._pause - time.monotonic(), 0.0)
