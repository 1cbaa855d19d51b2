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
    """Collects the problems of one document, each sentence once for one place, up to a number."""

    __slots__ = ("_limit", "_seen", "errors", "left_out", "problems")

    def __init__(self, limit: int = 200) -> None:
        """Keep up to `limit` problems and count the rest."""
        self.problems: list[Problem] = []
        self.errors = 0
        self.left_out = 0
        self._limit = limit
        self._seen: set[tuple[str, Path]] = set()

    def error(self, path: Path, message: str, about: About = "value") -> None:
        """Add what makes the document unusable."""
        self._add(Problem("error", message, path, about))

    def warning(self, path: Path, message: str, about: About = "value") -> None:
        """Add what a person should know and that stops nothing."""
        self._add(Problem("warning", message, path, about))

    def _add(self, problem: Problem) -> None:
        if (problem.message, problem.path) in self._seen:
            return
        if problem.level == "error":
            self.errors += 1
        if len(self.problems) >= self._limit:
            self.left_out += 1
            return
        self._seen.add((problem.message, problem.path))
        self.problems.append(problem)
