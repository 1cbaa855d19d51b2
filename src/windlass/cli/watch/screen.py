"""The lower end of a terminal, painted again and again; what is printed meanwhile stands above it."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

from windlass.cli.output import Output
from windlass.cli.states import paint
from windlass.cli.text import width_of

#: Text with the style it is shown in.
Part = tuple[str, str]
Row = Sequence[Part]

_HIDE: Final = "\x1b[?25l"
_SHOW: Final = "\x1b[?25h"
#: Empties the line below the picture, where the terminal echoes a Ctrl-C.
_HERE: Final = "\r\x1b[2K"
_ABOVE: Final = "\x1b[1A\x1b[2K"
#: Characters above the picture that wait for the next one.
_MOST_WAITING: Final = 64 * 1024


class Screen:
    """Paints pictures over one another while it is entered; the last one stays when it is left in good order.

    Threads may share it. Without it a SIGTERM would leave the cursor hidden; with it that ends the command as Ctrl-C.
    """

    def __init__(self, out: Output) -> None:
        """Paint on the terminal of `out`."""
        self._out = out
        self._lock = threading.RLock()
        self._widths: list[int] = []
        self._waiting: list[str] = []
        self._size = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Hide the cursor, and have what others print lift the picture."""
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(one) is signal.SIG_DFL:
                    self._before[one] = signal.signal(one, _interrupt)
        self._out.lifted = self.lifted
        self._out.write(_HIDE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Show the cursor; a picture that was broken off is taken away, for it would say what is no longer so."""
        self._out.lifted = nullcontext
        for one, before in self._before.items():
            signal.signal(one, before)
        with self._lock:
            begin = "" if error is None else self._erased()
            waiting = "".join(self._waiting)
            self._forget()
            self._out.write(begin + waiting + _SHOW)
            self._out.flush()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal as it is now."""
        return shutil.get_terminal_size()

    def paint(self, rows: Sequence[Row]) -> None:
        """Replace the picture; what waits goes above it."""
        lines = [
            "".join(paint(text, style) if self._out.colours else text for text, style in row) + "\n" for row in rows
        ]
        with self._lock:
            self._out.write(self._erased() + "".join(self._waiting) + "".join(lines))
            self._out.flush()
            self._forget()
            self._widths = [sum(width_of(text) for text, _ in row) for row in rows]

    def above(self, text: str) -> None:
        """Print whole lines above the picture, with the next one."""
        with self._lock:
            self._waiting.append(text)
            self._size += len(text)
            if self._size > _MOST_WAITING:
                self._lift()

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Take the picture away while somebody else prints a line; the next one comes below that."""
        with self._lock:
            self._lift()
            yield

    def _lift(self) -> None:
        self._out.write(self._erased() + "".join(self._waiting))
        self._out.flush()
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._size = 0
        self._widths = []

    def _erased(self) -> str:
        """Return what takes the picture off the terminal, whose size may have changed since."""
        if not self._widths:
            return ""
        columns, lines = self.size
        return _HERE + _ABOVE * lines_taken(self._widths, columns, lines)


def lines_taken(widths: Sequence[int], columns: int, lines: int) -> int:
    """Return how many lines of the terminal rows of text take, as far as they can still be reached.

    A terminal that gets narrower breaks lines that are too long for it in two.
    """
    taken = sum(max(1, -(-width // max(1, columns))) for width in widths)
    return min(taken, max(0, lines - 1))


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
