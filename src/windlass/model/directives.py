"""Finding lines such as `##windlass::output {json}` in a stream of bytes, however it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Bytes of one directive; a longer one is reported as too long. More than this is never held.
LONGEST: Final = 66 * 1024

_MARKS: Final = (b"##windlass::", b"##caesium::")
_LONGEST_MARK: Final = max(map(len, _MARKS))


@dataclass(frozen=True, slots=True)
class Directive:
    """One line that speaks to Windlass."""

    #: What follows `::`, such as `output` or `branch`.
    name: str
    #: The rest of the line, without the white space around it.
    payload: bytes
    #: True where the line was longer than can be read; `payload` is then its beginning.
    too_long: bool = False


class DirectiveScanner:
    """Reads a stream piece by piece; a directive starts at the beginning of a line."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        #: The line so far while it is or may become a directive; None in the middle of any other line.
        self._line: bytearray | None = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[Directive]:
        """Return the directives that `data` completes."""
        found: list[Directive] = []
        at = 0
        while at < len(data):
            if self._line is None:
                at = self._skip(data, at)
                continue
            end = data.find(b"\n", at)
            stop = end if end >= 0 else len(data)
            self._take(self._line, data, at, stop)
            if not _may_be_directive(self._line):
                self._line = None
                at = stop
            elif end >= 0:
                found.extend(self._complete(self._line))
                at = end + 1
            else:
                break
        return found

    def finish(self) -> list[Directive]:
        """Return the directive of a last line that has no line break."""
        return self._complete(self._line) if self._line else []

    def _skip(self, data: bytes, at: int) -> int:
        """Move behind the next line break that a directive may follow, or to the end of `data`."""
        place = data.find(b"\n##", at)
        if place < 0:
            place = next((len(data) - len(end) for end in (b"\n", b"\n#") if data.endswith(end, at)), -1)
        if place < 0:
            return len(data)
        self._line = bytearray()
        return place + 1

    def _take(self, line: bytearray, data: bytes, at: int, stop: int) -> None:
        head = min(stop, at + max(0, _LONGEST_MARK - len(line)))
        line += data[at:head]
        if _may_be_directive(line):
            room = LONGEST - len(line)
            line += data[head : min(stop, head + room)]
            self._too_long = self._too_long or stop - head > room

    def _complete(self, line: bytearray) -> list[Directive]:
        self._line = bytearray()
        too_long, self._too_long = self._too_long, False
        for mark in _MARKS:
            if line.startswith(mark):
                name, _, payload = bytes(line[len(mark) :]).partition(b" ")
                return [Directive(name.strip().decode("utf-8", "replace"), payload.strip(), too_long)]
        return []


def _may_be_directive(line: bytearray) -> bool:
    return any(mark.startswith(line[: len(mark)]) for mark in _MARKS)
