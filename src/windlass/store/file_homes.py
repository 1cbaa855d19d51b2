"""Homes in which files of runs lie: each known by what it calls itself, seen while somebody works there, forgotten."""

from __future__ import annotations

from typing import Final, NamedTuple

from windlass.store.transaction import Transaction

#: How the address begins of what a home keeps of archived runs.
_ADDRESS: Final = "home:"
_COLUMNS: Final = "id, host, folder, since, seen_at, forgotten_at"
#: A home that nobody has seen for long, in which nothing lies and of which nothing is asked.
_UNUSED: Final = (
    "SELECT h.id FROM file_homes h WHERE h.seen_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.home IS NOT NULL AND a.home = h.id) "
    "AND NOT EXISTS (SELECT 1 FROM file_errands e WHERE e.home = h.id) "
    "AND NOT EXISTS (SELECT 1 FROM archived_files f WHERE f.archive = 'home:' || h.id) LIMIT ?"
)


class FileHome(NamedTuple):
    """A home of a server, a worker or an application."""

    id: str
    #: Where it was when it was last seen.
    host: str
    folder: str
    since: int
    seen_at: int
    #: None unless somebody said that it will not come back.
    forgotten_at: int | None


def home_address(home: str) -> str:
    """Return the address of what a home keeps of archived runs."""
    return f"{_ADDRESS}{home}"


def home_at(address: str) -> str | None:
    """Return the home that keeps what has this address; None where that is an archive's own folder."""
    return address.removeprefix(_ADDRESS) if address.startswith(_ADDRESS) else None


def see_home(tx: Transaction, home: str, host: str, folder: str) -> None:
    """Note that somebody works in a home; one that was forgotten is back."""
    tx.cursor.execute(
        "INSERT INTO file_homes (id, host, folder, since, seen_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
        "SET host = excluded.host, folder = excluded.folder, seen_at = excluded.seen_at, forgotten_at = NULL",
        (home, host, folder, tx.now, tx.now),
    )


def homes(tx: Transaction) -> dict[str, FileHome]:
    """Return all homes by their ids."""
    rows = tx.cursor.execute(f"SELECT {_COLUMNS} FROM file_homes ORDER BY id")  # noqa: S608 - constants
    return {row[0]: FileHome._make(row) for row in rows}


def forget_home(tx: Transaction, home: str) -> None:
    """Note that a home will not come back."""
    tx.cursor.execute("UPDATE file_homes SET forgotten_at = ? WHERE id = ?", (tx.now, home))


def drop_homes(tx: Transaction, before: int, limit: int) -> int:
    """Remove homes that nobody has seen since `before` and in which nothing of the store lies; return how many."""
    found = tx.cursor.execute(_UNUSED, (before, limit)).fetchall()
    tx.cursor.executemany("DELETE FROM file_homes WHERE id = ?", found)
    return len(found)
