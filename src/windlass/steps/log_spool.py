"""Output that waits for a store that is away: in memory first, then in a file that nobody else sees."""

from __future__ import annotations

import os
import struct
from collections import deque
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from windlass.model.log_quota import Piece, Stream

#: Bytes that wait in memory.
DEFAULT_MEMORY: Final = 1024 * 1024
_STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr", "system")
_HEAD: Final = struct.Struct("<qBI")  # when, number of the stream, length of what follows


class LogSpool:
    """Pieces of output in the order in which they came.

    How much comes is bounded by the quota of the log, which is kept before anything is put here.
    """

    def __init__(self, folder: Path | None = None, *, memory: int = DEFAULT_MEMORY) -> None:
        """Keep `memory` bytes here and the rest in a file in `folder`, which has no name and ends with this process."""
        self._folder = folder
        self._memory = memory
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._file: IO[bytes] | None = None
        #: Where the file is read and written next, and how many pieces stand in between.
        self._read, self._end, self._filed = 0, 0, 0

    def __bool__(self) -> bool:
        """Say whether anything waits."""
        return bool(self._pieces or self._filed)

    @property
    def full(self) -> bool:
        """True where there is no more place in memory, and no file beside it."""
        return self._size >= self._memory and self._folder is None

    def put(self, piece: Piece) -> None:
        """Take a piece. Where the file cannot take it, memory does, and no file is tried again."""
        if self._folder is not None and (self._filed or self._size + len(piece.data) > self._memory):
            try:
                self._write(self._folder, piece)
            except OSError:
                self._refill()
                self._folder = None
            else:
                return
        self._pieces.append(piece)
        self._size += len(piece.data)

    def first(self) -> Piece:
        """Return the piece that came first. Raises IndexError where none waits."""
        if not self._pieces and self._filed:
            self._take()
        return self._pieces[0]

    def drop(self) -> None:
        """Let go of the first piece."""
        self._size -= len(self._pieces.popleft().data)
        if not self:
            self.close()

    def close(self) -> None:
        """Let go of the file and all that stands there."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._read, self._end, self._filed = 0, 0, 0

    def _write(self, folder: Path, piece: Piece) -> None:
        if self._file is None:
            self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - lives for as long as anything waits
        file = self._file.fileno()
        row = _HEAD.pack(piece.at, _STREAMS.index(piece.stream), len(piece.data)) + piece.data
        written = 0
        while written < len(row):  # a disk that gets full takes a part; what follows then raises
            written += os.pwrite(file, row[written:], self._end + written)
        self._end += len(row)
        self._filed += 1

    def _take(self) -> None:
        """Move the first piece of the file to memory."""
        if self._file is None:
            return
        file = self._file.fileno()
        at, stream, size = _HEAD.unpack(os.pread(file, _HEAD.size, self._read))
        data = os.pread(file, size, self._read + _HEAD.size)
        self._read += _HEAD.size + size
        self._filed -= 1
        self._pieces.append(Piece(at, _STREAMS[stream], data))
        self._size += len(data)

    def _refill(self) -> None:
        """Take everything out of the file, so that what follows can stand behind it."""
        while self._filed:
            self._take()
        self.close()
