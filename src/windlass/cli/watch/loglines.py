"""Chunks of output as lines: whole ones, each behind the step that wrote it."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.cli.states import paint
from windlass.cli.text import clean, instant

#: Characters after which a line without an end is printed in pieces.
_LONGEST: Final = 8192
_PALETTE: Final = ("cyan", "magenta", "yellow", "blue", "green")
Key = tuple[str, int, str]


@dataclass(slots=True)
class _Rest:
    """What of a stream is not yet a whole line."""

    label: str
    colour: str
    decode: codecs.IncrementalDecoder
    text: str = ""
    at: str = ""


@dataclass(slots=True)
class LogLines:
    """Writes chunks of many tasks as lines that never mix."""

    write: Callable[[str], object]
    colours: bool = False
    timestamps: bool = False
    #: True where each line begins with its step.
    named: bool = True
    #: True where a line says where the output of a further attempt begins.
    marks: bool = False
    _rests: dict[Key, _Rest] = field(default_factory=dict)
    _colours: dict[str, str] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Write the lines that a chunk completes."""
        rest = self._rest(chunk)
        if self.marks:
            self._mark(chunk, rest)
        rest.at = rest.at if rest.text else chunk["at"]
        *lines, text = (rest.text + rest.decode.decode(chunk_bytes(chunk))).split("\n")
        for line in lines:
            self._line(rest, line)
            rest.at = chunk["at"]
        while len(text) > _LONGEST:
            self._line(rest, text[:_LONGEST])
            text = text[_LONGEST:]
        rest.text = text

    def close(self) -> None:
        """Write what is left without a line end."""
        for rest in self._rests.values():
            self._end(rest)

    def _end(self, rest: _Rest) -> None:
        rest.text += rest.decode.decode(b"", final=True)
        if rest.text:
            self._line(rest, rest.text)
            rest.text = ""

    def _mark(self, chunk: Mapping[str, Any], rest: _Rest) -> None:
        """Write where the output of a further attempt begins, behind what is left of the one before."""
        task, attempt = chunk["taskId"], chunk["attempt"]
        if attempt == self._attempts.setdefault(task, 1):
            return
        self._attempts[task] = attempt
        for (of_task, of, _), before in self._rests.items():
            if of_task == task and of != attempt:
                self._end(before)
        rest.at = chunk["at"]
        self._line(rest, f"--- attempt {attempt} ---")

    def _rest(self, chunk: Mapping[str, Any]) -> _Rest:
        key = (chunk["taskId"], chunk["attempt"], chunk["stream"])
        found = self._rests.get(key)
        if found is None:
            label = chunk["step"] + (f"[{chunk['key']}]" if chunk["key"] else "")
            colour = self._colours.setdefault(label, _PALETTE[len(self._colours) % len(_PALETTE)])
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            found = self._rests[key] = _Rest(label, colour, decoder)
        return found

    def _line(self, rest: _Rest, text: str) -> None:
        text = shown_line(text)
        begin = f"{_clock(rest.at)} " if self.timestamps else ""
        label = f"{paint(rest.label, rest.colour) if self.colours else rest.label} | " if self.named else ""
        self.write(f"{begin}{label}{text}\n")


def chunk_bytes(chunk: Mapping[str, Any]) -> bytes:
    """Return the bytes of a chunk as they were written."""
    text = chunk["data"]
    return base64.b64decode(chunk["base64"]) if text is None else str(text).encode()


def shown_line(text: str) -> str:
    """Return a line as a terminal leaves it: what is behind the last carriage return, without control characters."""
    return clean(text.removesuffix("\r").rpartition("\r")[2])


def _clock(at: str) -> str:
    found = instant(at)
    return "" if found is None else found.astimezone().strftime("%H:%M:%S.%f")[:-3]
