"""A time that goes on evenly although the wall clock is set, kept over the end of processes and of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.clock import SECOND, Clocks

#: Microseconds by which the wall clock may differ from what was noted before that is noted anew.
_NOTED: Final = SECOND
#: Longest time between the beginning of a unit of work and a look at the clocks in it.
_UNIT: Final = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Steady:
    """What ties the steady time to the clocks of a machine. All in microseconds."""

    boot: str
    #: Steady time at the boot.
    offset: int
    #: What the wall clock is ahead of the steady time.
    skew: int

    def at(self, now: int, clocks: Clocks) -> int:
        """Return the steady time of `now`, a time of the wall clock shortly before `clocks` were read."""
        ago = clocks.wall - now
        return clocks.up + self.offset - (ago if 0 <= ago < _UNIT else 0)

    def on_wall(self, at: int, clocks: Clocks) -> int:
        """Return what the wall clock will say, or said, at a steady time, unless it is set."""
        return at + clocks.wall - clocks.up - self.offset


def go_on(kept: Steady | None, clocks: Clocks, latest: int | None) -> Steady:
    """Return what holds now: `kept` itself wherever that still says it.

    After a boot the wall clock has to tell how much time has passed. It counts as set by then as much as it was before,
    and the time does not go back behind `latest`, the last thing that happened.
    """
    if kept is None:
        return Steady(clocks.boot, clocks.wall - clocks.up, 0)
    if kept.boot == clocks.boot:
        skew = clocks.wall - clocks.up - kept.offset
        return kept if abs(skew - kept.skew) <= _NOTED else Steady(kept.boot, kept.offset, skew)
    now = max(clocks.wall - kept.skew, clocks.wall - kept.skew if latest is None else latest)
    return Steady(clocks.boot, now - clocks.up, clocks.wall - now)
