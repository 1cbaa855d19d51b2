"""Lines in which runs wait for a place: one under each key of a limit, one for each project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from windlass.store.transaction import Transaction


class LimitedRun(NamedTuple):
    """A run that has a place, or waits for one."""

    id: bytes
    job_id: bytes
    revision_id: int
    state: str
    cancels: int


COLUMNS = ", ".join(LimitedRun._fields)


@dataclass(frozen=True, slots=True)
class Line:
    """A kind of line; which one of the kind is said by a key or a project."""

    #: SQL that holds for the runs that stand in it, with one mark for the key or the project.
    standing: str

    def first(self, tx: Transaction, of: str, limit: int) -> list[LimitedRun]:
        """Return up to `limit` runs that wait in the line of `of`, the first one first."""
        found = tx.cursor.execute(
            f"SELECT {COLUMNS} FROM runs WHERE {self.standing} ORDER BY limit_rank, id LIMIT ?",  # noqa: S608 - constants only
            (of, limit),
        )
        return [LimitedRun._make(row) for row in found]

    def ahead(self, tx: Transaction, of: str, run_id: bytes) -> int:
        """Count the runs that stand before `run_id` in the line of `of`."""
        found = tx.cursor.execute(
            f"SELECT count(*) FROM runs WHERE {self.standing} AND (limit_rank, id) < "  # noqa: S608 - constants only
            "(SELECT limit_rank, id FROM runs WHERE id = ?)",
            (of, run_id),
        )
        return int(found.fetchone()[0])
