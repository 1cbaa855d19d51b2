"""Ending waits for events: each by the first event that fits, once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from windlass.clock import to_text
from windlass.engine.completion import end_attempt
from windlass.engine.engine import Engine
from windlass.engine.event_waits import OUTPUT, Key, happened, open_waits, read_wait
from windlass.engine.report import report_of
from windlass.engine.setting_aside import set_aside
from windlass.ids import id_text
from windlass.model.event_wait import EventWait, Happening, Waiters
from windlass.model.outcome import Completed
from windlass.store import event_waits as stored
from windlass.store.event_cursor import Following, cursor_behind
from windlass.store.rows import Held
from windlass.store.transaction import Transaction, apart

#: A wait and the event that ends it.
Match = tuple[EventWait[Key], Happening]


def look(tx: Transaction, engine: Engine, waiters: Waiters[Key], cursor: str) -> tuple[list[Match], Following]:
    """Return the waits that events behind a cursor end, and where their reader stands then."""
    events, span = happened(tx, engine, cursor, waiters.types())
    return waiters.ended_by(events), span


def settle(tx: Transaction, engine: Engine, matches: Sequence[Match]) -> int:
    """End the attempts of those tasks that still wait; return how many. The wait goes with the end of the task."""
    ended = 0
    for wait, event in matches:
        run_id, task, fence = wait.key
        row = stored.waiting_row(tx, run_id, task, fence)
        if row is None:
            continue
        failure = apart(tx, partial(_end, tx, engine, row, event))
        if failure is not None:
            set_aside(tx, run_id, failure, task)
        ended += 1
    return ended


def settle_one(tx: Transaction, engine: Engine, row: Held) -> bool:
    """End a task whose time is over by an event that came before that; False where none did."""
    found = stored.wait_of(tx, row.run_id, row.task)
    if found is None:
        return False
    wait = read_wait(found)
    waiters, cursor, more = Waiters([wait]), cursor_behind(wait.after), True
    while more:
        matches, span = look(tx, engine, waiters, cursor)
        if matches:
            _end(tx, engine, row, matches[0][1])
            return True
        cursor, more = span.cursor, span.left > 0
    stored.end_wait(tx, row.run_id, row.task)
    return False


def settle_all(tx: Transaction, engine: Engine) -> bool:
    """End every wait by what has happened up to now; return whether any was ended, for that is an event as well."""
    waits = open_waits(tx)
    if not waits:
        stored.forget_ended(tx)
        return False
    waiters, ended = Waiters(waits), 0
    cursor, left = cursor_behind(min(wait.after for wait in waits)), 1
    while left:
        matches, span = look(tx, engine, waiters, cursor)
        ended += settle(tx, engine, matches)
        waiters.drop(wait.key for wait, _ in matches)
        cursor, left = span.cursor, span.left
    stored.read_up_to(tx, list(waiters.keys()), span.settled)
    return ended > 0


def _end(tx: Transaction, engine: Engine, row: Held, event: Happening) -> None:
    stored.end_wait(tx, row.run_id, row.task)
    end_attempt(tx, engine, row, report_of(row, Completed({OUTPUT: _told(event)}), finished_at=tx.now))


def _told(event: Happening) -> dict[str, Any]:
    """Return an event as the steps after a wait read it."""
    return {
        "seq": event.seq,
        "type": event.type,
        "source": event.source,
        "at": to_text(event.at),
        "runId": None if event.run_id is None else id_text(event.run_id),
        "data": dict(event.facts),
    }
