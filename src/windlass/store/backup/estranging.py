"""A copy of a database that is about to be a store of its own: it holds no archive to be its own any more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from windlass.errors import Unavailable
from windlass.store.archive.in_database import URL
from windlass.store.archive.marks import RESTORED, STRANGE
from windlass.store.backup.content import flush


def estrange(copy: Path) -> None:
    """Let a database that nobody uses forget that archives are its own, and what was to be removed from them.

    What they hold may be of a later state of the store, or of the one that the backup was made of and that goes on
    elsewhere. Nothing of it is changed until a person says so. What the database itself holds is as old as it is.
    """
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # else its log would have to go along
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM store_info WHERE key = ?", (RESTORED,))
            connection.execute("INSERT INTO store_info (key, value) VALUES (?, '1')", (RESTORED,))
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'archives'").fetchone():
                connection.execute("UPDATE archives SET mark = ?, before = ?", (STRANGE, STRANGE))
                mine = (URL, "document")
                connection.execute("DELETE FROM archive_traces WHERE NOT (archive = ? AND kind = ?)", mine)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Unavailable(f"The copied database could not be prepared, nothing was changed: {error}.") from error
    flush(copy)
