"""One unit of work: what a plain function gets when it is run by a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

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
