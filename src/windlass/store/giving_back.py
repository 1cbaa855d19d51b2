"""Giving free pages of a SQLite file back to the disk, a few at a time: others write in between."""

from __future__ import annotations

from typing import Final

from windlass.store.transaction import Transaction

#: Pages that one unit of work moves: some milliseconds.
STEP: Final = 256
#: One free page in so many stays for what is written next.
_KEPT: Final = 10
_ALWAYS_KEPT: Final = 256


def give_back(tx: Transaction) -> bool:
    """Shorten the file by some pages; return whether more could be given back. Other databases do so by themselves."""
    if tx.connection.dialect.name != "sqlite":
        return False
    pages, free = _number(tx, "page_count"), _number(tx, "freelist_count")
    if free <= max(_ALWAYS_KEPT, pages // _KEPT):
        return False
    for _ in range(min(STEP, free)):
        tx.cursor.execute("PRAGMA incremental_vacuum(1)")  # the driver stops after the first page of several
    return _number(tx, "freelist_count") < free  # a file from before has no room to give


def _number(tx: Transaction, name: str) -> int:
    return int(tx.cursor.execute(f"PRAGMA {name}").fetchone()[0])
