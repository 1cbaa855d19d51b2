"""Names of revisions as they are kept: each names one revision of its job."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from windlass.store.tables import job_tags
from windlass.store.transaction import Transaction


def tagged(tx: Transaction, job_id: bytes, name: str) -> int | None:
    """Return the number of the revision that a tag of a job names; None where there is no such tag."""
    found = select(job_tags.c.number).where(job_tags.c.job_id == job_id, job_tags.c.name == name)
    return tx.connection.execute(found).scalar_one_or_none()


def tags_of(tx: Transaction, job_id: bytes) -> dict[str, int]:
    """Return the tags of a job by name, each with the number of its revision."""
    found = select(job_tags.c.name, job_tags.c.number).where(job_tags.c.job_id == job_id).order_by(job_tags.c.name)
    return {row.name: row.number for row in tx.connection.execute(found)}


def set_tag(tx: Transaction, job_id: bytes, name: str, number: int, *, author: str | None) -> None:
    """Let a tag name a revision, whatever it named before."""
    remove_tag(tx, job_id, name)
    values = {"job_id": job_id, "name": name, "number": number, "author": author, "created_at": tx.now}
    tx.connection.execute(insert(job_tags), values)


def remove_tag(tx: Transaction, job_id: bytes, name: str) -> bool:
    """Take a tag away; False where there was none."""
    gone = delete(job_tags).where(job_tags.c.job_id == job_id, job_tags.c.name == name)
    return tx.connection.execute(gone).rowcount > 0
