"""The mark of a store that was copied elsewhere to go on there: who works on both would do everything twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import orjson
from sqlalchemy import delete, insert, select

from windlass.clock import to_text
from windlass.store.tables import store_info

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from windlass.store.transaction import Transaction

#: Its key among the facts of a store; it is no fact of the copy.
KEY = "moved"


class Move(NamedTuple):
    """Where a store went."""

    #: The database as people are told it.
    to: str
    #: When the mark was set, in microseconds.
    at: int
    #: False from just before the copy was committed until that was known.
    whole: bool

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what the text of a mark says."""
        return cls(**orjson.loads(text))

    @property
    def sentence(self) -> str:
        """What whoever would change the store is told."""
        undo = "`windlass db copy --undo` makes this one usable again"
        if self.whole:
            return (
                f"This store was moved to {self.to} at {to_text(self.at)}; it can be read, and nothing is changed "
                "here: "
                f"set WINDLASS_DATABASE_URL to that database; {undo}."
            )
        return (
            f"The copy of this store to {self.to} was cut off at its end, at {to_text(self.at)}, and may be there: "
            f"finish it with the same `windlass db copy`; {undo}, without what was copied."
        )


def move_of(connection: Connection) -> Move | None:
    """Return where a store went; None where it is here."""
    text = connection.execute(select(store_info.c.value).where(store_info.c.key == KEY)).scalar_one_or_none()
    return None if text is None else Move.read(text)


def find_move(tx: Transaction) -> Move | None:
    """Return the same as a unit."""
    return move_of(tx.connection)


def note_move(tx: Transaction, to: str, *, whole: bool) -> Move:
    """Mark a store as moved, or say that its copy is whole."""
    found = Move(to, tx.now, whole)
    forget_move(tx)
    tx.connection.execute(insert(store_info), {"key": KEY, "value": orjson.dumps(found._asdict()).decode()})
    return found


def forget_move(tx: Transaction) -> None:
    """Take the mark away."""
    tx.connection.execute(delete(store_info).where(store_info.c.key == KEY))
