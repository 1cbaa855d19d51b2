"""Deletes runs that somebody wanted deleted while they were live, once they have ended.

Two removers do no harm: a run leaves in one guarded change, and what is left of it is found by the note of that, and
removed bit by bit by whoever comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.engine.deleting import delete_marked
from windlass.engine.engine import Engine

#: Seconds between two looks: while something is marked, and else, for marks that nobody told of.
_SOON: Final = 0.25
_IDLE: Final = 30.0


@dataclass(slots=True)
class Remover:
    """The duty of runs that are to be deleted."""

    engine: Engine
    name: str = "remover"

    async def turn(self) -> float:
        """Delete what may be; return the seconds until the next look."""
        return _SOON if await delete_marked(self.engine) else _IDLE
