"""Revisions of jobs as they are kept: immutable rows, found by id or by job and number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, insert, select

from windlass.store.tables import jobs, revisions
from windlass.store.transaction import Transaction

#: Ids asked for in one statement: SQLite takes a limited number of variables.
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRevision:
    """One revision with the job it belongs to."""

    id: int
    job_id: bytes
    project: str
    alias: str
    number: int
    digest: str
    #: The normalised manifest as canonical JSON.
    content: str
    provenance: dict[str, str] | None
    author: str | None
    message: str | None
    created_at: int


_COLUMNS = (
    revisions.c.id,
    revisions.c.job_id,
    jobs.c.project,
    jobs.c.alias,
    revisions.c.number,
    revisions.c.digest,
    revisions.c.content,
    revisions.c.provenance,
    revisions.c.author,
    revisions.c.message,
    revisions.c.created_at,
)
_FROM = revisions.join(jobs, jobs.c.id == revisions.c.job_id)
_BY_ID: Select[Any] = select(*_COLUMNS).select_from(_FROM).where(revisions.c.id == bindparam("id"))


def revision(tx: Transaction, revision_id: int) -> StoredRevision | None:
    """Return a revision by its id, also one of a deleted or unlisted job; None where there is none."""
    row = tx.connection.execute(_BY_ID, {"id": revision_id}).one_or_none()
    return None if row is None else _revision(row)


def numbered_revision(tx: Transaction, job_id: bytes, number: int) -> StoredRevision | None:
    """Return a revision of a job by its number; None where there is none."""
    found = select(*_COLUMNS).select_from(_FROM).where(revisions.c.job_id == job_id, revisions.c.number == number)
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else _revision(row)


def revisions_of(tx: Transaction, job_id: bytes, *, before: int | None, limit: int) -> list[StoredRevision]:
    """Return a page of a job's revisions, newest first: those with a number below `before`."""
    found = select(*_COLUMNS).select_from(_FROM).where(revisions.c.job_id == job_id)
    if before is not None:
        found = found.where(revisions.c.number < before)
    rows = tx.connection.execute(found.order_by(revisions.c.number.desc()).limit(limit))
    return [_revision(row) for row in rows]


def contents_of(tx: Transaction, revision_ids: Sequence[int]) -> dict[int, str]:
    """Return the canonical JSON of revisions by id."""
    contents: dict[int, str] = {}
    for start in range(0, len(revision_ids), _CHUNK):
        part = revision_ids[start : start + _CHUNK]
        found = select(revisions.c.id, revisions.c.content).where(revisions.c.id.in_(part))
        contents.update((row.id, row.content) for row in tx.connection.execute(found))
    return contents


def insert_revision(
    tx: Transaction,
    *,
    job_id: bytes,
    number: int,
    digest: str,
    content: str,
    provenance: dict[str, str] | None,
    author: str | None,
    message: str | None,
) -> int:
    """Add a revision and return its id."""
    values = {
        "job_id": job_id,
        "number": number,
        "digest": digest,
        "content": content,
        "provenance": None if provenance is None else orjson.dumps(provenance).decode(),
        "author": author,
        "message": message,
        "created_at": tx.now,
    }
    return int(tx.connection.execute(insert(revisions).returning(revisions.c.id), values).scalar_one())


def _revision(row: Any) -> StoredRevision:
    values = row._asdict()
    values["provenance"] = None if row.provenance is None else orjson.loads(row.provenance)
    return StoredRevision(**values)


def is_settled(tx: Transaction, revision_id: int) -> bool:
    """Say whether a revision was there before this transaction, and so will be whatever becomes of that.

    On SQLite numbers are given again by this process alone, which knows when (`JobCache.forget`). PostgreSQL gives
    them again after a crash, and to anybody: what was compiled in a transaction that was lost then must not stand for
    what another server stored under the same number.
    """
    if tx.dialect == "sqlite":
        return True
    row = tx.cursor.execute("SELECT age(xmin) > 0 FROM revisions WHERE id = ?", (revision_id,)).fetchone()
    return bool(row and row[0])
