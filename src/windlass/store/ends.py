"""How runs ended, for those who wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from windlass.model.event import RUN_ENDED
from windlass.model.state import RUN_FINAL
from windlass.store.event_cursor import following
from windlass.store.transaction import Transaction

#: Ids asked for in one statement: SQLite takes a limited number of variables.
_CHUNK = 500
_MOST_FACTS = 5_000


class RunEnd(NamedTuple):
    """A final run, with what its waiters are told; JSON columns are text."""

    id: bytes
    state: str
    reason: str | None
    error: str | None
    outputs: str | None


def run_ends(tx: Transaction, run_ids: Sequence[bytes]) -> tuple[list[RunEnd], list[bytes]]:
    """Return those of the runs that are final, and the ids of those that do not exist."""
    found: list[RunEnd] = []
    known: set[bytes] = set()
    for start in range(0, len(run_ids), _CHUNK):
        part = run_ids[start : start + _CHUNK]
        rows = tx.cursor.execute(
            f"SELECT id, state, reason, error, outputs FROM runs WHERE id IN ({','.join('?' * len(part))})",  # noqa: S608 - marks only
            part,
        )
        for row in rows:
            known.add(row[0])
            if row[1] in RUN_FINAL:
                found.append(RunEnd._make(row))
    return found, [run_id for run_id in run_ids if run_id not in known]


def ended_after(tx: Transaction, cursor: str) -> tuple[list[bytes], str, bool]:
    """Return the ids of runs whose ends follow a cursor, the cursor behind what was read, and if there is more."""
    span = following(tx, cursor, _MOST_FACTS)
    where, values = span.sql()
    rows = tx.cursor.execute(f"SELECT types, run_id FROM events WHERE {where} ORDER BY seq", values)  # noqa: S608 - constants
    ended = [run_id for types, run_id in rows if any(end in types for end in RUN_ENDED)]
    return ended, span.cursor, span.left > 0
