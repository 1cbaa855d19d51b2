"""Text as it was before an encoder cut it into lines: base64 by 64 or 76 columns, `xxd -p` by 60."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

#: A line end counts as an encoder's where this many characters of base64 or hexadecimal stand before it; so a line of
#: words is never held back, and no encoder writes shorter lines.
NARROWEST: Final = 16
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_CLASSES: Final = bytes(ord("a") if code in _LETTERS else code if code in b"\r\n" else 32 for code in range(256))
_RUN: Final = b"a" * NARROWEST


class Unwrapped:
    """A text without the line ends of an encoder, and where each of its bytes stands in the text itself."""

    __slots__ = ("_places", "_starts", "data")

    def __init__(self, text: bytes, breaks: list[tuple[int, int]]) -> None:
        """Leave out the `breaks`, start and end of each in ascending order."""
        #: Where each piece begins: in `text`, and in `data`.
        self._places = [0, *(end for _, end in breaks)]
        self._starts = [0]
        pieces = []
        for place, (start, _) in zip(self._places, breaks, strict=False):
            pieces.append(text[place:start])
            self._starts.append(self._starts[-1] + start - place)
        pieces.append(text[self._places[-1] :])
        self.data = b"".join(pieces)

    def place(self, at: int) -> int:
        """Return where byte `at` of `data` stands in the text."""
        piece = bisect_right(self._starts, at) - 1
        return self._places[piece] + at - self._starts[piece]

    def spans(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return where the bytes from `start` to `end` of `data` stand in the text: one span for each line."""
        found = []
        piece = bisect_right(self._starts, start) - 1
        while start < end:
            last = self._starts[piece + 1] if piece + 1 < len(self._starts) else end
            size = min(end, last) - start
            if size > 0:
                place = self._places[piece] + start - self._starts[piece]
                found.append((place, place + size))
                start += size
            piece += 1
        return found


def encoder_breaks(lead: bytes, text: bytes) -> list[tuple[int, int]]:
    """Return start and end of every line end in `text` that an encoder may have put there.

    `lead` are the bytes before `text`, of which no more than `NARROWEST` matter. A carriage return at the end counts
    as well: a line feed may follow.
    """
    if b"\n" not in text and not text.endswith(b"\r"):
        return []
    skip = len(lead)
    classes = (lead + text).translate(_CLASSES)
    found: list[tuple[int, int]] = []
    for end_of_line in (b"\n", b"\r\n") if b"\r" in text else (b"\n",):
        at = classes.find(_RUN + end_of_line)
        while at >= 0:
            start = at + NARROWEST - skip
            if start >= 0:
                found.append((start, start + len(end_of_line)))
            at = classes.find(_RUN + end_of_line, at + NARROWEST + len(end_of_line))
    if classes.endswith(_RUN + b"\r"):
        found.append((len(text) - 1, len(text)))
    return sorted(found)
