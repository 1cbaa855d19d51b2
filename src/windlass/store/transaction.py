"""One unit of work: what a plain function gets when it is run by a store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from windlass.clock import SECOND
from windlass.store.cursor import Cursor, Dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from windlass.store.actor import Actor
    from windlass.store.audit import Note
    from windlass.store.rows import NewFact, NewRun, NewTask


@dataclass(slots=True)
class Transaction:
    """A running transaction: everything done through it is kept together or not at all."""

    #: SQLAlchemy Core, for every statement that is not hot.
    connection: Connection
    #: The store's clock when the unit began, in microseconds: what stamps rows and compares leases.
    now: int
    #: Statements by hand, with `?` for each value: on SQLite the driver's own cursor.
    cursor: Cursor
    #: Hints to give once the unit is committed, by name: `ready`, `stop`, `wake`, `events`.
    hints: set[str] = field(default_factory=set)
    #: Which database this is, for the few texts that differ.
    dialect: Dialect = "sqlite"
    #: Whether no other unit runs meanwhile; see `beside_others`.
    alone: bool = True
    #: Whether `now` may move on within the unit; see `move_on`.
    moves: bool = False
    #: Whether it is a caller's own, who commits it when he likes: nobody may have to wait for its end.
    foreign: bool = False
    #: The keys that were locked, in order; shared by the units that share a commit.
    keys: list[str] = field(default_factory=list)
    #: Runs that wait to be written with those of the other units that share a commit; None where each writes its own.
    pending: Pending | None = None
    #: Who asked for this unit; None where Windlass acts by itself.
    actor: Actor | None = None
    #: What units have to say of what they did, shared by those that share a commit; see `store.audit`.
    notes: list[Note] = field(default_factory=list)
    #: When `now` was read, in seconds of the clock that nobody sets; see `clock_now`.
    read_at: float = field(default_factory=time.monotonic)


class Pending(Protocol):
    """Runs that units of one commit accept, and that are written behind the last of them in one statement."""

    def require_startable(self, job_id: bytes) -> None:
        """Have it seen, when they are written, that runs of a job may be started."""
        ...

    def add(self, runs: Iterable[NewRun], tasks: Iterable[NewTask], facts: Iterable[NewFact]) -> None:
        """Have runs written with their queue rows and the facts that tell of them."""
        ...

    def write(self, tx: Transaction) -> None:
        """Write it. Raises MustBeAlone where something of it must be looked at by itself."""
        ...


#: Classes of SQLSTATE that are about what the database was asked to do: no rows or too many, data, integrity, SQL.
_ASKED: Final = frozenset({"02", "0A", "21", "22", "23", "42", "44", "P0"})
#: The package of the driver of PostgreSQL, which need not be loaded here.
_DRIVER: Final = "asyncpg"
#: The attribute that marks units; functions of others cannot have it by chance.
_BESIDE: Final = "_windlass_beside_others"
_BY_ITSELF: Final = "_windlass_by_itself"
_FOLLOWS: Final = "_windlass_follows"
_LEADS: Final = "_windlass_leads"

Unit = TypeVar("Unit", bound=Callable[..., object])


def beside_others(unit: Unit) -> Unit:
    """Mark a unit of work that may run at the same time as other units.

    Units are written for one writer. On PostgreSQL, where several servers and threads write, a unit runs alone unless
    it is marked. Whoever marks one writes beside it which rows it changes under which condition, and in which order it
    locks what it locks: each change must be right whatever others commit between two statements.
    """
    setattr(unit, _BESIDE, True)
    return unit


def may_run_beside(unit: Callable[..., object]) -> bool:
    """Say whether a unit was marked with `beside_others`."""
    return bool(getattr(getattr(unit, "func", unit), _BESIDE, False))


def by_itself(unit: Unit) -> Unit:
    """Mark a unit of one statement that is right whatever others do, and that does no harm where it runs twice.

    On PostgreSQL it takes no lock and waits for no other unit. Where `tx.moves`, it reads the time in its statement:
    `tx.now` is none then.
    """
    setattr(unit, _BY_ITSELF, True)
    return unit


def is_by_itself(unit: Callable[..., object]) -> bool:
    """Say whether a unit was marked with `by_itself`."""
    return bool(getattr(getattr(unit, "func", unit), _BY_ITSELF, False))


def leads_others(unit: Unit) -> Unit:
    """Mark a unit beside others behind which units may run that follow, in its transaction."""
    setattr(unit, _LEADS, True)
    return beside_others(unit)


def may_lead(unit: Callable[..., object]) -> bool:
    """Say whether a unit was marked with `leads_others`."""
    return bool(getattr(getattr(unit, "func", unit), _LEADS, False))


def follows_others(unit: Unit) -> Unit:
    """Mark a unit beside others that may run behind units that lead, in their transaction: it locks what comes later.

    So a worker that is told of a run takes it with the commit that accepts it.
    """
    setattr(unit, _FOLLOWS, True)
    return beside_others(unit)


def may_follow(unit: Callable[..., object]) -> bool:
    """Say whether a unit was marked with `follows_others`."""
    return bool(getattr(getattr(unit, "func", unit), _FOLLOWS, False))


class MustBeAlone(Exception):
    """A unit that was begun beside others has come to something that may only be done alone: it is run again so."""


def require_alone(tx: Transaction) -> None:
    """Go on only where no other unit runs meanwhile.

    Called before anything that a unit marked with `beside_others` may come to and that was not shown to be right while
    others commit between two statements. Raises MustBeAlone, upon which the store undoes the unit and runs it alone.
    """
    if not tx.alone:
        raise MustBeAlone


def move_on(tx: Transaction, now: int) -> None:
    """Note what the store's clock said after a unit beside others waited for them, or saw what they committed.

    Else what it writes would be older than that: it may have begun before them.
    """
    if tx.moves and now > tx.now:
        tx.now, tx.read_at = now, time.monotonic()


def clock_now(tx: Transaction) -> int:
    """Return what the store's clock says at this moment, in microseconds.

    That is `now` and what has passed since it was read: a unit that waited, or runs behind others, began long before.
    """
    return tx.now + round((time.monotonic() - tx.read_at) * SECOND)


def apart(tx: Transaction, change: Callable[[], None]) -> Exception | None:
    """Make `change`; where it fails, undo it alone and return the error: one bad object must not stop the others.

    Raises what is the store's own trouble, such as a full disk: nothing of the unit can be kept then. Beside others a
    failure makes the unit run again alone, so that those that succeed pay for no savepoints.
    """
    if not tx.alone:
        try:
            change()
        except Exception as error:
            if is_trouble(error):
                raise
            raise MustBeAlone from error
        return None
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


def is_trouble(error: BaseException) -> bool:
    """Say whether an error is about the database or the transaction itself, not about what it was asked to do."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, MustBeAlone):
        return True
    if isinstance(cause, sqlite3.Error):
        return isinstance(cause, sqlite3.DatabaseError) and not isinstance(
            cause, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
        )
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] not in _ASKED
    # Of the way to PostgreSQL, without a code of the server's: the driver's own words, or those of the connection.
    return isinstance(cause, ConnectionError) or type(cause).__module__.partition(".")[0] == _DRIVER
