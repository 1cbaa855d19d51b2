"""Tasks that wait for events, and the events as they are read for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from windlass.model.event import end_of_fact
from windlass.store.event_cursor import Following, following
from windlass.store.many_rows import over_many
from windlass.store.rows import Held
from windlass.store.transaction import Transaction

#: Facts that one look reads over at most, whether they are of a type that somebody waits for or not.
SPAN = 20_000
#: More types than these are not looked for one by one.
_MOST_TYPES = 8
_HELD = ", ".join(f"q.{name}" for name in Held._fields)


class WaitRow(NamedTuple):
    """A task that waits for an event, as it is stored."""

    run_id: bytes
    task: int
    fence: int
    project: str
    after: int
    until: int
    pattern: str


class ToldFact(NamedTuple):
    """A fact with the run that it is about; those of the run are None for one from outside."""

    seq: int
    types: str
    run_id: bytes | None
    task: int | None
    at: int
    data: str | None
    project: str | None
    job: str | None
    revision_id: int | None
    labels: str | None
    #: 1 where the tasks of the run are those of an expansion.
    fanned: int


_COLUMNS = ", ".join(f"w.{name}" for name in WaitRow._fields)
#: A row without a task that waits under the same claim is left from a wait that ended in another way.
_OPEN = (
    # Asked for each wait, so that no plan begins at the queue, of which there may be much more.
    "FROM event_waits w WHERE (SELECT q.state = 'waiting' AND q.fence = w.fence FROM queue q "
    "WHERE q.run_id = w.run_id AND q.task = w.task)"
)

_READ = "UPDATE event_waits SET after = ? WHERE after < ? AND (run_id, task, fence) IN (VALUES {rows})"


def begin_wait(tx: Transaction, row: WaitRow) -> None:
    """Note what a task waits for; what it waited for before is forgotten."""
    tx.cursor.execute("DELETE FROM event_waits WHERE run_id = ? AND task = ?", (row.run_id, row.task))
    marks = ", ".join("?" * len(row))
    tx.cursor.execute(f"INSERT INTO event_waits ({', '.join(row._fields)}) VALUES ({marks})", row)  # noqa: S608 - constants
    tx.hints.add("listen")


def end_wait(tx: Transaction, run_id: bytes, task: int) -> None:
    """Forget what a task waited for."""
    tx.cursor.execute("DELETE FROM event_waits WHERE run_id = ? AND task = ?", (run_id, task))


def open_waits(tx: Transaction) -> list[WaitRow]:
    """Return every wait for an event that goes on."""
    return [WaitRow._make(row) for row in tx.cursor.execute(f"SELECT {_COLUMNS} {_OPEN}")]


def wait_of(tx: Transaction, run_id: bytes, task: int) -> WaitRow | None:
    """Return the wait of a task; None where it waits for no event."""
    row = tx.cursor.execute(f"SELECT {_COLUMNS} {_OPEN} AND w.run_id = ? AND w.task = ?", (run_id, task)).fetchone()
    return None if row is None else WaitRow._make(row)


def waits_of(tx: Transaction, run_id: bytes) -> dict[int, str]:
    """Return what tasks of a run wait for, by task."""
    found = tx.cursor.execute(f"SELECT w.task, w.pattern {_OPEN} AND w.run_id = ?", (run_id,))
    return {row[0]: row[1] for row in found}


def waiting_row(tx: Transaction, run_id: bytes, task: int, fence: int) -> Held | None:
    """Return the row of a task that still waits under a claim; None where it does not."""
    row = tx.cursor.execute(
        f"SELECT {_HELD} FROM queue q WHERE q.run_id = ? AND q.task = ? AND q.fence = ? AND q.state = 'waiting'",  # noqa: S608 - constants
        (run_id, task, fence),
    ).fetchone()
    return None if row is None else Held._make(row)


def read_up_to(tx: Transaction, waits: Sequence[tuple[bytes, int, int]], after: int) -> None:
    """Note that no event with a `seq` up to `after` ends these waits, `(run, task, fence)`; those that are over go."""
    forget_ended(tx)
    over_many(tx.cursor, _READ, waits, (after, after))


def forget_ended(tx: Transaction) -> None:
    """Remove the rows of waits that are over."""
    tx.cursor.execute(
        "DELETE FROM event_waits WHERE NOT coalesce((SELECT q.state = 'waiting' AND q.fence = event_waits.fence "
        "FROM queue q WHERE q.run_id = event_waits.run_id AND q.task = event_waits.task), false)"
    )


def first_fact(tx: Transaction, run_id: bytes) -> int | None:
    """Return the number of the fact that a run was accepted by."""
    row = tx.cursor.execute("SELECT min(seq) FROM events WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def newest_seq(tx: Transaction) -> int:
    """Return a `seq` that no event has yet, and that all of the future are above."""
    return end_of_fact(int(tx.cursor.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]))


def facts_behind(tx: Transaction, cursor: str, types: Collection[str] | None) -> tuple[list[ToldFact], Following]:
    """Return facts behind a cursor that may hold events of `types` or come from outside; None is all types.

    With them comes where a reader stands then.
    """
    span = following(tx, cursor, SPAN)
    between, bounds = span.sql("e.")
    where, values = _of_types(types)
    rows = tx.cursor.execute(
        "SELECT e.seq, e.types, e.run_id, e.task, e.at, e.data, r.project, j.alias, r.revision_id, r.labels, "  # noqa: S608 - constants
        "r.expansion IS NOT NULL FROM events e LEFT JOIN runs r ON r.id = e.run_id LEFT JOIN jobs j ON j.id = r.job_id "
        f"WHERE {between}{where} ORDER BY e.seq",
        (*bounds, *values),
    )
    return [ToldFact._make(row) for row in rows], span


def _of_types(types: Collection[str] | None) -> tuple[str, list[str]]:
    """Return the condition of facts that may hold events of some types, without reading their data."""
    if types is None or len(types) > _MOST_TYPES:
        return "", []
    choices, values = ["e.run_id IS NULL"], []
    for name in sorted(types):
        choices.append("instr(e.types, ?) > 0")
        values.append(name)
        state = name.removeprefix("task.")
        key = {"queued": "ready"}.get(state, state)
        if key in {"ready", "kept", "skipped", "cancelled"}:
            choices.append("instr(e.data, ?) > 0")
            values.append(f'"{key}":')
    return f" AND ({' OR '.join(choices)})", values
