"""What lint says about a place in a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Within:
    """A place in a text of several lines that is a value: a script, say."""

    #: Line of the text, from 1.
    line: int
    #: Character at which an expression begins there, from 0; None where only the line is known.
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one place: what is wrong, where, and what to do."""

    level: Level
    message: str
    position: Position | None = None
    #: Where in the document: keys and list indexes from its root.
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        """Return one unwrapped line, `file:line:column: message`, warnings marked as such."""
        place = f"{self.position}: " if self.position else ""
        mark = "warning: " if self.level == "warning" else ""
        return f"{place}{mark}{self.message}"
