"""Runs a program on a terminal of its own and keeps what that showed, picture by picture."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.text import Text

#: Seconds within which two writes belong to one picture.
_TOGETHER: Final = 0.03
#: What a live picture writes before it paints itself again.
_AGAIN: Final = re.compile(r"\r(?:\x1b\[2K)?(?:\x1b\[1A\x1b\[2K)+")
_CURSOR: Final = re.compile(r"\x1b\[\?25[lh]")


@dataclass(frozen=True, slots=True)
class Frame:
    """What the terminal shows from a moment on."""

    #: Seconds since the first frame.
    at: float
    lines: tuple[Text, ...]


def record(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, columns: int, lines: int
) -> tuple[Frame, ...]:
    """Run `command` in `folder` on a terminal of that size. Raises RuntimeError where its exit status is not 0."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.chdir(folder)
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - what the caller chose
    blocks: list[tuple[float, bytes]] = []
    for at, block in _blocks(terminal):
        if blocks and at - blocks[-1][0] < _TOGETHER:
            blocks[-1] = blocks[-1][0], blocks[-1][1] + block
        else:
            blocks.append((at, block))
    if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError(f"{' '.join(command)} ended with {status}")
    return tuple(frames_of(blocks, columns))


def _blocks(terminal: int) -> Iterator[tuple[float, bytes]]:
    """Yield what is written, and when, until the other side is closed."""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:
            block = b""
        if not block:
            os.close(terminal)
            return
        yield time.monotonic(), block


def frames_of(blocks: Sequence[tuple[float, bytes]], columns: int) -> Iterator[Frame]:
    """Yield what stands on the terminal after each block: seconds, and what was written then."""
    live = ""
    for at, block in blocks:
        text = _CURSOR.sub("", block.decode()).replace("\r\n", "\n")
        pictures = _AGAIN.split(text)
        live = pictures[-1] if len(pictures) > 1 else live + text
        lines = Text.from_ansi(live).split("\n", allow_blank=True)
        yield Frame(at - blocks[0][0], tuple(part for line in lines for part in _broken(line, columns)))


def _broken(line: Text, columns: int) -> list[Text]:
    """Return a line as a terminal shows one that is too long."""
    return list(line.divide(range(columns, len(line), columns)))
