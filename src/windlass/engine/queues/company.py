"""Who else works on the store: what older programs would take amiss is not done beside them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from windlass.store.programs import programs_below
from windlass.store.transaction import Transaction

#: Seconds between two looks of one worker.
_LOOKED: Final = 1.0
#: The schema since which programs know that the row of a run may say a moment later that it runs. To those before it
#: such a run has not begun: they list it as queued, and their reconciler tells once more that it starts.
_KNOWN: Final = "0022"


@dataclass(slots=True)
class Company:
    """Whether programs are at work that do not know streaks, as one worker has last seen it."""

    _looked_at: float = float("-inf")
    _older: bool = False

    def knows_streaks(self, tx: Transaction) -> bool:
        """Say whether every program does; asked of the store now and then, and remembered in between."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOKED:
            self._older = bool(programs_below(tx, _KNOWN))
            self._looked_at = now
        return not self._older
