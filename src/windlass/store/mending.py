"""Rows that are not final, in pages, as the reconciler looks at them; and what it changes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from windlass.ids import id_text
from windlass.store.run_limits import WAITS_FOR_CHILD
from windlass.store.transaction import Transaction

#: Ids in one statement: databases take a limited number of values.
_CHUNK = 500
#: Microseconds for which the row of a run may say that it is queued although its task runs; see `hot.turn`.
_FRESH = 30_000_000


class Standing(NamedTuple):
    """A run, as far as it matters whether it can go on."""

    id: bytes
    revision_id: int
    state: str
    deadline: int
    #: 1 where the run has an expansion.
    fanned: int
    #: 1 where it was asked to stop, or is past its deadline.
    stopping: int


class QueueRow(NamedTuple):
    """A row of the queue with what became of its worker."""

    id: int
    run_id: bytes
    task: int
    state: str
    outstanding: int
    wakes: int
    attempt: int
    stop: str | None
    worker_id: int | None
    #: 1 where its worker has neither left nor been found gone; 0 where there is none.
    alive: int
    #: 1 where it waits for a run that it began.
    of_child: int
    #: 1 where it was begun a moment ago, at its first attempt.
    fresh: int


_RUNS = "SELECT id, revision_id, state, deadline, expansion IS NOT NULL, cancels > 0 OR expired > 0 FROM runs"


def open_runs(tx: Transaction, after: tuple[int, bytes], limit: int) -> list[Standing]:
    """Return a page of runs that are not final, by deadline and id, behind the run with those of `after`."""
    rows = tx.cursor.execute(
        f"{_RUNS} WHERE finished_at IS NULL AND (deadline, id) > (?, ?) ORDER BY deadline, id LIMIT ?",
        (*after, limit),
    )
    return [Standing._make(row) for row in rows]


def standing(tx: Transaction, run_id: bytes) -> Standing | None:
    """Return one run, final or not; None where there is none."""
    row = tx.cursor.execute(f"{_RUNS} WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else Standing._make(row)


def queue_rows(tx: Transaction, run_ids: Sequence[bytes]) -> list[QueueRow]:
    """Return all rows of the queue of some runs, by run and task."""
    found: list[QueueRow] = []
    for part, marks in _in_parts(run_ids):
        rows = tx.cursor.execute(
            "SELECT q.id, q.run_id, q.task, q.state, q.outstanding, q.wake_at IS NOT NULL, q.attempt, q.stop, "  # noqa: S608 - marks only
            f"q.worker_id, w.id IS NOT NULL AND w.ended_at IS NULL, CASE WHEN {WAITS_FOR_CHILD} THEN 1 ELSE 0 END, "
            "q.state = 'running' AND q.attempt = 1 AND q.first_started_at > ? "
            "FROM queue q LEFT JOIN workers w ON w.id = q.worker_id "
            f"WHERE q.run_id IN ({marks}) ORDER BY q.run_id, q.task",
            (tx.now - _FRESH, *part),
        )
        found += [QueueRow._make(row) for row in rows]
    return found


def lost_waits(tx: Transaction, run_ids: Sequence[bytes]) -> dict[bytes, tuple[bool, bool, bool, bool]]:
    """Return of those of some runs that wait and are not stopped for what.

    That is whether it is a place, whether they are counted under a limit, whether they wait for any run, and whether
    one of those is gone, or has ended and nobody is to tell.
    """
    found: dict[bytes, tuple[bool, bool, bool, bool]] = {}
    for part, marks in _in_parts(run_ids):
        rows = tx.cursor.execute(
            "SELECT r.id, coalesce(r.reason, '') = 'concurrency', r.limit_key IS NOT NULL, "  # noqa: S608 - marks only
            "EXISTS (SELECT 1 FROM run_dependencies d WHERE d.run_id = r.id AND d.settled = 0), "
            "EXISTS (SELECT 1 FROM run_dependencies d LEFT JOIN runs o ON o.id = d.on_id WHERE d.run_id = r.id "
            "AND d.settled = 0 AND (o.id IS NULL OR (o.finished_at IS NOT NULL AND o.awaited = 0))) "
            "FROM runs r WHERE r.state = 'waiting' AND (r.reason IS NULL OR r.reason = 'concurrency') "
            "AND r.cancels = 0 AND r.expired = 0 "
            f"AND r.id IN ({marks})",
            part,
        )
        found |= {row[0]: (bool(row[1]), bool(row[2]), bool(row[3]), bool(row[4])) for row in rows}
    return found


def ended_children(tx: Transaction, run_ids: Sequence[bytes]) -> dict[tuple[bytes, int], bytes]:
    """Return the child runs that tasks of some runs wait for although they ended, and nobody is to tell."""
    found: dict[tuple[bytes, int], bytes] = {}
    for part, marks in _in_parts(run_ids):
        rows = tx.cursor.execute(
            "SELECT q.run_id, q.task, c.id, q.detail FROM queue q JOIN runs c ON c.parent_id = q.run_id "  # noqa: S608 - marks only
            "AND c.parent_task = q.task WHERE q.state = 'waiting' AND q.detail IS NOT NULL "
            "AND c.finished_at IS NOT NULL AND c.awaited = 0 "
            f"AND q.run_id IN ({marks})",
            part,
        )
        found |= {(run_id, task): child for run_id, task, child, detail in rows if _waits_for(child, detail)}
    return found


def ended_tasks(tx: Transaction, run_ids: Sequence[bytes]) -> list[tuple[bytes, int, int]]:
    """Return `(run, task, attempts)` of the final tasks of some runs."""
    found: list[tuple[bytes, int, int]] = []
    for part, marks in _in_parts(run_ids):
        found += tx.cursor.execute(
            f"SELECT run_id, task, attempt FROM tasks WHERE run_id IN ({marks})",  # noqa: S608 - marks only
            part,
        ).fetchall()
    return found


def rows_of_no_run(tx: Transaction, after: int, limit: int) -> tuple[list[bytes], int | None]:
    """Look at a page of the queue, behind the row `after`, for rows whose run is final or gone.

    Return the ids of those runs, and the last row of the page; None where that was the last page.
    """
    rows = tx.cursor.execute(
        "SELECT q.id, q.run_id, r.id IS NOT NULL AND r.finished_at IS NULL FROM queue q "
        "LEFT JOIN runs r ON r.id = q.run_id WHERE q.id > ? ORDER BY q.id LIMIT ?",
        (after, limit),
    ).fetchall()
    found = dict.fromkeys(run_id for _, run_id, goes_on in rows if not goes_on)
    return list(found), rows[-1][0] if len(rows) == limit else None


def claims_of(tx: Transaction, worker_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return `(row, fence)` of everything that some workers hold."""
    return [
        (row, fence)
        for worker_id in worker_ids
        for row, fence in tx.cursor.execute("SELECT id, fence FROM queue WHERE worker_id = ?", (worker_id,))
    ]


def clear_wake(tx: Transaction, queue_id: int) -> None:
    """Take the time to be looked at from a row that waits for none."""
    tx.cursor.execute(
        "UPDATE queue SET wake_at = NULL WHERE id = ? AND state NOT IN ('scheduled', 'waiting')", (queue_id,)
    )


def free(tx: Transaction, queue_id: int) -> None:
    """Take a row that waits from the worker that holds it."""
    tx.cursor.execute(
        "UPDATE queue SET worker_id = NULL WHERE id = ? AND state IN ('pending', 'scheduled', 'waiting')", (queue_id,)
    )


def clear_stop(tx: Transaction, queue_id: int) -> None:
    """Take the request to stop from a row that does not run."""
    tx.cursor.execute("UPDATE queue SET stop = NULL WHERE id = ? AND state <> 'running'", (queue_id,))


def set_outstanding(tx: Transaction, queue_id: int, count: int) -> None:
    """Note for how many steps a pending row waits."""
    tx.cursor.execute("UPDATE queue SET outstanding = ? WHERE id = ? AND state = 'pending'", (count, queue_id))


def is_told_begun(tx: Transaction, run_id: bytes) -> bool:
    """Say whether an event tells that a run started."""
    told = "SELECT 1 FROM events WHERE run_id = ? AND instr(types, 'run.started') > 0 LIMIT 1"
    return tx.cursor.execute(told, (run_id,)).fetchone() is not None


def drop_rows(tx: Transaction, run_id: bytes) -> int:
    """Remove all rows of a run that does not exist from the queue; return how many those were."""
    tx.cursor.execute(
        "DELETE FROM queue WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?)", (run_id, run_id)
    )
    return tx.cursor.rowcount


def recount(tx: Transaction, run_id: bytes, counts: str, allowed_failures: int) -> None:
    """Write down the tasks of a final run by state once more."""
    tx.cursor.execute(
        "UPDATE runs SET counts = ?, allowed_failures = ? WHERE id = ? AND finished_at IS NOT NULL",
        (counts, allowed_failures, run_id),
    )


def _waits_for(child: bytes, detail: str) -> bool:
    return detail.startswith(f'{{"child":"{id_text(child)}"')


def _in_parts(ids: Sequence[bytes]) -> Iterator[tuple[Sequence[bytes], str]]:
    """Yield as many of `ids` as one statement takes, with a mark for each of them, until all were there."""
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        yield part, ",".join("?" * len(part))
