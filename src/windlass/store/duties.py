"""Duties: what of all processes on a store only one should do, each held by a lease that the database stamps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from windlass.store.many_rows import over_many
from windlass.store.transaction import Transaction

_HOLD: Final = (
    "INSERT INTO duties (name, holder, since, until) VALUES {rows} ON CONFLICT (name) DO UPDATE SET "
    "since = CASE WHEN duties.holder = excluded.holder THEN duties.since ELSE excluded.since END, "
    "holder = excluded.holder, until = excluded.until "
    "WHERE duties.holder = excluded.holder OR duties.until <= excluded.since"
)


class HeldDuty(NamedTuple):
    """Who has a duty, since when, and until when nobody else takes it; times in microseconds."""

    name: str
    holder: str
    since: int
    until: int


def held_duties(tx: Transaction) -> list[HeldDuty]:
    """Return every duty that somebody has, or had and did not give up, by name."""
    rows = tx.cursor.execute("SELECT name, holder, since, until FROM duties ORDER BY name").fetchall()
    return [HeldDuty._make(row) for row in rows]


def hold_duties(tx: Transaction, holder: str, names: Collection[str], lease: int) -> set[str]:
    """Renew what a holder has of `names`, and take what nobody has, for `lease` microseconds; return what it has then.

    Who has nothing and finds nothing free changes nothing. Taking and renewing are guarded by what the row says at
    that moment: of two who take the same duty at once one gets it.
    """
    known = {duty.name: duty for duty in held_duties(tx)}
    until = tx.now + lease
    rows = [
        (name, holder, tx.now, until)
        for name in sorted(names)
        if (duty := known.get(name)) is None or duty.holder == holder or duty.until <= tx.now
    ]
    over_many(tx.cursor, _HOLD, rows)
    return {duty.name for duty in held_duties(tx) if duty.holder == holder and duty.name in names}


def give_up_duties(tx: Transaction, holder: str) -> None:
    """Let go of all that a holder has; others are told."""
    tx.cursor.execute("DELETE FROM duties WHERE holder = ?", (holder,))
    tx.hints.add("duties")


def clear_duties(tx: Transaction) -> None:
    """Forget who had what: for an owner who knows that nobody else is on the store."""
    tx.cursor.execute("DELETE FROM duties")
