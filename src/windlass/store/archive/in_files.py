"""The archive in files: JSON lines, compressed, in a folder a day; each piece is a gzip member of its own.

A file is a whole gzip file for any other program, and a run is read from the middle of it.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.archive import Entry, Kept, Piece
from windlass.store.archive.days import NAME, DayFiles
from windlass.store.archive.document import run_of

SUFFIX: Final = ".jsonl.gz"
_NAME: Final = re.compile(NAME + re.escape(SUFFIX))
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


class FileArchive(DayFiles[_OpenFile]):
    """See `Archive`."""

    async def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - the contract's
        """Yield the document of a run; see `Archive.read`."""
        members = self._members(place)
        while (member := await asyncio.to_thread(next, members, None)) is not None:
            yield member

    def _write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            file = self._day(piece)
            packed = gzip.compress(piece.data, compresslevel=6, mtime=0)
            begin, length = file.runs.get(piece.run_id, (file.size, 0)) if piece.number else (file.size, 0)
            _write_all(file.descriptor, packed)
            file.size += len(packed)
            file.runs[piece.run_id] = (begin, length + len(packed))

    def _begin(self, name: str) -> _OpenFile:
        return _OpenFile(self._name(name), *self._create(self._name(name)))

    def _seal_day(self, day: _OpenFile, kept: dict[bytes, Kept]) -> None:
        try:
            os.fsync(day.descriptor)
        finally:
            os.close(day.descriptor)
        day.path.rename(self._folder / day.name)
        self._flush_folder(day.name)
        for run_id, (begin, length) in day.runs.items():
            kept[run_id] = Kept(f"{day.name}#{begin}+{length}", length)

    def _name(self, name: str) -> str:
        return f"{name}{SUFFIX}"

    def _paths(self, name: str) -> list[str]:
        return [name]

    def _known_by(self, path: str) -> str | None:
        return path if _NAME.fullmatch(path) else None

    def _entries(self, name: str) -> list[Entry]:
        found: dict[bytes, tuple[int, int]] = {}
        run_id, offset = b"", 0
        for data, length in self._read(name, 0, None):
            if run := run_of(data):
                run_id = run
                found[run_id] = (offset, 0)
            begin, size = found.get(run_id, (offset, 0))
            found[run_id] = (begin, size + length)
            offset += length
        found.pop(b"", None)  # what no head stands before
        return [Entry(run, f"{name}#{begin}+{size}", size) for run, (begin, size) in found.items()]

    def _members(self, place: str) -> Iterator[bytes]:
        """Yield what the gzip members at a place hold; nothing where the file is gone."""
        name, _, span = place.partition("#")
        begin, _, length = span.partition("+")
        for data, _ in self._read(name, int(begin), int(length)):
            yield data

    def _read(self, name: str, begin: int, length: int | None) -> Iterator[tuple[bytes, int]]:
        """Yield what each gzip member of a file holds, and its length; from `begin` on, `length` bytes or all."""
        path = self._folder / name
        try:
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123 - opened so
                file.seek(begin)
                yield from _unpacked(file, os.fstat(file.fileno()).st_size - begin if length is None else length)
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"The archive's file {path} cannot be read: {error.strerror}.") from error


def _unpacked(file: BinaryIO, length: int) -> Iterator[tuple[bytes, int]]:
    """Yield what each gzip member within the next `length` bytes of a file holds, and how long it is."""
    rest, left = b"", length
    while rest or left:
        member = zlib.decompressobj(wbits=31)
        found = []
        before = left + len(rest)
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
        yield b"".join(found), before - left - len(rest)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
