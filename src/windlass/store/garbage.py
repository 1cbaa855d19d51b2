"""What nothing points at any more: jobs that were deleted, revisions that ran once, workers and events of long ago.

Routes stay: there is one for each way to workers that jobs ever named, and whoever prepared a job a while ago keeps its
numbers for the runs to come. A route that went in between would leave their tasks to nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from windlass.clock import SECOND
from windlass.store.event_waits import forget_ended
from windlass.store.file_homes import drop_homes
from windlass.store.transaction import Transaction

#: Rows of one kind that one unit of work removes.
PORTION: Final = 200
#: Microseconds for which the row of a limit is kept after somebody counted under it. It holds nothing: whoever counts
#: again makes it again.
KEY_LIFE: Final = 3600 * SECOND
#: Microseconds for which a program that said no good-bye is kept after it has ceased to count as at work. Each start is
#: another one: one that is killed again and again leaves a row each time.
PROGRAM_LIFE: Final = 3600 * SECOND

_JOBS: Final = (
    "SELECT j.id FROM jobs j WHERE (j.deleted_at < ? OR (j.listed = 0 AND j.updated_at < ?)) "
    "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.job_id = j.id) "
    "AND NOT EXISTS (SELECT 1 FROM archived_runs a WHERE a.job_id = j.id) LIMIT ?"
)
#: A job of which a transaction that has not ended starts a run stays.
_UNUSED: Final = {"sqlite": "", "postgresql": " FOR UPDATE OF j SKIP LOCKED"}
_REVISIONS: Final = (
    "DELETE FROM revisions WHERE id IN (SELECT v.id FROM revisions v JOIN jobs j ON j.id = v.job_id "
    "WHERE j.listed = 0 AND v.number < j.revision AND v.created_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.job_id = v.job_id AND r.revision_id = v.id) "
    "AND NOT EXISTS (SELECT 1 FROM archived_runs a WHERE a.revision_id = v.id) LIMIT ?)"
)
_WORKERS: Final = (
    "DELETE FROM workers WHERE id IN (SELECT w.id FROM workers w WHERE w.ended_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.worker_id = w.id) LIMIT ?)"
)
_EVENTS: Final = (
    "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE run_id IS NULL AND at < ? "
    "AND seq <= coalesce((SELECT min(after) >> 20 FROM event_waits), seq) ORDER BY seq LIMIT ?)"
)

_KEYS: Final = "DELETE FROM limit_keys WHERE key IN (SELECT key FROM limit_keys WHERE used_at < ? LIMIT ?)"

_PROGRAMS: Final = "DELETE FROM programs WHERE instance IN (SELECT instance FROM programs WHERE until < ? LIMIT ?)"


def drop_jobs(tx: Transaction, age: int) -> int:
    """Remove jobs that were deleted, or were never listed, `age` microseconds ago and have no runs; return how many."""
    before = tx.now - age
    found = tx.cursor.execute(_JOBS + _UNUSED[tx.dialect], (before, before, PORTION)).fetchall()
    for table, column in (("job_tags", "job_id"), ("revisions", "job_id"), ("jobs", "id")):
        tx.cursor.executemany(f"DELETE FROM {table} WHERE {column} = ?", found)  # noqa: S608 - constants
    return len(found)


def drop_revisions(tx: Transaction, age: int) -> int:
    """Remove older revisions of jobs that are not listed, which no run has; return how many."""
    return _dropped(tx, _REVISIONS, age)


def drop_workers(tx: Transaction, age: int) -> int:
    """Remove workers that ended long ago and hold nothing; return how many."""
    return _dropped(tx, _WORKERS, age)


def drop_events(tx: Transaction, age: int) -> int:
    """Remove events that belong to no run and that nobody who waits has yet to look at; return how many."""
    forget_ended(tx)
    return _dropped(tx, _EVENTS, age)


def drop_keys(tx: Transaction, age: int) -> int:
    """Remove rows of limits under which nobody counted for `age` or an hour, whichever is less; return how many."""
    return _dropped(tx, _KEYS, min(age, KEY_LIFE))


def drop_programs(tx: Transaction, age: int) -> int:
    """Remove programs that were killed `age` or an hour ago, whichever is less; return how many."""
    return _dropped(tx, _PROGRAMS, min(age, PROGRAM_LIFE))


def drop_unused_homes(tx: Transaction, age: int) -> int:
    """Remove homes in which nobody has worked for `age` and nothing of the store lies; return how many."""
    return drop_homes(tx, tx.now - age, PORTION)


#: All of it; each removes a portion at a time.
DROPS: Final[tuple[Callable[[Transaction, int], int], ...]] = (
    drop_jobs,
    drop_revisions,
    drop_workers,
    drop_events,
    drop_keys,
    drop_programs,
    drop_unused_homes,
)


def _dropped(tx: Transaction, statement: str, age: int) -> int:
    tx.cursor.execute(statement, (tx.now - age, PORTION))
    return int(tx.cursor.rowcount)
