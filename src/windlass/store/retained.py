"""What jobs say of how long their runs and files stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, select

from windlass.store.tables import jobs, revisions
from windlass.store.transaction import Transaction


def job_names(tx: Transaction) -> list[tuple[bytes, str, str]]:
    """Return `(id, project, alias)` of every job, deleted and unlisted ones included."""
    return [tuple(row) for row in tx.connection.execute(select(jobs.c.id, jobs.c.project, jobs.c.alias))]


def jobs_with_retention(tx: Transaction) -> Iterator[tuple[bytes, str, dict[str, Any]]]:
    """Yield `(id, alias, retention)` of every job whose newest revision says something, by project and alias."""
    newest = and_(revisions.c.job_id == jobs.c.id, revisions.c.number == jobs.c.revision)
    found = select(jobs.c.id, jobs.c.alias, revisions.c.content).join(revisions, newest)
    found = found.where(revisions.c.content.contains('"retention":')).order_by(jobs.c.project, jobs.c.alias, jobs.c.id)
    for row in tx.connection.execute(found):
        retention = orjson.loads(row.content).get("retention")
        if isinstance(retention, dict):
            yield row.id, row.alias, retention


def runs_with_old_files(tx: Transaction, job_id: bytes, before: int, limit: int) -> list[bytes]:
    """Return final runs of a job that ended before a time and whose files are still kept."""
    rows = tx.cursor.execute(
        "SELECT r.id FROM runs r WHERE r.job_id = ? AND coalesce(r.restored_at, r.finished_at) < ? "
        "AND EXISTS (SELECT 1 FROM artifacts a WHERE a.run_id = r.id) ORDER BY r.id LIMIT ?",
        (job_id, before, limit),
    )
    return [row[0] for row in rows]


def forget_files(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    """Forget the files of runs."""
    tx.cursor.executemany("DELETE FROM artifacts WHERE run_id = ?", [(run_id,) for run_id in run_ids])
