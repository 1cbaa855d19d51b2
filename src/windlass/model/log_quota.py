"""How much of an attempt's output is kept: the first part and the last part of it, the middle is left out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final, Literal

#: Where output comes from; `system` is what Windlass itself says about the attempt.
Stream = Literal["stdout", "stderr", "system"]

#: The end of an over-long output stays in memory until the attempt ends, so its size is bounded.
_LONGEST_TAIL: Final = 1024 * 1024
#: Small neighbours are joined, so that a tail of single bytes does not cost a hundred bytes each.
_JOIN_BELOW: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Some output of one stream."""

    #: When it was read, in microseconds since the epoch.
    at: int
    stream: Stream
    data: bytes


class LogQuota:
    """Decides byte by byte what of an attempt's output is kept within `limit` bytes.

    The first bytes are admitted at once. Once they have used up their share, the rest is kept back and only its end
    stays: a quarter of the limit, at most 1 MiB.
    """

    def __init__(self, limit: int) -> None:
        """Allow `limit` bytes in all."""
        self._tail_limit = min(max(limit, 0) // 4, _LONGEST_TAIL)
        self._room = max(limit, 0) - self._tail_limit
        self._tail: deque[Piece] = deque()
        self._tail_size = 0
        self.limit = limit
        #: Bytes that are left out so far.
        self.left_out = 0
        #: True once some output had to be kept back.
        self.full = False

    @property
    def tail_limit(self) -> int:
        """Bytes of the end that are kept."""
        return self._tail_limit

    def admit(self, piece: Piece) -> bytes:
        """Return the first bytes of `piece`, those to store now; the others are kept back."""
        now = piece.data[: self._room] if self._room < len(piece.data) else piece.data
        self._room -= len(now)
        if len(now) < len(piece.data):
            self.full = True
            self._keep_back(replace(piece, data=piece.data[len(now) :]))
        return now

    def close(self) -> list[Piece]:
        """Return what was kept back, to be stored after a line that names `left_out`."""
        tail = list(self._tail)
        self._tail.clear()
        self._tail_size = 0
        return tail

    def _keep_back(self, piece: Piece) -> None:
        last = self._tail[-1] if self._tail else None
        if last and last.stream == piece.stream and len(last.data) + len(piece.data) < _JOIN_BELOW:
            self._tail[-1] = replace(last, data=last.data + piece.data)
        else:
            self._tail.append(piece)
        self._tail_size += len(piece.data)
        while self._tail_size > self._tail_limit:
            over = self._tail_size - self._tail_limit
            first = self._tail[0]
            if len(first.data) <= over:
                self._tail.popleft()
                gone = len(first.data)
            else:
                self._tail[0] = replace(first, data=first.data[over:])
                gone = over
            self._tail_size -= gone
            self.left_out += gone
