"""What was seen of runs once they were final: it stays as it is, wherever they are later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from windlass.ids import id_text
from windlass.store.transaction import Transaction

#: The tables with the history of a run, and its column there. They are named here once more: the oracle must not
#: forget what the archive forgets.
HISTORY: Final = {
    "runs": "id",
    "run_dependencies": "run_id",
    "tasks": "run_id",
    "attempts": "run_id",
    "events": "run_id",
    "artifacts": "run_id",
    "log_chunks": "run_id",
}
#: Columns that may change after the end of a run.
_LATER: Final = {
    "runs": {
        "note", "awaited", "deleting", "restored_at", "parent_id", "root_id", "sla", "sla_at", "sla_missed", "cancels",
        "cancel_requested_at",
    },
    "run_dependencies": {"settled"},
    "tasks": {"requeued_as"},
}  # fmt: skip


class Seen:
    """The contents of final runs as they were when they were seen first, and whose children runs are."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._rows: dict[bytes, dict[str, frozenset[bytes]]] = {}
        self._parents: dict[bytes, bytes] = {}

    def look(self, tx: Transaction) -> list[str]:
        """Look at all runs; return which of them are not what they were."""
        found = []
        for run_id, parent, finished in tx.cursor.execute("SELECT id, parent_id, finished_at FROM runs").fetchall():
            if parent is not None:
                self._parents[run_id] = parent
            if finished is None:
                continue
            rows = {table: frozenset(_rows(tx, table, column, run_id)) for table, column in HISTORY.items()}
            before = self._rows.setdefault(run_id, rows)
            for table in HISTORY:
                # What is told after the end adds to the events.
                same = before[table] <= rows[table] if table == "events" else before[table] == rows[table]
                if not same:
                    found.append(f"O1 run {id_text(run_id)}: its {table} are not what they were at its end")
        return found

    def kin(self) -> Seen:
        """Return what knows the same parents, and has seen nothing."""
        found = Seen()
        found._parents = dict(self._parents)
        return found

    def ancestors(self, run_id: bytes) -> Iterator[bytes]:
        """Yield a run, the run that started it, and so on."""
        above: bytes | None = run_id
        while above is not None:
            yield above
            above = self._parents.get(above)

    def knows(self, run_id: bytes) -> bool:
        """Say whether a run was ever seen final, or as a child."""
        return run_id in self._rows or run_id in self._parents


def _rows(tx: Transaction, table: str, column: str, run_id: bytes) -> Iterator[bytes]:
    left_out: set[str] = _LATER.get(table, set())
    cursor = tx.cursor.execute(f"SELECT * FROM {table} WHERE {column} = ?", (run_id,))  # noqa: S608 - constants
    names = [one[0] for one in cursor.description]
    for row in cursor.fetchall():
        kept: list[tuple[str, Any]] = [
            (name, value) for name, value in zip(names, row, strict=True) if name not in left_out
        ]
        yield hashlib.sha256(repr(kept).encode()).digest()
