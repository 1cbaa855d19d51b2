"""Does what others ask of the home of this process: they have no way to the files of runs that lie there.

Each process has its own; those that work in one home take turns (`engine.homes`). What it does may be cut off anywhere,
and is asked for until it is done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from windlass.engine.engine import Engine
from windlass.engine.errands import run_errands
from windlass.engine.homes import be_seen
from windlass.engine.looking_over import look_over

#: Seconds between two looks when nobody asks, and until the first: a command that works for a moment takes none.
PERIOD: Final = 60.0
FIRST: Final = 2.0
#: Seconds between two times that all of the home is looked over.
_WHOLE: Final = 3600.0


@dataclass(slots=True)
class Courier:
    """The duty of files that lie in this home."""

    engine: Engine
    name: str = "courier"
    _begun: bool = False
    #: When all of it is to be looked over again, by the clock that nobody sets.
    _due: float = field(default=0.0)

    async def turn(self) -> float:
        """Be seen and do what is asked; return the seconds until the next look."""
        home = self.engine.home
        if home is None:
            return PERIOD
        if not self._begun:
            self._begun = True
            return FIRST
        await be_seen(self.engine, home)
        if time.monotonic() >= self._due:
            await look_over(self.engine)
            self._due = time.monotonic() + _WHOLE
        await run_errands(self.engine)
        return PERIOD
