"""Runs under a limit: who has a place, who waits for one. Places are counted from the runs themselves."""

from __future__ import annotations

from typing import Final, NamedTuple

from windlass.store.hot_postgres import CLOCK
from windlass.store.lines import COLUMNS, LimitedRun, Line
from windlass.store.transaction import Transaction, move_on, require_alone

# A run that has a place under its key keeps it while it waits for one among the runs of its project.
_HOLDING = (
    "limit_key = ? AND finished_at IS NULL "
    "AND (state = 'queued' OR state = 'running' OR (state = 'waiting' AND reason = 'max_runs'))"
)
#: A task that waits for a run that it began, as `engine.completion` notes it. The key is the first of all, where
#: nothing that a user chose can stand: an event's filter and outputs are further on.
WAITS_FOR_CHILD: Final = """(state = 'waiting' AND detail LIKE '{"child":"%')"""
#: The runs that wait for a place under a key.
LINE: Final = Line("limit_key = ? AND finished_at IS NULL AND state = 'waiting' AND reason = 'concurrency'")


class Standing(NamedTuple):
    """A run that is not final, and what it waits for a place under, if it does."""

    project: str
    job_id: bytes
    revision_id: int
    state: str
    reason: str | None
    limit_key: str | None


def standing(tx: Transaction, run_id: bytes) -> Standing | None:
    """Return how a run stands; None where it is final or gone."""
    found = tx.cursor.execute(
        "SELECT project, job_id, revision_id, state, reason, limit_key FROM runs WHERE id = ? AND finished_at IS NULL",
        (run_id,),
    ).fetchone()
    return None if found is None else Standing._make(found)


def awaited_children(tx: Transaction, run_id: bytes) -> list[bytes]:
    """Return the runs that are not final and for which tasks of a run wait."""
    found = tx.cursor.execute(
        "SELECT id FROM runs WHERE parent_id = ? AND parent_task IS NOT NULL AND awaited = 1 AND finished_at IS NULL "
        "ORDER BY id",
        (run_id,),
    )
    return [row[0] for row in found]


def lock_key(tx: Transaction, key: str) -> None:
    """Let nobody else count and take places under `key` until this unit of work ends.

    Beside others keys are locked in their order, so that nobody waits in a circle; a unit that wants them otherwise
    runs alone.
    """
    if not tx.alone:
        if tx.keys and key < tx.keys[-1]:
            require_alone(tx)
        if not tx.keys or key != tx.keys[-1]:
            tx.keys.append(key)
    locked = (
        "INSERT INTO limit_keys (key, used_at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET used_at = excluded.used_at"
    )
    if tx.alone:
        tx.cursor.execute(locked, (key, tx.now))
    else:
        move_on(tx, tx.cursor.execute(f"{locked} RETURNING {CLOCK}", (key, tx.now)).fetchone()[0])


def holding(tx: Transaction, key: str) -> int:
    """Count the runs that have a place under `key`."""
    return int(tx.cursor.execute(f"SELECT count(*) FROM runs WHERE {_HOLDING}", (key,)).fetchone()[0])  # noqa: S608 - constants only


def holders(tx: Transaction, key: str, limit: int) -> list[bytes]:
    """Return up to `limit` runs that have a place under `key`."""
    found = tx.cursor.execute(f"SELECT id FROM runs WHERE {_HOLDING} ORDER BY id LIMIT ?", (key, limit))  # noqa: S608 - constants only
    return [row[0] for row in found]


def under(tx: Transaction, key: str) -> list[LimitedRun]:
    """Return every run that has a place under `key` or waits for one and is not asked to stop, oldest first."""
    found = tx.cursor.execute(
        f"SELECT {COLUMNS} FROM runs WHERE limit_key = ? AND finished_at IS NULL AND state <> 'scheduled' "  # noqa: S608 - constants only
        "AND cancels = 0 AND expired = 0 ORDER BY id",
        (key,),
    )
    return [LimitedRun._make(row) for row in found]


def keys_waited_for(tx: Transaction) -> list[str]:
    """Return every key under which runs wait for a place."""
    found = tx.cursor.execute(
        "SELECT DISTINCT limit_key FROM runs WHERE limit_key IS NOT NULL AND finished_at IS NULL "
        "AND state = 'waiting' AND reason = 'concurrency'"
    )
    return [row[0] for row in found]


def note_key(
    tx: Transaction, run_id: bytes, key: str | None, rank: int, *, reason: str | None, waiting_for: str | None
) -> None:
    """Note what a run is counted under, and what it waits for."""
    tx.cursor.execute(
        "UPDATE runs SET limit_key = ?, limit_rank = ?, reason = ?, waiting_for = ? WHERE id = ?",
        (key, rank, reason, waiting_for, run_id),
    )


def hold(tx: Transaction, run_id: bytes, *, reason: str, waiting_for: str, deadline: int) -> None:
    """Let a queued run that never began wait until `deadline` at most; its tasks leave the order of the queue."""
    tx.cursor.execute(
        "UPDATE runs SET state = 'waiting', reason = ?, waiting_for = ?, queued_at = NULL, deadline = ?, "
        "counted_at = ? WHERE id = ? AND state = 'queued'",
        (reason, waiting_for, deadline, tx.now, run_id),
    )
    tx.cursor.execute(
        "UPDATE queue SET state = 'pending', outstanding = 1, wake_at = NULL, queued_at = NULL WHERE run_id = ? "
        "AND worker_id IS NULL AND (state = 'scheduled' OR state = 'queued' OR outstanding <= 0)",
        (run_id,),
    )


def open_range(tx: Transaction, run_id: bytes, first: int, last: int) -> None:
    """Note that the pending tasks `first` to `last` wait for nothing any more, not even for their run."""
    tx.cursor.execute(
        "UPDATE queue SET outstanding = 0 WHERE run_id = ? AND task BETWEEN ? AND ? AND state = 'pending'",
        (run_id, first, last),
    )


def let_in(tx: Transaction, run_id: bytes, *, deadline: int, reason: str = "concurrency") -> bool:
    """Move a run that waits for `reason` on to queued; False where it does not. Its tasks are still to be queued."""
    tx.cursor.execute(
        "UPDATE runs SET state = 'queued', reason = NULL, waiting_for = NULL, queued_at = ?, deadline = ?, "
        "counted_at = ? WHERE id = ? AND state = 'waiting' AND reason = ?",
        (tx.now, deadline, tx.now, run_id, reason),
    )
    return tx.cursor.rowcount == 1


def held_back(tx: Transaction, run_id: bytes, most: int | None) -> list[int]:
    """Return the tasks of a run that wait for no step, and are kept out of the queue; at most `most` of them."""
    found = tx.cursor.execute(
        "SELECT task FROM queue WHERE run_id = ? AND state = 'pending' AND outstanding <= 0 AND stop IS NULL "
        "ORDER BY task LIMIT ?",
        (run_id, 2**31 if most is None else most),
    )
    return [row[0] for row in found]


def active(tx: Transaction, run_id: bytes) -> int:
    """Count the tasks of a run that run, may be taken, come again after a delay, or wait for a run that they began."""
    found = tx.cursor.execute(
        "SELECT count(*) FROM queue WHERE run_id = ? "  # noqa: S608 - constants only
        f"AND (state = 'queued' OR state = 'running' OR state = 'scheduled' OR {WAITS_FOR_CHILD})",
        (run_id,),
    )
    return int(found.fetchone()[0])


def newest_revision(tx: Transaction, job_id: bytes) -> int | None:
    """Return the id of a job's newest revision."""
    found = tx.cursor.execute(
        "SELECT r.id FROM jobs j JOIN revisions r ON r.job_id = j.id AND r.number = j.revision WHERE j.id = ?",
        (job_id,),
    ).fetchone()
    return None if found is None else int(found[0])


def limited(tx: Transaction, run_id: bytes) -> tuple[str, str, int] | None:
    """Return what a run that never began is counted under, its parameters as text, and how many tasks it has."""
    found = tx.cursor.execute(
        "SELECT limit_key, parameters, (SELECT count(*) FROM queue WHERE run_id = runs.id) FROM runs "
        "WHERE id = ? AND limit_key IS NOT NULL",
        (run_id,),
    ).fetchone()
    return None if found is None else (found[0], found[1], int(found[2]))


def remove_tasks(tx: Transaction, run_id: bytes) -> None:
    """Remove the rows of a run that ends before anything of it was taken."""
    tx.cursor.execute("DELETE FROM queue WHERE run_id = ? AND worker_id IS NULL", (run_id,))


def key_of(tx: Transaction, run_id: bytes) -> str | None:
    """Return what a run is counted under."""
    found = tx.cursor.execute("SELECT limit_key FROM runs WHERE id = ?", (run_id,)).fetchone()
    return None if found is None else found[0]
