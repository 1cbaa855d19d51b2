"""What reading finds wrong, before it is known where in the text that stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from windlass.model.finding import Level

Path = tuple[str | int, ...]
About = Literal["key", "value"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about one place of a document."""

    level: Level
    message: str
    #: Keys and indexes from the root of the document.
    path: Path = ()
    #: Whether the sentence is about the key or the value at `path`.
    about: About = "value"
    #: Line and column from 1, where the parser itself knows them.
    mark: tuple[int, int] | None = None


class Notes:
    """Collects the problems of one document, each sentence once for one place."""

    __slots__ = ("_seen", "errors", "problems")

    def __init__(self) -> None:
        """Start with none."""
        self.problems: list[Problem] = []
        self.errors = 0
        self._seen: set[tuple[str, Path]] = set()

    def error(self, path: Path, message: str, about: About = "value") -> None:
        """Add what makes the document unusable."""
        if (message, path) not in self._seen:
            self._seen.add((message, path))
            self.errors += 1
            self.problems.append(Problem("error", message, path, about))

    def warning(self, path: Path, message: str, about: About = "value") -> None:
        """Add what a person should know and that stops nothing."""
        if (message, path) not in self._seen:
            self._seen.add((message, path))
            self.problems.append(Problem("warning", message, path, about))
