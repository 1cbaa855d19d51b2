"""Whose an archive is: a mark that a store leaves there anew before each change, and knows to be its own.

Where an archive bears another mark, another copy of the store has changed it, or a later state of the store from before
a backup was restored. What is in it may be somebody's then, and nothing of it is changed until a person has said so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import delete, insert, select, update

from windlass.store.archive_tables import archives
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction

#: Stands in the place of both marks in a store that was restored: no archive bears it.
STRANGE: Final = "?"
#: Fact of a store that came from a backup.
RESTORED: Final = "restored"


class Marks(NamedTuple):
    """The marks that an archive of this store may bear; empty where it bears none."""

    mark: str = ""
    before: str = ""


def marks_of(tx: Transaction, url: str) -> Marks:
    """Return the marks of an archive."""
    row = tx.connection.execute(select(archives.c.mark, archives.c.before).where(archives.c.url == url)).one_or_none()
    if row is not None:
        return Marks(*row)
    restored = tx.connection.execute(select(store_info.c.key).where(store_info.c.key == RESTORED)).first()
    return Marks() if restored is None else Marks(STRANGE, STRANGE)


def set_marks(tx: Transaction, url: str, found: Marks) -> None:
    """Note the marks that an archive may bear from now on, and that it is used."""
    changed = update(archives).where(archives.c.url == url).values(mark=found.mark, before=found.before)
    if not tx.connection.execute(changed).rowcount:
        tx.connection.execute(insert(archives).values(url=url, mark=found.mark, before=found.before))


def used_archives(tx: Transaction) -> set[str]:
    """Return the addresses of all archives outside of the database that were used and may still hold something."""
    return set(tx.connection.execute(select(archives.c.url)).scalars())


def forget_archive(tx: Transaction, url: str) -> None:
    """Forget an archive in which nothing of this store is left."""
    tx.connection.execute(delete(archives).where(archives.c.url == url))
