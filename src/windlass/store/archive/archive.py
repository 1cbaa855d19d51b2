"""The contract of an archive: it keeps documents of runs, and gives them back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol


class Piece(NamedTuple):
    """A piece of a run's document, not compressed; the pieces of a run come in order and side by side."""

    run_id: bytes
    number: int
    data: bytes
    #: When the run ended, in microseconds.
    finished_at: int


class Kept(NamedTuple):
    """Where the document of a run is, and how many bytes it takes there."""

    place: str
    size: int


class Archive(Protocol):
    """Where documents are kept. Implementations: the database itself, another SQLite database, files."""

    #: What the catalogue of archived runs calls it: the address of the settings.
    url: str

    async def probe(self) -> None:
        """See that something could be written now; leave nothing. Raises Unavailable or CorruptStore where not."""
        ...

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take pieces; a run that is written again replaces what there was of it."""
        ...

    async def seal(self) -> Mapping[bytes, Kept]:
        """Make everything that was written since the last seal durable; return where each run is."""
        ...

    def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:
        """Yield the document of a run, piece by piece; nothing where there is none.

        Raises CorruptStore where it cannot be read any more.
        """
        ...

    async def remove(self, runs: Sequence[tuple[bytes, str]]) -> None:
        """Forget runs by `(id, place)`; what is gone already stays gone."""
        ...

    async def tidy(self, known: Collection[str]) -> int:
        """Remove what no place of `known` speaks of, left by a process that was killed; return how many things."""
        ...
