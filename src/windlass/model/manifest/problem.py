"""What reading finds wrong, before it is known where in the text that stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from windlass.model.finding import Level, Within

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
    #: Where in the text at `path`, where that is known.
    within: Within | None = None


class Enough(Exception):
    """So much is wrong with a document that looking on is of no use."""


class Notes:
    """Collects the problems of one document, each sentence once for one place, up to a number."""

    __slots__ = ("_limit", "_seen", "errors", "left_out", "problems")

    def __init__(self, limit: int = 200) -> None:
        """Keep up to `limit` warnings, counting the rest, and stop at as many errors."""
        self.problems: list[Problem] = []
        self.errors = 0
        #: Warnings that were not kept.
        self.left_out = 0
        self._limit = limit
        self._seen: set[tuple[str, Path]] = set()

    def error(self, path: Path, message: str, about: About = "value", within: Within | None = None) -> None:
        """Add what makes the document unusable; raises Enough when there is no room for more."""
        if (message, path) not in self._seen:
            self._seen.add((message, path))
            self.problems.append(Problem("error", message, path, about, within=within))
            self.errors += 1
            if self.errors >= self._limit:
                raise Enough

    def warning(self, path: Path, message: str, about: About = "value", within: Within | None = None) -> None:
        """Add what a person should know and that stops nothing."""
        if len(self.problems) - self.errors >= self._limit:
            self.left_out += 1
        elif (message, path) not in self._seen:
            self._seen.add((message, path))
            self.problems.append(Problem("warning", message, path, about, within=within))


def texts(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every text of canonical content with its path."""
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, one = pending.pop()
        if isinstance(one, str):
            yield path, one
        elif isinstance(one, Mapping):
            pending.extend(((*path, key), item) for key, item in one.items())
        elif isinstance(one, list):
            pending.extend(((*path, index), item) for index, item in enumerate(one))
