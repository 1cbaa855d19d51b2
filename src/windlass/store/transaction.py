"""One unit of work: what a plain function gets when it is run by a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(slots=True)
class Transaction:
    """A running transaction: everything done through it is kept together or not at all."""

    #: SQLAlchemy Core, for every statement that is not hot.
    connection: Connection
    #: The store's clock when the unit began, in microseconds: what stamps rows and compares leases.
    now: int
    #: The driver's own cursor, for the hot statements of SQLite.
    cursor: sqlite3.Cursor
    #: Hints to give once the unit is committed, by name: `ready`, `stop`, `wake`, `events`.
    hints: set[str] = field(default_factory=set)


def apart(tx: Transaction, change: Callable[[], None]) -> Exception | None:
    """Make `change`; where it fails, undo it alone and return the error: one bad object must not stop the others.

    Raises what is the store's own trouble, such as a full disk: nothing of the unit can be kept then.
    """
    tx.cursor.execute("SAVEPOINT apart")
    failure: Exception | None = None
    try:
        change()
    except Exception as error:
        if is_trouble(error):
            raise
        failure = error
        tx.cursor.execute("ROLLBACK TO apart")
    tx.cursor.execute("RELEASE apart")
    return failure


def is_trouble(error: Exception) -> bool:
    """Say whether an error of the driver is about the database itself, not about what it was asked to do."""
    cause = getattr(error, "orig", error)
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(
        cause, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    )
