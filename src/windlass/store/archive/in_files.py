"""The archive in files: JSON lines, compressed, in a folder a day; each piece is a gzip member of its own.

A file is a whole gzip file for any other program, and a run is read from the middle of it. It gets its name once it is
whole and flushed.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from windlass.clock import SECOND
from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.archive import Kept, Piece

Argument = TypeVar("Argument")

SUFFIX: Final = ".jsonl.gz"
UNFINISHED: Final = ".part"
_READ: Final = 256 * 1024


@dataclass(slots=True)
class _OpenFile:
    """A file that is being written, for the runs that ended on one day."""

    #: Relative to the folder, as it will be.
    name: str
    path: Path
    descriptor: int
    size: int = 0
    #: Where each run begins, and how many bytes it takes.
    runs: dict[bytes, tuple[int, int]] = field(default_factory=dict)


class FileArchive:
    """See `Archive`."""

    def __init__(self, url: str, folder: Path, store: str) -> None:
        """Keep documents below `folder`, in a folder for the store of this id: several may share it."""
        self.url = url
        self._folder = folder / store
        self._open: dict[str, _OpenFile] = {}

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Append pieces to the files of their days; see `Archive.write`."""
        await asyncio.to_thread(told, self._write, pieces)

    async def seal(self) -> Mapping[bytes, Kept]:
        """Flush the files and give them their names; see `Archive.seal`."""
        kept: dict[bytes, Kept] = {}
        await asyncio.to_thread(told, self._seal, kept)
        return kept

    async def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - the contract's
        """Yield the document of a run; see `Archive.read`."""
        members = self._members(place)
        while (member := await asyncio.to_thread(next, members, None)) is not None:
            yield member

    async def remove(self, runs: Sequence[tuple[bytes, str]]) -> None:
        """Leave files as they are: one goes as a whole, with `tidy`, once it holds no run any more."""

    async def tidy(self, known: Collection[str]) -> int:
        """Remove files that no place speaks of; see `Archive.tidy`."""
        names = {place.partition("#")[0] for place in known}
        return await asyncio.to_thread(remove_unknown, self._folder, names, _name)

    def _write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            file = self._file(piece)
            packed = gzip.compress(piece.data, compresslevel=6, mtime=0)
            begin, length = file.runs.get(piece.run_id, (file.size, 0)) if piece.number else (file.size, 0)
            _write_all(file.descriptor, packed)
            file.size += len(packed)
            file.runs[piece.run_id] = (begin, length + len(packed))

    def _file(self, piece: Piece) -> _OpenFile:
        day = datetime.fromtimestamp(piece.finished_at // SECOND, UTC).strftime("%Y/%m/%d")
        found = self._open.get(day)
        if found is None:
            (self._folder / day).mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{day}/{piece.run_id.hex()}-{os.urandom(4).hex()}{SUFFIX}"
            path = self._folder / f"{name}{UNFINISHED}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            found = self._open[day] = _OpenFile(name, path, descriptor)
        return found

    def _seal(self, kept: dict[bytes, Kept]) -> None:
        while self._open:
            _, file = self._open.popitem()
            try:
                os.fsync(file.descriptor)
            finally:
                os.close(file.descriptor)
            final = self._folder / file.name
            file.path.rename(final)
            flush_folders(final.parent, self._folder.parent)
            for run_id, (begin, length) in file.runs.items():
                kept[run_id] = Kept(f"{file.name}#{begin}+{length}", length)

    def _members(self, place: str) -> Iterator[bytes]:
        """Yield what the gzip members at a place hold; nothing where the file is gone."""
        name, _, span = place.partition("#")
        begin, _, length = span.partition("+")
        path = self._folder / name
        try:
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123 - opened so
                file.seek(int(begin))
                yield from _unpacked(file, int(length))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"The archive's file {path} cannot be read: {error.strerror}.") from error


def remove_unknown(folder: Path, known: Collection[str], name_of: Callable[[str], str | None]) -> int:
    """Remove files below the folders of days of which `name_of` gives a name that is not known; return how many.

    It is given the path of a file relative to `folder`, and returns None for one that is none of ours.
    """
    removed = 0
    for path in sorted(folder.glob("????/??/??/*")):
        name = name_of(path.relative_to(folder).as_posix())
        if name is not None and name not in known:
            with suppress(OSError):
                path.unlink()
                removed += 1
            for above in list(path.parents)[:3]:
                with suppress(OSError):
                    above.rmdir()  # where nothing is left in it
    return removed


def _name(path: str) -> str | None:
    return path if path.endswith((SUFFIX, UNFINISHED)) else None


def _unpacked(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield what each gzip member within the next `length` bytes of a file holds."""
    rest, left = b"", length
    while rest or left:
        member = zlib.decompressobj(wbits=31)
        found = []
        while not member.eof:
            data, rest = rest, b""
            if not data:
                data = file.read(min(left, _READ))
                left -= len(data)
            if not data:
                raise CorruptStore("The archived run is damaged: it is cut off.")
            try:
                found.append(member.decompress(data))
            except zlib.error as error:
                raise CorruptStore(f"The archived run is damaged: {error}.") from error
        rest = member.unused_data
        yield b"".join(found)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def flush_folders(first: Path, last: Path) -> None:
    """Flush the entries of folders from `first` up to `last`."""
    folder = first
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder in {last, folder.parent}:
            return
        folder = folder.parent


def told(work: Callable[[Argument], None], argument: Argument) -> None:
    """Do work on files. Raises Unavailable where the disk does not take it."""
    try:
        work(argument)
    except OSError as error:
        raise Unavailable(f"The archive cannot be written: {error.strerror}: {error.filename or ''}.") from error
