"""What a write-ahead log holds beyond the place where SQLite ceases to believe it, and what of it is gone.

SQLite reads a log up to the first frame whose checksum is wrong and forgets the rest. That is right after a power cut,
which can spoil the last transaction, the one that nobody was told of. It is wrong where a byte in the middle went bad:
then transactions are forgotten that were accepted. The same holds of a log that was cut off: it is shorter than the
index says that its last owner, where that was killed, left beside it. Formats:
https://www.sqlite.org/fileformat.html#walformat, https://www.sqlite.org/walformat.html#the_wal_index_file_format
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct(">IIIIIIII")
_FRAME: Final = struct.Struct(">IIII")
_FRAME_SIZE: Final = 24
#: Where the marks stand in the header of a log, which it has in common with its frames and its index.
_MARKS: Final = slice(16, 24)
#: Place of the size of a page in the header of a database; 1 stands for 65,536.
_PAGE_SIZE: Final = struct.Struct(">H")
_PAGE_SIZE_AT: Final = 16
#: Place of the number of the last good frame in the index of the log, in the machine's own byte order.
_LAST_GOOD: Final = struct.Struct("@I")
_LAST_GOOD_AT: Final = 16
#: The header of that index, which stands there twice: whether it is made, the size of a page, its last good frame, and
#: the marks of its log.
_INDEX: Final = struct.Struct("@12xB1xHI12x8s8x")
#: Transactions that a power cut can leave half written.
_UNTOLD: Final = 1


def forgotten_commits(database: Path, known: int = 0) -> int:
    """Return how many accepted transactions in the log of `database` SQLite would forget.

    A connection must have read the database and still be open: the index that it made says how far it came. Up to the
    frame `known` all transactions were on the disk.
    """
    with database.with_name(f"{database.name}-shm").open("rb") as index:
        index.seek(_LAST_GOOD_AT)
        (last_good,) = _LAST_GOOD.unpack(index.read(_LAST_GOOD.size))
    with database.with_name(f"{database.name}-wal").open("rb") as log:
        forgotten = [number for number in _commits(log, lambda: _page_size(database)) if number > last_good]
    told = len(forgotten) > _UNTOLD or any(number <= known for number in forgotten)
    return len(forgotten) if told else 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the index that a killed owner left says of a log."""

    #: Number of the last frame of a transaction that was on the disk.
    frames: int
    #: Bytes of the log that are gone at its end.
    missing: int


def known_end(database: Path) -> Known:
    """Return what is known of the end of the log of `database`; nothing without an index, or by one of another log.

    No connection may have read the database since its last owner: it would have made the index anew.
    """
    nothing = Known(0, 0)
    try:
        with database.with_name(f"{database.name}-shm").open("rb") as file:
            first, second = file.read(_INDEX.size), file.read(_INDEX.size)
        with database.with_name(f"{database.name}-wal").open("rb") as file:
            header = file.read(_HEADER.size)
            there = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return nothing
    if len(first) < _INDEX.size or first != second:
        return nothing
    made: int
    size: int
    frames: int
    made, size, frames, marks = _INDEX.unpack(first)
    of_this_log = len(header) < _HEADER.size or header[_MARKS] == marks
    if not made or not of_this_log:
        return nothing
    page_size = 1 << 16 if size == 1 else size
    whole = _HEADER.size + frames * (_FRAME_SIZE + page_size) if frames else 0
    return Known(frames, max(0, whole - there))


def _page_size(database: Path) -> int:
    """Return the bytes of a page by the header of the database."""
    with database.open("rb") as file:
        file.seek(_PAGE_SIZE_AT)
        (size,) = _PAGE_SIZE.unpack(file.read(_PAGE_SIZE.size).ljust(_PAGE_SIZE.size, b"\0"))
    return 1 << 16 if size == 1 else int(size) or 1 << 16


def _commits(log: BinaryIO, page_size_otherwise: Callable[[], int]) -> Iterator[int]:
    """Yield the numbers, from 1, of frames that end a transaction since the log was last begun anew.

    `page_size_otherwise` tells the size of a page where the log's own header is spoilt.
    """
    header = log.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return
    _, _, page_size, _, *marks = _HEADER.unpack(header)
    if not _is_whole(header):
        # Any of it may be wrong: the first frame bears the same marks.
        page_size, marks = page_size_otherwise(), list(_FRAME.unpack(log.read(_FRAME.size).ljust(_FRAME.size, b"\0")))
        marks = [*marks[2:], 0, 0]
    salts = tuple(marks[:2])
    number = 0
    while True:
        log.seek(_HEADER.size + number * (_FRAME_SIZE + page_size))
        frame = log.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return
        number += 1
        _, pages_after, *found = _FRAME.unpack(frame)
        if pages_after and tuple(found) == salts:
            yield number


def _is_whole(header: bytes) -> bool:
    """Say whether the checksum of a log's header is right."""
    order = ">" if header[3] & 1 else "<"
    words = struct.unpack(f"{order}6I", header[:24])
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return (first, second) == struct.unpack(">2I", header[24:])
