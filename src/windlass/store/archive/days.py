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
from windlass.store.archive.archive import Entry, Kept, Piece
from windlass.store.archive.private import make_private
from windlass.store.archive.trying import try_folder

Argument = TypeVar("Argument")
#: What is being written for the runs that ended on one day.
Day = TypeVar("Day")

UNFINISHED: Final = ".part"
#: The file with the mark of the store, see `marks`.
MARK: Final = "owner"
_FILES: Final = "????/??/??/*"
#: How the name of a file begins: the day, the first run in it, and what makes it another than that of a copy before.
NAME: Final = r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9a-f]{32}-[0-9a-f]{8}"


class DayFiles(ABC, Generic[Day]):
    """See `Archive`; how the files of a day are written and read is left to each kind."""

    def __init__(self, url: str, folder: Path, store: str) -> None:
        """Keep runs below `folder`, in a folder for the store of this id: several may share it."""
        self.url = url
        self._folder = folder / store
        self._open: dict[str, Day] = {}
        #: The names of files that are to be written, by their days.
        self._planned: dict[str, str] = {}

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

    async def discard(self, names: Collection[str]) -> None:
        """Remove files; see `Archive.discard`."""
        await asyncio.to_thread(_told, self._discard, names)

    async def mark(self) -> str:
        """Return what stands in the file beside the folders; see `Archive.mark`."""
        return await asyncio.to_thread(self._mark)

    async def set_mark(self, mark: str) -> None:
        """Write the file beside the folders anew; see `Archive.set_mark`."""
        await asyncio.to_thread(_told, self._set_mark, mark)

    async def is_empty(self) -> bool:
        """Say whether no file is in a folder of a day; see `Archive.is_empty`."""
        return await asyncio.to_thread(lambda: next(self._folder.glob(_FILES), None) is None)

    async def names(self) -> list[str]:
        """Return the names of all files that look like ours; see `Archive.names`."""
        return await asyncio.to_thread(self._names)

    async def entries(self, name: str) -> list[Entry]:
        """Read files, and return the documents in them; see `Archive.entries`."""
        return await asyncio.to_thread(self._entries, name)

    @abstractmethod
    def _entries(self, name: str) -> list[Entry]: ...

    @abstractmethod
    def _known_by(self, path: str) -> str | None:
        """Return what a whole file is known by, given its path relative to the folder; None where it is not ours."""

    @abstractmethod
    def _write(self, pieces: Sequence[Piece]) -> None: ...

    @abstractmethod
    def _seal_day(self, day: Day, kept: dict[bytes, Kept]) -> None:
        """Flush the files of a day, give them their names, and say where its runs are."""

    @abstractmethod
    def _begin(self, name: str) -> Day:
        """Begin the files of a day; `name` is relative to the folder, without what each of them adds to it."""

    @abstractmethod
    def _name(self, name: str) -> str:
        """Return what the files that begin with `name` are known by."""

    @abstractmethod
    def _paths(self, name: str) -> list[str]:
        """Return the files, relative to the folder and once they are whole, that are known by a name."""

    def plan(self, runs: Sequence[tuple[bytes, int]]) -> list[str]:
        """Return the names of the files that will be written, one a day; see `Archive.plan`."""
        self._planned = {}
        for run_id, finished_at in runs:
            day = _day(finished_at)
            self._planned.setdefault(day, f"{day}/{run_id.hex()}-{os.urandom(4).hex()}")
        return [self._name(name) for name in self._planned.values()]

    def _day(self, piece: Piece) -> Day:
        """Return what is being written for the day on which the run of a piece ended."""
        day = _day(piece.finished_at)
        found = self._open.get(day)
        if found is None:
            make_private(self._folder / day)
            found = self._open[day] = self._begin(self._planned.pop(day))
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

    def _discard(self, names: Collection[str]) -> None:
        folders = set()
        for name in names:
            for path in self._paths(name):
                whole = self._folder / path
                folders.add(whole.parent)
                for one in (whole, whole.with_name(whole.name + UNFINISHED)):
                    one.unlink(missing_ok=True)
        for folder in folders:
            for above in (folder, *list(folder.parents)[:2]):
                with suppress(OSError):
                    above.rmdir()  # where nothing is left in it

    def _names(self) -> list[str]:
        paths = (path.relative_to(self._folder).as_posix() for path in self._folder.glob(_FILES))
        found = {self._known_by(path.removesuffix(UNFINISHED)) for path in paths}
        return sorted(name for name in found if name is not None)

    def _mark(self) -> str:
        path = self._folder / MARK
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"The archive's file {path} cannot be read: {getattr(error, 'strerror', None) or error}."
            ) from error

    def _set_mark(self, mark: str) -> None:
        path = self._folder / MARK
        if not mark:
            path.unlink(missing_ok=True)
            return
        make_private(self._folder)
        unfinished = path.with_name(MARK + UNFINISHED)
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, f"{mark}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(path)
        self._flush_folder(MARK)


def _day(finished_at: int) -> str:
    return datetime.fromtimestamp(finished_at // SECOND, UTC).strftime("%Y/%m/%d")


def _told(work: Callable[[Argument], None], argument: Argument) -> None:
    """Do work on files. Raises Unavailable where the disk does not take it."""
    try:
        work(argument)
    except OSError as error:
        raise Unavailable(f"The archive cannot be written: {error.strerror}: {error.filename or ''}.") from error
