"""Room on the disks that a store writes to: below a reserve nothing new is taken, so that what runs can end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from windlass.errors import NoRoom
from windlass.model.room import Disk, Left, Shortage, left, shortage
from windlass.settings import Settings
from windlass.store.archive.in_database import URL as DATABASE

#: Seconds for which one look at the disks is good.
FRESH: Final = 1.0


def room_of(settings: Settings, database: Path | None) -> Room:
    """Return the room of a store whose database is there, and whose files are in the home of `settings`.

    A store in memory, without a database, is not held to any.
    """
    if database is None:
        return Room()
    folders = tuple(dict.fromkeys((database.parent, settings.home, settings.files)))
    here = settings.archive_url == DATABASE
    return Room(folders, settings.disk_reserve, settings.disk_quota, archived_here=here)


def look_at(folder: Path) -> Disk:
    """Return the disk that `folder`, or the nearest one above it that exists, lies on. Raises OSError."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    found = os.statvfs(there)
    return Disk(str(folder), found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


@dataclass(slots=True)
class Room:
    """What is known of the disks of one store; without folders there is always room. May be asked from any thread."""

    #: Where the database and the files of runs are.
    folders: Sequence[Path] = ()
    #: Bytes that must stay free; a disk of less than ten times as many keeps a tenth.
    reserve: int = 0
    #: Bytes that database and files may take together; None is no limit.
    quota: int | None = None
    #: Whether archived runs stay in the database.
    archived_here: bool = False
    look: Callable[[Path], Disk] = look_at
    #: Bytes that they took when somebody counted.
    used: int = 0
    _disks: list[Disk] = field(default_factory=list)
    _until: float = 0.0

    def disks(self) -> list[Disk]:
        """Return the disks as they were a moment ago; one that cannot be looked at is left out."""
        now = time.monotonic()
        if now >= self._until:
            found = []
            for folder in self.folders:
                try:
                    found.append(self.look(folder))
                except OSError:
                    continue  # whoever writes there will be told
            self._disks, self._until = found, now + FRESH
        return self._disks

    def shortage(self, *, urgent: bool = False) -> Shortage | None:
        """Return what is short, for what is `urgent` or for everything else; None while there is room."""
        if not self.folders:
            return None
        return shortage(
            self.disks(),
            reserve=self.reserve,
            used=self.used,
            quota=self.quota,
            archived_here=self.archived_here,
            urgent=urgent,
        )

    def require(self, *, urgent: bool = False) -> None:
        """Raise NoRoom where nothing new may be taken, or not even what is `urgent`."""
        short = self.shortage(urgent=urgent)
        if short is not None:
            raise NoRoom(short.sentence)

    def left(self, folder: Path) -> Left | None:
        """Return how much may still be written below `folder`; None where nothing limits it."""
        if not self.folders:
            return None
        try:
            disk = self.look(folder)
        except OSError:
            return None
        return left(disk, reserve=self.reserve, used=self.used, quota=self.quota)
