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


class Entry(NamedTuple):
    """A document that an archive holds: of which run, where, and how many bytes it takes."""

    run_id: bytes
    place: str
    size: int


class Archive(Protocol):
    """Where documents are kept. Implementations: the database itself, another SQLite database, files."""

    #: What the catalogue of archived runs calls it: the address of the settings.
    url: str

    async def probe(self) -> None:
        """See that something could be written now; leave nothing. Raises Unavailable or CorruptStore where not."""
        ...

    def plan(self, runs: Sequence[tuple[bytes, int]]) -> list[str]:
        """Return by what names it will know what is written next, of runs as `(id, end)`: note them before it is."""
        ...

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take pieces of runs that were planned; a run that is written again replaces what there was of it."""
        ...

    async def seal(self) -> Mapping[bytes, Kept]:
        """Make everything that was written since the last seal durable; return where each run is."""
        ...

    def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:
        """Yield the document of a run, piece by piece; nothing where there is none.

        Raises CorruptStore where it cannot be read any more.
        """
        ...

    async def discard(self, names: Collection[str]) -> None:
        """Remove what it knows by these names, half written or whole; what is gone already stays gone.

        Raises Unavailable where something cannot be removed.
        """
        ...

    async def mark(self) -> str:
        """Return the mark that the store has left in it, see `marks`; empty where there is none."""
        ...

    async def set_mark(self, mark: str) -> None:
        """Leave a mark, durably, in place of the one before; an empty one removes it."""
        ...

    async def is_empty(self) -> bool:
        """Say whether it holds no document of this store."""
        ...

    async def names(self) -> list[str]:
        """Return by what names it knows all that it holds of this store, half written or whole, in order."""
        ...

    async def entries(self, name: str) -> list[Entry]:
        """Return the documents that it knows by a name; none where it is half written.

        Raises CorruptStore where it is damaged, Unavailable where it cannot be read.
        """
        ...
