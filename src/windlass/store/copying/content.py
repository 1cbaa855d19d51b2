"""What of a store is copied, and how two copies of a table are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from windlass.store.columns import is_filled
from windlass.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Table

#: What says who does what at this moment: the processes of one store are none of the other.
_OF_THE_MOMENT: Final = frozenset({"duties", "programs"})
#: Bytes of what stands for a row.
_BYTES: Final = 16
_MOST: Final = 1 << (8 * _BYTES)
#: Stands for U+0000, which texts of PostgreSQL cannot hold.
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def copied_tables() -> Iterator[Table]:
    """Yield every table that is copied, those first that others point at."""
    for table in metadata.sorted_tables:
        if table.name not in _OF_THE_MOMENT:
            yield table


def copied_columns(table: Table) -> list[str]:
    """Return the columns that mean the same in every database."""
    return [column.name for column in table.columns if not is_filled(column)]


class Sum:
    """Counts the rows of a table and adds up what stands for each, in whatever order they come."""

    def __init__(self) -> None:
        """Begin with no rows."""
        self.rows = 0
        self._total = 0

    def add(self, row: Sequence[Any]) -> None:
        """Take a row, whose values are numbers, texts, bytes and None."""
        self.rows += 1
        self._total += int.from_bytes(blake2b(repr(tuple(row)).encode(), digest_size=_BYTES).digest())

    @property
    def digest(self) -> str:
        """What two tables have in common only where they have the same rows."""
        return f"{self._total % _MOST:0{2 * _BYTES}x}"

    def __eq__(self, other: object) -> bool:
        """Say whether both saw the same rows."""
        return isinstance(other, Sum) and (self.rows, self.digest) == (other.rows, other.digest)

    __hash__ = None  # type: ignore[assignment] # it changes
