"""What archives in files have in common: a folder a day, and files that get their names once whole and flushed."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from windlass.clock import SECOND
from windlass.errors import Unavailable
from windlass.store.archive.archive import Kept, Piece
from windlass.store.archive.private import make_private
from windlass.store.archive.trying import try_folder

Argument = TypeVar("Argument")
#: What is being written for the runs that ended on one day.
Day = TypeVar("Day")

UNFINISHED: Final = ".part"


class DayFiles(ABC, Generic[Day]):
    """See `Archive`; how the files of a day are written and read is left to each kind."""

    def __init__(self, url: str, folder: Path, store: str) -> None:
        """Keep runs below `folder`, in a folder for the store of this id: several may share it."""
        self.url = url
        self._folder = folder / store
        self._open: dict[str, Day] = {}

    async def probe(self) -> None:
        """Write a file and remove it again; see `Archive.probe`."""
        await asyncio.to_thread(try_folder, self._folder)

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Append pieces to the files of their days; see `Archive.write`."""
        await asyncio.to_thread(_told, self._write, pieces)

    async def seal(self) -> Mapping[bytes, Kept]:
        """Flush the files and give them their names; see `Archive.seal`."""
        kept: dict[bytes, Kept] = {}
        await asyncio.to_thread(_told, self._seal, kept)
        return kept

    async def remove(self, runs: Sequence[tuple[bytes, str]]) -> None:
        """Leave files as they are: they go as a whole, with `tidy`, once they hold no run any more."""

    async def tidy(self, known: Collection[str]) -> int:
        """Remove files that no place speaks of; see `Archive.tidy`."""
        return await asyncio.to_thread(self._tidy, {self._file_of(place) for place in known})

    @abstractmethod
    def _write(self, pieces: Sequence[Piece]) -> None: ...

    @abstractmethod
    def _seal_day(self, day: Day, kept: dict[bytes, Kept]) -> None:
        """Flush the files of a day, give them their names, and say where its runs are."""

    @abstractmethod
    def _begin(self, name: str) -> Day:
        """Begin the files of a day; `name` is relative to the folder, without what each of them adds to it."""

    @abstractmethod
    def _file_of(self, place: str) -> str:
        """Return what the files are known by that a place speaks of."""

    @abstractmethod
    def _known_by(self, path: str) -> str | None:
        """Return what a file is known by, given its path relative to the folder; None where it is none of ours."""

    def _day(self, piece: Piece) -> Day:
        """Return what is being written for the day on which the run of a piece ended."""
        day = datetime.fromtimestamp(piece.finished_at // SECOND, UTC).strftime("%Y/%m/%d")
        found = self._open.get(day)
        if found is None:
            make_private(self._folder / day)
            found = self._open[day] = self._begin(f"{day}/{piece.run_id.hex()}-{os.urandom(4).hex()}")
        return found

    def _create(self, name: str) -> tuple[Path, int]:
        """Make a file that is not whole yet; return where it is, and its descriptor."""
        path = self._folder / f"{name}{UNFINISHED}"
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _seal(self, kept: dict[bytes, Kept]) -> None:
        while self._open:
            _, day = self._open.popitem()
            self._seal_day(day, kept)

    def _flush_folder(self, name: str) -> None:
        """Flush the entries of the folder that a file lies in, and of those above it that are ours."""
        folder, last = (self._folder / name).parent, self._folder.parent
        while True:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if folder in {last, folder.parent}:
                return
            folder = folder.parent

    def _tidy(self, known: Collection[str]) -> int:
        removed = 0
        for path in sorted(self._folder.glob("????/??/??/*")):
            name = self._known_by(path.relative_to(self._folder).as_posix())
            if name is not None and name not in known:
                with suppress(OSError):
                    path.unlink()
                    removed += 1
                for above in list(path.parents)[:3]:
                    with suppress(OSError):
                        above.rmdir()  # where nothing is left in it
        return removed


def _told(work: Callable[[Argument], None], argument: Argument) -> None:
    """Do work on files. Raises Unavailable where the disk does not take it."""
    try:
        work(argument)
    except OSError as error:
        raise Unavailable(f"The archive cannot be written: {error.strerror}: {error.filename or ''}.") from error
