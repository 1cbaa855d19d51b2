"""The picture at the lower end of a terminal: what is left of it after resizes, interrupts and lines of others."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.output import Output
from windlass.cli.watch.screen import Screen, lines_taken

_PIECES = re.compile(r"\x1b\[(\??)(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """A terminal that breaks long lines anew when it is resized, as most do."""

    def __init__(self, columns: int = 40) -> None:
        """Begin empty, with the cursor shown."""
        super().__init__()
        self.columns = columns
        #: Each line with whether it goes on the one above it.
        self.rows: list[tuple[str, bool]] = [("", False)]
        self.at = 0
        self.column = 0
        self.cursor = True

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for private, number, command, end, plain in _PIECES.findall(text):
            if private:
                self.cursor = command == "h"
            elif command == "A":
                self.at = max(0, self.at - int(number))
            elif command == "K":
                self.rows[self.at] = ("", False)
            elif end == "\r":
                self.column = 0
            elif end == "\n":
                self._down(goes_on=False)
            elif plain:
                self._put(plain)
        return len(text)

    def _put(self, text: str) -> None:
        for character in text:
            if self.column == self.columns:
                self._down(goes_on=True)
            line, goes_on = self.rows[self.at]
            self.rows[self.at] = (line[: self.column].ljust(self.column) + character + line[self.column + 1 :], goes_on)
            self.column += 1

    def _down(self, *, goes_on: bool) -> None:
        self.at += 1
        self.column = 0
        if self.at == len(self.rows):
            self.rows.append(("", goes_on))

    def resize(self, columns: int) -> None:
        assert self.column == 0
        assert not any(line for line, _ in self.rows[self.at :])
        del self.rows[self.at + 1 :]
        whole: list[str] = []
        for line, goes_on in self.rows:
            whole[-1:] = [whole[-1] + line] if goes_on else [*whole[-1:], line]
        self.columns = columns
        self.rows = [
            (line[begin : begin + columns], begin > 0)
            for line in whole
            for begin in range(0, max(len(line), 1), columns)
        ]
        self.at = len(self.rows) - 1

    @property
    def shown(self) -> list[str]:
        """Return the lines down to the last that is not empty."""
        lines = [line.rstrip() for line, _ in self.rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return sized(Terminal(), monkeypatch, 40)


def sized(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int) -> Terminal:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "20")
    if terminal.columns != columns:
        terminal.resize(columns)
    return terminal


def picture(*lines: str) -> list[list[tuple[str, str]]]:
    return [[(line[:3], "red"), (line[3:], "")] for line in lines]


def test_a_picture_takes_the_place_of_the_one_before(terminal: Terminal) -> None:
    with Screen(Output(terminal, terminal)) as screen:
        screen.paint(picture("one", "two", "three"))
        assert terminal.cursor is False
        screen.paint(picture("four"))
        assert terminal.shown == ["four"]
        screen.paint(picture("five", "six"))
    assert (terminal.shown, terminal.cursor) == (["five", "six"], True)


def test_nothing_stale_is_left_when_the_terminal_gets_narrower_and_wider(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.write("$ windlass run watch\n")
    with Screen(Output(terminal, terminal)) as screen:
        for columns in (25, 12, 40, 9, 30):
            screen.paint(picture(*(sign * (terminal.columns - 1) for sign in "abc")))
            sized(terminal, monkeypatch, columns)
        screen.paint(picture("end"))
    sized(terminal, monkeypatch, 40)
    assert terminal.shown == ["$ windlass run watch", "end"]


def test_the_echo_of_an_interrupt_and_what_it_is_answered_with_leave_no_line_of_the_picture(
    terminal: Terminal,
) -> None:
    out = Output(terminal, terminal)
    with Screen(out) as screen:
        screen.paint(picture("working", "waiting"))
        terminal.write("^C")
        out.error("windlass: interrupted, stopping the run")
        screen.paint(picture("cancelling", "tidying"))
        terminal.write("^C")
        screen.paint(picture("cancelled", "tidied"))
    assert terminal.shown == ["windlass: interrupted, stopping the run", "cancelled", "tidied"]


def test_what_is_printed_meanwhile_stands_above_in_its_order(terminal: Terminal) -> None:
    with Screen(Output(terminal, terminal)) as screen:
        screen.paint(picture("working"))
        screen.above("first\nsecond\n")
        screen.above("third\n")
        screen.paint(picture("working still"))
        screen.above("x" * 70_000 + "\n")
        screen.above("last\n")
    assert terminal.shown[:3] == ["first", "second", "third"]
    assert terminal.shown[-2] == "x" * (70_000 % 40 or 40)
    assert terminal.shown[-1] == "last"
    assert "working still" not in terminal.shown


def test_a_picture_that_is_broken_off_is_taken_away_and_a_later_one_leaves_alone_what_came_since(
    terminal: Terminal,
) -> None:
    out = Output(terminal, terminal)
    screen = Screen(out)

    def broken() -> None:
        with screen:
            screen.paint(picture("working", "waiting"))
            screen.above("said\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert (terminal.shown, terminal.cursor) == (["said"], True)
    out.error("the server went away")
    out.error("the server is back")
    with screen:
        screen.paint(picture("done"))
    assert terminal.shown == ["said", "the server went away", "the server is back", "done"]


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(0, 200), st.integers(0, 50))
def test_no_more_is_erased_than_the_terminal_shows(widths: list[int], columns: int, lines: int) -> None:
    taken = lines_taken(widths, columns, lines)
    assert 0 <= taken <= max(0, lines - 1)
    assert taken >= min(len(widths), max(0, lines - 1))
