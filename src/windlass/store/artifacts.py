"""Files that attempts left: what they are called and where their bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.file_places import HOME
from windlass.store.transaction import Transaction

#: The fact about the store that files lie in a folder of the settings.
_SHARED: Final = "shared_files"


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
    #: The home in which they lie; None where everybody has the same folder, and where nobody has said it yet.
    home: str | None


def files_are_shared(tx: Transaction) -> bool:
    """Say whether files lie in a folder that settings name, and not in the home of whoever made them."""
    return tx.cursor.execute("SELECT 1 FROM store_info WHERE key = ?", (_SHARED,)).fetchone() is not None


def share_files(tx: Transaction) -> None:
    """Note that files lie in such a folder from now on, and that nothing is to be done in homes any more.

    What homes keep of archived runs is copied there as the other files are, and is then where the archive has it.
    """
    tx.cursor.execute("INSERT INTO store_info (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING", (_SHARED,))
    tx.cursor.execute("DELETE FROM file_errands")
    tx.cursor.execute("UPDATE archived_files SET archive = ? WHERE archive LIKE 'home:%'", (DATABASE,))
    tx.cursor.execute(
        "INSERT INTO archive_traces (archive, kind, name) "
        "SELECT DISTINCT ?, kind, name FROM archive_traces WHERE archive LIKE 'home:%' ON CONFLICT DO NOTHING",
        (DATABASE,),
    )
    tx.cursor.execute("DELETE FROM archive_traces WHERE archive LIKE 'home:%'")


def worker_of(tx: Transaction, run_id: bytes, path: str) -> str | None:
    """Return who kept a file of a run; None where that is not known."""
    row = tx.cursor.execute(
        "SELECT t.worker FROM artifacts a JOIN tasks t ON t.run_id = a.run_id AND t.task = a.task "
        "WHERE a.run_id = ? AND a.path = ? ORDER BY a.task LIMIT 1",
        (run_id, path),
    ).fetchone()
    return None if row is None else row[0]


def keep_artifacts(
    tx: Transaction,
    run_id: bytes,
    task: int,
    attempt: int,
    files: Sequence[tuple[str, int, str, str]],
    home: str | None = None,
) -> None:
    """Note the files `(name, size, sha256, path)` of an attempt; a name of an earlier attempt is replaced.

    `home` is where they lie, where that is not one folder for everybody.
    """
    tx.cursor.executemany(
        "INSERT INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at, home, home_attempt) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, task, name) DO UPDATE SET "
        "attempt = excluded.attempt, size = excluded.size, sha256 = excluded.sha256, path = excluded.path, "
        "created_at = excluded.created_at, home = excluded.home, home_attempt = excluded.home_attempt",
        [
            (run_id, task, name, attempt, size, sha256, path, tx.now, home, None if home is None else attempt)
            for name, size, sha256, path in files
        ],
    )


def artifacts_of(tx: Transaction, run_id: bytes) -> list[ArtifactRow]:
    """Return the files of a run, by task and name."""
    rows = tx.cursor.execute(
        f"SELECT task, name, attempt, size, sha256, path, created_at, {HOME} FROM artifacts "  # noqa: S608 - a constant
        "WHERE run_id = ? ORDER BY task, name",
        (run_id,),
    )
    return [ArtifactRow._make(row) for row in rows]
