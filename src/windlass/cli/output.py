"""What commands print: values as table, JSON or YAML on standard output, notes on standard error."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Final, TextIO

from windlass.cli.table import Column, table_lines
from windlass.cli.text import clean
from windlass.errors import OutputLost, ReaderGone

#: Formats of every result; a command may have more.
FORMATS: Final = ("table", "json", "yaml")
#: What JSON leaves as it is and some terminals act on.
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Output:
    """Where a command prints to, and how."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        """Print to the process's own streams unless others are given."""
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.format = "table"
        self.quiet = False
        #: Makes room on the terminal for a line, where something else is painted there.
        self.lifted: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def terminal(self) -> bool:
        """True where a person watches standard output."""
        return self.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def colours(self) -> bool:
        """True where standard output shows colours and nobody asked for none."""
        return self.terminal and not os.environ.get("NO_COLOR")

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where there is none."""
        return shutil.get_terminal_size().columns if self.terminal else None

    def value(self, value: Any, show: Callable[[], Iterable[str]]) -> None:
        """Print a value: JSON or YAML where asked for, else the lines that `show` makes of it."""
        match self.format:
            case "json":
                self.write(to_json(value) + "\n")
            case "yaml":
                self.write(to_yaml(value))
            case _:
                for line in show():
                    self.line(line)
        self.flush()

    def compact(self, value: Any) -> None:
        """Print a value of a stream: JSON on one line, or a YAML document."""
        if self.format == "yaml":
            self.write("---\n" + to_yaml(value))
        else:
            self.write(escaped(json.dumps(value, ensure_ascii=False)) + "\n")

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], nothing: str) -> None:
        """Print a list; `nothing` goes to standard error where it is empty and a person reads.

        `--quiet` leaves what names each thing, one a line, for scripts.
        """
        if self.quiet and self.format == "table" and all(_name_of(row) for row in rows):
            self.value(rows, lambda: [clean(_name_of(row)) for row in rows])
        else:
            self.value(list(rows), lambda: self._table(rows, columns, nothing))

    def line(self, text: str) -> None:
        """Print a line that is safe already."""
        self.write(text + "\n")

    def done(self, text: str) -> None:
        """Tell on standard output what was done, unless `--quiet` or a machine reads."""
        if not self.quiet and self.format == "table":
            self.line(clean(text))

    def note(self, text: str) -> None:
        """Tell something beside the result on standard error, unless `--quiet`."""
        if not self.quiet:
            self.error(text)

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self.error(f"warning: {text}")

    def error(self, text: str) -> None:
        """Print a line on standard error; where nobody takes it, the command goes on as it would."""
        with self.lifted() if self.stderr.isatty() else nullcontext():
            with suppress(OSError):
                self.stdout.flush()
            with suppress(OSError):
                self.stderr.write(clean(text) + "\n")
                self.stderr.flush()

    def write(self, text: str) -> None:
        """Print text that is safe already."""
        self._put(self.stdout.write, text)

    def write_bytes(self, data: bytes) -> None:
        """Print bytes as they are."""
        self.flush()
        self._put(self.stdout.buffer.write, data)

    def flush(self) -> None:
        """Hand everything printed so far to whoever reads."""
        self._put(self.stdout.flush)

    def _put(self, put: Callable[..., object], *what: str | bytes) -> None:
        """Raise OutputLost where standard output takes nothing, ReaderGone where its reader went away."""
        try:
            put(*what)
        except BrokenPipeError:
            raise ReaderGone("Nobody reads the output any more.") from None
        except OSError as error:
            raise OutputLost(f"Standard output cannot be written: {error.strerror}.") from None

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], nothing: str) -> Iterable[str]:
        if not rows:
            self.note(nothing)
            return ()
        return table_lines(columns, rows, width=self.width, colours=self.colours)


def _name_of(row: Mapping[str, Any]) -> str:
    """Return what a command would be given to mean the thing of a row; an empty text where there is nothing such."""
    return str(next((row[key] for key in ("alias", "id", "name", "seq") if row.get(key) is not None), ""))


def to_json(value: Any) -> str:
    """Return JSON that is safe to print; what a terminal might act on is escaped."""
    return escaped(json.dumps(value, indent=2, ensure_ascii=False))


def escaped(text: str) -> str:
    """Return JSON text in which nothing is left that a terminal might act on."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_yaml(value: Any) -> str:
    """Return YAML of a JSON value, which reads back as that value by the rules of 1.1 and of 1.2."""
    from windlass.cli.yaml_text import dumped  # noqa: PLC0415 - only for those who ask for it

    return dumped(value)


def detail_lines(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return names and values beside each other; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    widest = max((len(name) for name, _ in shown), default=0)
    return [f"{name:<{widest}}  {value}" for name, value in shown]
