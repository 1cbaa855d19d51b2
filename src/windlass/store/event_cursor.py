"""Where a reader of the events stands: a text that only this module reads.

The contract: whoever reads what follows a cursor, and goes on with the cursor that comes with it, misses no event and
waits for nobody. A reader never makes a cursor of numbers that he has seen: a transaction with lower numbers may
commit after one with higher numbers.

On SQLite commits follow one another, and a cursor is the `seq` of the last event. On PostgreSQL it is a snapshot: what
is visible now and was not in the snapshot follows, in the order of the numbers; in the middle of that the cursor says
besides which view is being read, and up to which `seq`. A `seq` alone is a cursor there as well, but only of those who
want nothing with a lower number: all events with greater numbers follow, also those that become visible later. Nobody
outside gives one (`given_cursor`), for what is committed later with a lower number would be missed. A cursor that is
kept is made by a unit that only reads: one that writes takes its own events for seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, not_, or_

from windlass.errors import UserError
from windlass.model.event import end_of_fact, fact_of
from windlass.store.tables import events
from windlass.store.transaction import Transaction

#: Before every event.
BEGINNING: Final = "0"
#: Above every number of a fact.
_ENDLESS: Final = 2**43
#: Characters of the longest cursor: a thousand transactions that are under way.
_LONGEST: Final = 25_000
_SNAPSHOT: Final = r"\d{1,19}:\d{1,19}:(?:\d{1,19}(?:,\d{1,19})*)?"
_CURSOR: Final = re.compile(
    rf"(?P<seq>\d{{1,19}})|(?P<read>{_SNAPSHOT})|(?P<last>{_SNAPSHOT})?/(?P<view>{_SNAPSHOT})/(?P<upto>\d{{1,19}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions of PostgreSQL were over at a moment: those below `low`, and all below `high` not `open`."""

    low: int
    high: int
    open: tuple[int, ...]

    @classmethod
    def read(cls, text: str) -> Snapshot:
        """Return what PostgreSQL writes as `low:high:open`."""
        low, high, under_way = text.split(":")
        return cls(int(low), int(high), tuple(map(int, under_way.split(","))) if under_way else ())

    def __str__(self) -> str:
        """Return it as PostgreSQL writes it."""
        return f"{self.low}:{self.high}:{','.join(map(str, self.open))}"


@dataclass(frozen=True, slots=True)
class Following:
    """The facts behind a cursor that one look reads: a condition on the event table."""

    #: Numbers of facts: none lies before the first or behind the last.
    first: int
    last: int
    #: Events up to this `seq` were read before, where facts are read in the order of their numbers.
    behind: int
    #: Where a reader stands who has read them.
    cursor: str
    #: Every event with a `seq` up to this one has been read then, also those that are committed later; 0 where nobody
    #: can say so now.
    settled: int
    #: About how many facts come behind them; 0 only where there is none.
    left: int
    #: On PostgreSQL: what was read before all these, None where that is nothing, and what of the rest is read now.
    before: Snapshot | None = None
    view: Snapshot | None = None

    @property
    def empty(self) -> bool:
        """True where nothing follows yet."""
        return self.last < self.first

    def sql(self, alias: str = "") -> tuple[str, tuple[Any, ...]]:
        """Return the condition as text with its values; `alias` stands before names of columns, such as `e.`."""
        text, values = f"{alias}seq >= ? AND {alias}seq <= ?", (self.first, self.last)
        if self.view is None:
            return text, values
        more, seen = _visible(self.before, self.view, alias)
        return f"{text} AND {more}", (*values, *seen)

    def clause(self) -> ColumnElement[bool]:
        """Return the condition as an expression on the event table."""
        between = and_(events.c.seq >= self.first, events.c.seq <= self.last)
        if self.view is None:
            return between
        writer, view, before = events.c.writer, self.view, self.before
        visible = or_(writer.is_(None), writer < view.low, and_(writer < view.high, not_(writer.in_(view.open))))
        if before is None:
            return and_(between, visible)
        return and_(between, visible, or_(writer >= before.high, writer.in_(before.open)))

    def at(self, seq: int) -> str:
        """Return the cursor of a reader who has read these up to the event `seq`."""
        return str(seq) if self.view is None else f"{self.before or ''}/{self.view}/{seq}"


def following(tx: Transaction, cursor: str, most: int | None = None) -> Following:
    """Return the facts behind a cursor, the first `most` of them or a few less; at least one where there is any.

    Without `most` these are all there are, for who reads those of one run, or knows where to stop. Raises UserError
    where `cursor` is none.
    """
    found = _read(tx, cursor)
    if tx.dialect == "sqlite":
        return _by_number(tx, int(found["seq"]), most)
    before = found["read"] or found["last"]
    view = Snapshot.read(found["view"] or _now(tx))
    behind = int(found["seq"] or found["upto"] or 0)
    return _by_snapshot(tx, None if before is None else Snapshot.read(before), view, behind, most)


def newest_cursor(tx: Transaction) -> str:
    """Return the cursor that only events of the future follow."""
    return str(end_of_fact(_newest(tx))) if tx.dialect == "sqlite" else _now(tx)


def cursor_behind(seq: int) -> str:
    """Return a cursor that all events with a greater `seq` follow."""
    return str(seq)


def given_cursor(tx: Transaction, text: str) -> str:
    """Return a cursor that somebody gave. Raises UserError where it is none that this store gives."""
    if _read(tx, text)["seq"] is None or tx.dialect == "sqlite" or not int(text):
        return text
    raise UserError(
        f'"{text}" is the `seq` of an event, and one that is committed late may have a lower one: '
        f"give the `cursor` of that event, or {BEGINNING} for all events."
    )


def _read(tx: Transaction, text: str) -> re.Match[str]:
    """Return the parts of a cursor. Raises UserError where it is none of this kind of store."""
    found = _CURSOR.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or (tx.dialect == "sqlite" and found["seq"] is None):
        raise UserError(
            f'"{text[:80]}" is no cursor of this store: give the `cursor` of an event, or {BEGINNING} for all events.'
        )
    return found


def _newest(tx: Transaction) -> int:
    return int(tx.cursor.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def _by_number(tx: Transaction, behind: int, most: int | None) -> Following:
    newest = _newest(tx)
    first = max(1, fact_of(behind + 1))
    if most is not None and newest - first >= most:  # numbers of facts that have left leave holes
        found = tx.cursor.execute("SELECT min(seq) FROM events WHERE seq >= ?", (first,)).fetchone()[0]
        first = max(first, found or newest)
    last = newest if most is None else min(newest, first + most - 1)
    reached = max(behind, end_of_fact(last))
    return Following(first, last, behind, str(reached), reached, max(0, newest - last))


def _now(tx: Transaction) -> str:
    return str(tx.cursor.execute("SELECT CAST(pg_current_snapshot() AS TEXT)").fetchone()[0])


def _by_snapshot(tx: Transaction, before: Snapshot | None, view: Snapshot, behind: int, most: int | None) -> Following:
    """Return what is in `view` and not in `before`, from one `seq` on.

    A transaction that stays open, here or in another database of the server, keeps back its own rows alone: what it has
    to do with the others is one more number in the snapshots.
    """
    first = max(1, fact_of(behind + 1))
    everything = Following(first, _ENDLESS, behind, str(view), 0, 0, before, view)
    if most is None:
        return everything
    if before is not None and not behind:
        # Where the first new row stands: without that, the first page would look for it among all rows there are. The
        # sum keeps the database from doing just that, in the order of the numbers.
        new, values = _visible(before, view, "")
        found = tx.cursor.execute(f"SELECT min(seq + 0) FROM events WHERE {new}", values).fetchone()[0]  # noqa: S608 - constants
        first = _ENDLESS + 1 if found is None else int(found)
    where, values = Following(first, _ENDLESS, behind, "", 0, 0, before, view).sql()
    page = f"SELECT seq FROM events WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608 - constants
    last, count = tx.cursor.execute(f"SELECT max(seq), count(*) FROM ({page}) page", (*values, most)).fetchone()  # noqa: S608 - constants
    if not count:
        return Following(first, 0, behind, str(view), _settled(tx, view), 0, before, view)
    if count == most:
        where, values = Following(last + 1, _ENDLESS, behind, "", 0, 0, before, view).sql()
        if tx.cursor.execute(f"SELECT 1 FROM events WHERE {where} LIMIT 1", values).fetchone() is not None:  # noqa: S608 - constants
            reached = end_of_fact(last)
            cursor = f"{before or ''}/{view}/{reached}"
            return Following(first, last, behind, cursor, 0, max(1, _newest(tx) - last), before, view)
    return Following(first, last, behind, str(view), _settled(tx, view), 0, before, view)


def _settled(tx: Transaction, view: Snapshot) -> int:
    """Return up to which `seq` nothing is to come any more, once a view has been read wholly.

    Whoever has a number below one that is visible drew it before that was committed, and is among those under way.
    """
    if view.open or view.low != view.high:
        return 0
    where, values = _visible(None, view, "")
    newest = f"SELECT coalesce(max(seq), 0) FROM events WHERE {where}"  # noqa: S608 - constants
    return end_of_fact(int(tx.cursor.execute(newest, values).fetchone()[0]))


def _visible(before: Snapshot | None, view: Snapshot, alias: str) -> tuple[str, tuple[Any, ...]]:
    """Return the condition of rows that are in `view` and not in `before`, with its values.

    Rows without a writer were there when this was begun, or came from elsewhere: they are in every view.
    """
    writer = f"{alias}writer"
    text = f"({writer} IS NULL OR {writer} < ? OR ({writer} < ? AND {writer} <> ALL(?)))"
    values: tuple[Any, ...] = (view.low, view.high, list(view.open))
    if before is None:
        return text, values
    return f"({writer} >= ? OR {writer} = ANY(?)) AND {text}", (before.high, list(before.open), *values)
