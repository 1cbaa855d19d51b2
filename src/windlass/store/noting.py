"""Writing down what units of work have to say of what they did, in the transaction that they did it in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.store.audit import Note
    from windlass.store.transaction import Transaction


class Noting:
    """How a store keeps notes; without a way they are dropped, for nobody asked to keep any."""

    def __init__(self) -> None:
        """Know no way yet."""
        self.way: Callable[[Transaction, Sequence[Note]], None] | None = None

    def keep(self, tx: Transaction) -> None:
        """Keep what was noted in a transaction so far; whatever goes wrong is the transaction's own trouble."""
        if tx.notes and self.way is not None:
            self.way(tx, tuple(tx.notes))
        tx.notes.clear()
