"""Jobs as they are kept: one row each, with the newest revision beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from sqlalchemy import ColumnElement, and_, func, insert, or_, select, tuple_, update

from windlass.store.json_text import json_text
from windlass.store.labels import has_label
from windlass.store.rates import drop_stated
from windlass.store.tables import jobs, revisions, routes
from windlass.store.transaction import Transaction

Item = TypeVar("Item")

#: Names asked for in one statement: SQLite takes a limited number of variables.
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """One job with its newest revision."""

    id: bytes
    project: str
    alias: str
    #: Number and id of the newest revision, and the digest of its content.
    revision: int
    revision_id: int
    digest: str
    enabled: bool
    listed: bool
    labels: dict[str, str]
    provenance: dict[str, str] | None
    created_at: int
    updated_at: int
    deleted_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows; None leaves a field open. Deleted and unlisted jobs are never shown."""

    project: str | None = None
    #: Labels that a job must have; None as the value takes any.
    labels: Mapping[str, str | None] = field(default_factory=dict)
    #: Stands in the alias, title, description or category, in small or capital letters.
    text: str | None = None
    category: str | None = None
    enabled: bool | None = None
    #: The source that a job must come from.
    source: str | None = None
    #: Project and alias of the last job of the page before.
    after: tuple[str, str] | None = None
    limit: int = 50


_COLUMNS = (*jobs.c, revisions.c.id.label("revision_id"), revisions.c.digest)
_FROM = jobs.join(revisions, and_(revisions.c.job_id == jobs.c.id, revisions.c.number == jobs.c.revision))
_LIVE = and_(jobs.c.deleted_at.is_(None), jobs.c.listed == 1)


def live_job(tx: Transaction, project: str, alias: str) -> StoredJob | None:
    """Return the listed job of that name, or None where there is none."""
    found = select(*_COLUMNS).select_from(_FROM).where(_LIVE, jobs.c.project == project, jobs.c.alias == alias)
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else _job(row)


def job_by_id(tx: Transaction, job_id: bytes) -> StoredJob | None:
    """Return a job by its id, deleted and unlisted ones included; None where there is none."""
    row = tx.connection.execute(select(*_COLUMNS).select_from(_FROM).where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def live_jobs(tx: Transaction, project: str) -> dict[str, StoredJob]:
    """Return all listed jobs of a project by alias."""
    found = select(*_COLUMNS).select_from(_FROM).where(_LIVE, jobs.c.project == project)
    return {row.alias: _job(row) for row in tx.connection.execute(found)}


def live_jobs_named(tx: Transaction, project: str, aliases: Sequence[str]) -> dict[str, StoredJob]:
    """Return those listed jobs of a project that have one of these names, by alias."""
    named: dict[str, StoredJob] = {}
    for part in _chunks(aliases):
        found = select(*_COLUMNS).select_from(_FROM).where(_LIVE, jobs.c.project == project, jobs.c.alias.in_(part))
        named.update((row.alias, _job(row)) for row in tx.connection.execute(found))
    return named


def deleted_jobs_named(tx: Transaction, project: str, aliases: Sequence[str]) -> dict[str, StoredJob]:
    """Return the job that was deleted last under each of these names, by alias."""
    named: dict[str, StoredJob] = {}
    for part in _chunks(aliases):
        found = (
            select(*_COLUMNS)
            .select_from(_FROM)
            .where(
                jobs.c.project == project, jobs.c.alias.in_(part), jobs.c.listed == 1, jobs.c.deleted_at.is_not(None)
            )
            .order_by(jobs.c.deleted_at, jobs.c.id)
        )
        named.update((row.alias, _job(row)) for row in tx.connection.execute(found))
    return named


def unlisted_job(tx: Transaction, project: str, alias: str) -> StoredJob | None:
    """Return the newest job of that name that is not listed, or None where there is none."""
    found = (
        select(*_COLUMNS)
        .select_from(_FROM)
        .where(jobs.c.project == project, jobs.c.alias == alias, jobs.c.listed == 0)
        .order_by(jobs.c.id.desc())
        .limit(1)
    )
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else _job(row)


def is_queue_used(tx: Transaction, queue: str) -> bool:
    """Say whether a task waits, or ever waited, in a queue, or tasks of a job would."""
    route = select(routes.c.id).where(routes.c.queue == queue)
    named = json_text(revisions.c.content, "queue") == queue
    job = select(jobs.c.id).select_from(_FROM).where(_LIVE, named)
    return any(tx.connection.execute(found.limit(1)).first() is not None for found in (route, job))


def any_job(tx: Transaction, project: str) -> bool:
    """Say whether a project has, or ever had, a job."""
    return tx.connection.execute(select(jobs.c.id).where(jobs.c.project == project).limit(1)).first() is not None


def aliases(tx: Transaction, project: str) -> list[str]:
    """Return the names of all listed jobs of a project, in order."""
    return list(tx.connection.execute(select(jobs.c.alias).where(_LIVE, jobs.c.project == project)).scalars())


def list_jobs(tx: Transaction, filters: JobFilter) -> list[tuple[StoredJob, str]]:
    """Return a page of jobs by project and alias, each with the canonical JSON of its newest revision."""
    found = (
        select(*_COLUMNS, revisions.c.content)
        .select_from(_FROM)
        .where(*_conditions(filters))
        .order_by(jobs.c.project, jobs.c.alias)
        .limit(filters.limit)
    )
    return [(_job(row), row.content) for row in tx.connection.execute(found)]


def insert_job(
    tx: Transaction,
    *,
    job_id: bytes,
    project: str,
    alias: str,
    labels: Mapping[str, str],
    provenance: Mapping[str, str] | None,
    listed: bool = True,
) -> None:
    """Add a job whose first revision, number 1, is added next."""
    values = {
        "id": job_id,
        "project": project,
        "alias": alias,
        "revision": 1,
        "listed": int(listed),
        "labels": _json(labels),
        "provenance": None if provenance is None else _json(provenance),
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    tx.connection.execute(insert(jobs), values)


def update_job(
    tx: Transaction, job_id: bytes, *, revision: int, labels: Mapping[str, str], provenance: Mapping[str, str] | None
) -> None:
    """Set what an apply sets; a deleted job is live again."""
    values = {
        "revision": revision,
        "labels": _json(labels),
        "provenance": None if provenance is None else _json(provenance),
        "updated_at": tx.now,
        "deleted_at": None,
    }
    tx.connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def mark_deleted(tx: Transaction, job_ids: Iterable[bytes]) -> None:
    """Delete jobs softly: their runs and revisions stay, their names are free."""
    for part in _chunks(list(job_ids)):
        tx.connection.execute(
            update(jobs).where(jobs.c.id.in_(part), jobs.c.deleted_at.is_(None)).values(deleted_at=tx.now)
        )
        drop_stated(tx, part)


def mark_enabled(tx: Transaction, job_id: bytes, *, enabled: bool) -> None:
    """Let a job be started, or not."""
    tx.connection.execute(update(jobs).where(jobs.c.id == job_id).values(enabled=int(enabled), updated_at=tx.now))


def keep_job(tx: Transaction, job_id: bytes) -> bool:
    """Keep a job's row from being removed until this unit of work ends, on PostgreSQL; False where there is none."""
    found = tx.cursor.execute("SELECT 1 FROM jobs WHERE id = ? FOR KEY SHARE", (job_id,))
    return found.fetchone() is not None


def _conditions(filters: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_LIVE]
    if filters.project is not None:
        conditions.append(jobs.c.project == filters.project)
    if filters.after is not None:
        conditions.append(tuple_(jobs.c.project, jobs.c.alias) > tuple_(*filters.after))
    if filters.enabled is not None:
        conditions.append(jobs.c.enabled == int(filters.enabled))
    conditions.extend(has_label(jobs.c.labels, name, value) for name, value in filters.labels.items())
    if filters.category is not None:
        conditions.append(_text("category") == filters.category)
    if filters.source is not None:
        conditions.append(json_text(jobs.c.provenance, "source") == filters.source)
    if filters.text:
        places = (
            jobs.c.alias,
            _text("title"),
            _text("category"),
            json_text(revisions.c.content, "description"),
        )
        conditions.append(or_(*(func.lower(place).contains(filters.text.lower(), autoescape=True) for place in places)))
    return conditions


def _text(name: str) -> ColumnElement[str]:
    return json_text(revisions.c.content, f"metadata.{name}")


def _job(row: Any) -> StoredJob:
    return StoredJob(
        id=row.id,
        project=row.project,
        alias=row.alias,
        revision=row.revision,
        revision_id=row.revision_id,
        digest=row.digest,
        enabled=bool(row.enabled),
        listed=bool(row.listed),
        labels=orjson.loads(row.labels),
        provenance=None if row.provenance is None else orjson.loads(row.provenance),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def _json(value: Mapping[str, str]) -> str:
    return orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS).decode()


def _chunks(values: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
