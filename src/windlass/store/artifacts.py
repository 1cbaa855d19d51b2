"""Files that attempts left: what they are called and where their bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from windlass.store.transaction import Transaction


class ArtifactRow(NamedTuple):
    """One kept file."""

    task: int
    name: str
    attempt: int
    size: int
    sha256: str
    #: Where the bytes are, relative to the artifact folder.
    path: str
    created_at: int


def keep_artifacts(
    tx: Transaction, run_id: bytes, task: int, attempt: int, files: Sequence[tuple[str, int, str, str]]
) -> None:
    """Note the files `(name, size, sha256, path)` of an attempt; a name of an earlier attempt is replaced."""
    tx.cursor.executemany(
        "INSERT OR REPLACE INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(run_id, task, name, attempt, size, sha256, path, tx.now) for name, size, sha256, path in files],
    )


def artifacts_of(tx: Transaction, run_id: bytes) -> list[ArtifactRow]:
    """Return the files of a run, by task and name."""
    rows = tx.cursor.execute(
        "SELECT task, name, attempt, size, sha256, path, created_at FROM artifacts "
        "WHERE run_id = ? ORDER BY task, name",
        (run_id,),
    )
    return [ArtifactRow._make(row) for row in rows]
