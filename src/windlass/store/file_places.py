# ruff: noqa: S608 - the only texts put together here are constants of this module
"""In which homes the files of runs lie, as far as that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from windlass.store.archive.archived_files import Content
from windlass.store.transaction import Transaction

#: Where a file lies. What a program of an earlier schema kept anew lies where nobody has said.
HOME: Final = "CASE WHEN home_attempt = attempt THEN home END"
_CHUNK: Final = 200


class Unplaced(NamedTuple):
    """A file of which nobody has said yet where it lies."""

    run_id: bytes
    task: int
    name: str
    attempt: int
    size: int
    path: str


def placed_contents(tx: Transaction, run_ids: Sequence[bytes]) -> dict[bytes, dict[str | None, list[Content]]]:
    """Return the contents that runs of the hot store have, of those that have any, by the home in which they lie."""
    found: dict[bytes, dict[str | None, list[Content]]] = {}
    for start in range(0, len(run_ids), _CHUNK):
        part = run_ids[start : start + _CHUNK]
        rows = tx.cursor.execute(
            f"SELECT DISTINCT run_id, {HOME} AS lies, sha256, size FROM artifacts "
            f"WHERE run_id IN ({', '.join('?' * len(part))}) ORDER BY run_id, lies, sha256",
            tuple(part),
        )
        for run_id, home, sha256, size in rows.fetchall():
            found.setdefault(bytes(run_id), {}).setdefault(home, []).append(Content(sha256, size))
    return found


def unplaced_files(tx: Transaction, run_ids: Sequence[bytes]) -> list[Unplaced]:
    """Return the files of runs of which nobody has said yet where they lie."""
    found: list[Unplaced] = []
    for start in range(0, len(run_ids), _CHUNK):
        part = run_ids[start : start + _CHUNK]
        rows = tx.cursor.execute(
            "SELECT run_id, task, name, attempt, size, path FROM artifacts "
            f"WHERE run_id IN ({', '.join('?' * len(part))}) AND ({HOME}) IS NULL",
            tuple(part),
        )
        found += [Unplaced._make(row) for row in rows.fetchall()]
    return found


def place_files(tx: Transaction, home: str, files: Iterable[Unplaced]) -> None:
    """Note that files lie in a home, unless they were kept anew meanwhile or another one has them too."""
    tx.cursor.executemany(
        "UPDATE artifacts SET home = ?, home_attempt = attempt "
        f"WHERE run_id = ? AND task = ? AND name = ? AND attempt = ? AND ({HOME}) IS NULL",
        [(home, file.run_id, file.task, file.name, file.attempt) for file in files],
    )
