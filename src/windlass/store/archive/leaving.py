# ruff: noqa: S608 - the only texts put together here are constants of this module
"""Final runs that may leave the hot tables, and their leaving: a portion at a time, so that writers get their turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from windlass.clock import SECOND
from windlass.ids import first_of
from windlass.model.retention import PARTITION, FinalRun, RetentionRule
from windlass.store.archive.archived_files import Content, note_files
from windlass.store.archive.catalogue import NewEntry, drop, enter, set_removed
from windlass.store.archive.document import PARTS, Mark, mark_of
from windlass.store.dead_letters import UNDECIDED_RUN
from windlass.store.transaction import Transaction

#: Rows of a large run that one unit of work removes.
PORTION: Final = 200
#: The rule of runs that somebody wants deleted: those leave by no other.
DELETE: Final = "delete"
_SLACK: Final = 60 * SECOND
_HISTORY: Final = tuple(part.table for part in PARTS if part.table != "runs")
#: What keeps a final run: tasks, a parent or children that are not final, runs that wait for it, and a key that still
#: stands for it.
_FREE: Final = (
    "r.finished_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.run_id = r.id) "
    "AND (r.parent_id IS NULL OR NOT EXISTS "
    "(SELECT 1 FROM runs p WHERE p.id = r.parent_id AND p.finished_at IS NULL)) "
    "AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent_id = r.id AND c.finished_at IS NULL) "
    "AND r.awaited = 0 "
    "AND NOT EXISTS (SELECT 1 FROM run_dependencies d WHERE d.on_id = r.id AND d.settled = 0) "
    "AND (r.idempotency_key IS NULL OR NOT EXISTS (SELECT 1 FROM idempotency_keys k "
    "WHERE k.project = r.project AND k.key = r.idempotency_key AND k.run_id = r.id AND k.expires_at > ?))"
)


class Leaving(NamedTuple):
    """A run that is to leave, where its document is, and what it was when that was made."""

    entry: NewEntry
    mark: Mark
    #: What the archive keeps of its files.
    files: Sequence[Content] = ()


def candidates(
    tx: Transaction,
    rule: RetentionRule,
    job_id: bytes | None,
    *,
    by_age: bool,
    undecided: int,
    after: bytes,
    limit: int,
) -> tuple[list[FinalRun], bytes | None]:
    """Return final runs that a rule says must go, by their ids after `after`, and where to go on; None at the end.

    `job_id` looks at one job; `by_age` at the rule's age, else at the number of newer runs. Whether another rule
    comes first is not looked at. Runs with dead letters go to no archive before somebody has decided what is to become
    of those, or their end is `undecided` microseconds ago.
    """
    where, values = [_FREE, "r.deleting = 0", "r.id > ?"], [tx.now, after]
    if job_id is not None:
        where.append("r.job_id = ?")
        values.append(job_id)
    if rule.project is not None:
        where.append("r.project = ?")
        values.append(rule.project)
    if rule.states:
        where.append(f"r.state IN ({', '.join('?' * len(rule.states))})")
        values.extend(sorted(rule.states))
    if rule.to != "delete":
        where.append(f"(r.finished_at <= ? OR NOT ({UNDECIDED_RUN}))")
        values.append(tx.now - undecided)
    if by_age:
        latest = tx.now - (rule.min_age or 0)
        where.append("r.id < ? AND coalesce(r.restored_at, r.finished_at) <= ?")
        values += [first_of((latest + _SLACK) // 1000), latest]
    else:
        where.append("r.restored_at IS NULL AND r.id < ?")
        values.append(_oldest_kept(tx, job_id or b"", rule.keep or 0))
    rows = tx.cursor.execute(
        f"SELECT r.id, r.project, r.job_id, r.state, r.labels, r.finished_at FROM runs r WHERE {' AND '.join(where)} "
        "ORDER BY r.id LIMIT ?",
        (*values, limit),
    ).fetchall()
    found = [
        FinalRun(
            id=row[0],
            project=row[1],
            job_id=row[2],
            state=row[3],
            partition=_partition(row[4]),
            finished_at=row[5],
        )
        for row in rows
    ]
    return found, rows[-1][0] if len(rows) == limit else None


def leave(tx: Transaction, leaving: Sequence[Leaving]) -> list[bytes]:
    """Let runs go that nothing holds and nobody has changed; return which ones those were.

    Of a heavy run only its own row goes at once; `remove_rest` takes the others. The catalogue knows of it until then,
    even where no archive keeps it.
    """
    gone: list[bytes] = []
    whole: list[bytes] = []
    for entry, mark, files in leaving:
        wanted = int(entry.rule == DELETE)
        free = tx.cursor.execute(
            f"SELECT 1 FROM runs r WHERE r.id = ? AND r.deleting <= ? AND {_FREE}", (entry.run_id, wanted, tx.now)
        ).fetchone()
        if free is None or mark_of(tx, entry.run_id) != mark:
            continue
        deleted = not entry.archive
        heavy = _heavy(tx, entry.run_id)
        if heavy or not deleted:
            enter(tx, entry, removed=not heavy)
        elif mark.restored_at is not None:
            drop(tx, [entry.run_id])  # else the archive would give back what is deleted
        if files:
            note_files(tx, entry.run_id, entry.archive, files)
        gone.append(entry.run_id)
        if mark.labels:
            _drop_labels(tx, entry.run_id, mark.labels)
        if not heavy:
            whole.append(entry.run_id)
    for table in _HISTORY:
        _delete(tx, table, "run_id", whole)
    _delete(tx, "runs", "id", gone)
    return gone


def _heavy(tx: Transaction, run_id: bytes) -> bool:
    """Say whether a run has more rows than one unit should remove, or a file."""
    counts = [f"(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE run_id = ? LIMIT ?) rows)" for table in _HISTORY]
    found = tx.cursor.execute(
        f"SELECT {' + '.join(counts)}, EXISTS (SELECT 1 FROM artifacts WHERE run_id = ?)",
        (*(run_id, PORTION) * len(_HISTORY), run_id),
    ).fetchone()
    return found[0] >= PORTION or bool(found[1])


def remove_rest(tx: Transaction, run_id: bytes) -> bool:
    """Remove a portion of what is left of a run in the hot tables; return whether nothing is left."""
    for part in PARTS[1:]:
        keys = ", ".join(part.order)
        tx.cursor.execute(
            f"DELETE FROM {part.table} WHERE run_id = ? AND ({keys}) IN "
            f"(SELECT {keys} FROM {part.table} WHERE run_id = ? ORDER BY {keys} LIMIT {PORTION})",
            (run_id, run_id),
        )
        if tx.cursor.rowcount:
            return False
    set_removed(tx, run_id)
    return True


def _oldest_kept(tx: Transaction, job_id: bytes, keep: int) -> bytes:
    """Return the oldest of the newest `keep` final runs of a job; an id below all where there are not that many."""
    row = tx.cursor.execute(
        "SELECT id FROM runs WHERE job_id = ? AND finished_at IS NOT NULL AND restored_at IS NULL "
        "ORDER BY id DESC LIMIT 1 OFFSET ?",
        (job_id, keep - 1),
    ).fetchone()
    return b"" if row is None else bytes(row[0])


def _drop_labels(tx: Transaction, run_id: bytes, labels: str) -> None:
    tx.cursor.executemany(
        "DELETE FROM run_labels WHERE name = ? AND value = ? AND run_id = ?",
        [(name, str(value), run_id) for name, value in orjson.loads(labels).items()],
    )


def _delete(tx: Transaction, table: str, column: str, run_ids: Sequence[bytes]) -> None:
    if run_ids:
        tx.cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({', '.join('?' * len(run_ids))})", tuple(run_ids))


def _partition(labels: str | None) -> str | None:
    return None if labels is None else orjson.loads(labels).get(PARTITION)
