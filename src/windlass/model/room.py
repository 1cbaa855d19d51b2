"""When a store is short of room, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

#: Of a small disk one byte in so many is kept free, and no more.
_PART: Final = 10
#: Of what is kept free, what is urgent may take all but one byte in so many.
_URGENT: Final = 4
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024

_WAY_OUT: Final = "runs have left: see `windlass archive run` and `windlass run delete`"
_WAY_OUT_HERE: Final = (
    "it takes less. Archived runs take their part of it too: delete runs (`windlass run delete`), keep archived ones "
    "for less time (WINDLASS_ARCHIVE_RETENTION), have runs leave to another place (WINDLASS_ARCHIVE_URL)"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk with a folder of a store on it, in bytes."""

    folder: str
    free: int
    size: int

    def kept(self, reserve: int, *, urgent: bool = False) -> int:
        """Return how many bytes of it must stay free, for what is `urgent` or for everything else."""
        kept = min(reserve, self.size // _PART)
        return kept // _URGENT if urgent else kept


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why nothing new is taken."""

    what: Literal["disk", "quota"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Left:
    """How much may still be written, and which limit says so."""

    #: Bytes.
    size: int
    what: Literal["disk", "quota"]

    @property
    def sentence(self) -> str:
        """Say it, as the end of a sentence."""
        if self.what == "quota":
            return f"the quota of the store leaves room for {self.size:,} bytes (WINDLASS_DISK_QUOTA)"
        return f"there is room for {self.size:,} bytes on the disk (WINDLASS_DISK_RESERVE)"


def shortage(
    disks: Iterable[Disk],
    *,
    reserve: int,
    used: int,
    quota: int | None,
    archived_here: bool = False,
    urgent: bool = False,
) -> Shortage | None:
    """Return what is short: room on one of the disks, or what `quota` leaves of it; None while there is room.

    `archived_here` says whether runs that leave go on taking their part of the quota. What is `urgent`, small and
    waited for by what was accepted, is held to no quota and to a part of the reserve.
    """
    for disk in disks:
        kept = disk.kept(reserve, urgent=urgent)
        if disk.free < kept:
            return Shortage(
                "disk",
                f"The disk of {disk.folder} has {amount(disk.free)} free, and {amount(kept)} are kept for what runs to "
                "end (WINDLASS_DISK_RESERVE): nothing new is taken until there is room; free some space.",
            )
    if quota is not None and used > quota and not urgent:
        way_out = _WAY_OUT_HERE if archived_here else _WAY_OUT
        return Shortage(
            "quota",
            f"The store takes {amount(used)}, and WINDLASS_DISK_QUOTA allows {amount(quota)}: nothing new is taken "
            f"until {way_out}, or raise the quota.",
        )
    return None


def left(disk: Disk, *, reserve: int, used: int, quota: int | None) -> Left:
    """Return how much may still be written to a disk."""
    found = Left(max(0, disk.free - disk.kept(reserve)), "disk")
    return found if quota is None else min(found, Left(max(0, quota - used), "quota"), key=lambda one: one.size)


def amount(size: int) -> str:
    """Return a number of bytes as people read it."""
    number, unit = float(size), 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= _PART else f"{number:.1f} {_UNITS[unit]}"
