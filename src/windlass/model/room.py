"""When a store is short of room, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

#: Of a small disk one byte in so many is kept free, and no more.
_PART: Final = 10
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk with a folder of a store on it, in bytes."""

    folder: str
    free: int
    size: int

    def kept(self, reserve: int) -> int:
        """Return how many bytes of it must stay free."""
        return min(reserve, self.size // _PART)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why nothing new is taken."""

    what: Literal["disk", "quota"]
    sentence: str


def shortage(disks: Iterable[Disk], *, reserve: int, used: int, quota: int | None) -> Shortage | None:
    """Return what is short: room on one of the disks, or what `quota` leaves of it; None while there is room."""
    for disk in disks:
        kept = disk.kept(reserve)
        if disk.free < kept:
            return Shortage(
                "disk",
                f"The disk of {disk.folder} has {amount(disk.free)} free, and {amount(kept)} are kept for what runs to "
                "end (WINDLASS_DISK_RESERVE): nothing new is taken until there is room; free some space.",
            )
    if quota is not None and used > quota:
        return Shortage(
            "quota",
            f"The store takes {amount(used)}, and WINDLASS_DISK_QUOTA allows {amount(quota)}: nothing new is taken "
            "until runs have left; see `windlass archive run`, or raise the quota.",
        )
    return None


def amount(size: int) -> str:
    """Return a number of bytes as people read it."""
    number, unit = float(size), 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= _PART else f"{number:.1f} {_UNITS[unit]}"
