"""Stored jobs: found by alias or id, listed, deleted, enabled; with their history."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from windlass.engine.auditing.noting import note
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.job_shapes import full_job_shape, job_shape, revision_shape
from windlass.errors import NotFound, UserError
from windlass.ids import parse_id
from windlass.model.did_you_mean import suggestion
from windlass.model.printable import printable
from windlass.store import jobs as stored
from windlass.store.jobs import JobFilter, StoredJob
from windlass.store.revisions import StoredRevision, numbered_revision, revisions_of
from windlass.store.runs import live_runs_of
from windlass.store.tags import tagged, tags_of
from windlass.store.transaction import Transaction

#: What to do about a name that resembles none.
_LISTED: Final = "; `windlass job list` lists those there are."
#: Digits that no number of a revision has.
_NUMBER_DIGITS: Final = 10
#: Digits of an id's text without its dashes.
_ID_DIGITS: Final = 32


def find_job(tx: Transaction, project: str, reference: str) -> StoredJob:
    """Return a job by its alias in `project`, or by its id wherever it is, also a deleted one.

    Raises NotFound where there is none.
    """
    found = stored.live_job(tx, project, reference) if reference.isascii() else None
    if found is None and len(reference.replace("-", "")) == _ID_DIGITS:
        job_id = parse_id(reference)
        found = None if job_id is None else stored.job_by_id(tx, job_id)
    if found is None and _deleted(tx, project, reference) is not None:
        raise NotFound(f'Job "{reference}" was deleted: apply its manifest again to bring it back.')
    if found is None:
        near = suggestion(reference, stored.aliases(tx, project))
        raise NotFound(f'There is no job "{printable(reference)}" in project {printable(project)}{near or _LISTED}')
    return found


def find_run_job(tx: Transaction, project: str, reference: str) -> StoredJob:
    """Return a job that may have runs: as `find_job` does, else a deleted one, else what `exec` made of a manifest.

    Raises NotFound where there is none of that alias.
    """
    try:
        return find_job(tx, project, reference)
    except NotFound:
        found = _deleted(tx, project, reference)
        if found is None and reference.isascii():
            found = stored.unlisted_job(tx, project, reference)
        if found is None:
            raise
        return found


def _deleted(tx: Transaction, project: str, alias: str) -> StoredJob | None:
    return stored.deleted_jobs_named(tx, project, [alias]).get(alias) if alias.isascii() else None


def find_compiled(tx: Transaction, engine: Engine, project: str, reference: str) -> CompiledJob:
    """Return the newest revision of a job ready to run. Raises NotFound where there is no such live job."""
    found = find_job(tx, project, reference)
    if found.deleted_at is not None:
        raise NotFound(f'Job "{found.alias}" was deleted: apply its manifest again to bring it back.')
    return compiled(tx, engine.jobs, found.revision_id)


async def get_job(engine: Engine, project: str, reference: str, name: str | int | None = None) -> dict[str, Any]:
    """Return a job with its newest revision, or the one that `reference` (`job@7`) or `name` names.

    Raises NotFound where there is none.
    """
    return await engine.store.read(_get, project, reference, name)


def _get(tx: Transaction, project: str, reference: str, name: str | int | None) -> dict[str, Any]:
    job, found = find_revised(tx, project, reference, name)
    return {**full_job_shape(job, found), "tags": tags_of(tx, job.id)}


def find_revised(
    tx: Transaction, project: str, reference: str, name: str | int | None = None
) -> tuple[StoredJob, StoredRevision]:
    """Return a job, as `find_job` does, and the revision that `name` or `reference` (`job@7`, `job@tag`) names.

    Raises NotFound where one of them does not exist, UserError where both say which revision.
    """
    alias, name = split_reference(reference, name)
    job = find_job(tx, project, alias)
    return job, find_revision(tx, job, name)


def split_reference(reference: str, name: str | int | None = None) -> tuple[str, str | int | None]:
    """Return the job and the revision that `job@revision` names, or those given apart.

    Raises UserError where both say which revision, or nothing stands behind the `@`.
    """
    alias, at, named = reference.partition("@")
    if not at:
        return reference, name
    if name is not None or not named:
        twice = f'names a revision, and so does "{printable(str(name))}": give one of them'
        said = twice if named else "names no revision behind its @"
        raise UserError(f'"{printable(reference)}" {said}.')
    return alias, named


def find_revision(tx: Transaction, job: StoredJob, name: str | int | None) -> StoredRevision:
    """Return a job's revision by number or tag; None is the newest. Raises NotFound where there is none."""
    if name is None:
        number: int | None = job.revision
    elif isinstance(name, int) or (name.isascii() and name.isdecimal()):
        number = int(name) if len(str(name)) < _NUMBER_DIGITS else None
    else:
        number = tagged(tx, job.id, name) if name.isascii() else None
        if number is None:
            near = suggestion(name, tags_of(tx, job.id)) or f"; `windlass job history {job.alias}` lists its tags."
            raise NotFound(f'Job "{job.alias}" has no revision with the tag "{printable(name)}"{near}')
    found = None if number is None else numbered_revision(tx, job.id, number)
    if found is None:
        raise NotFound(f'Job "{job.alias}" has no revision {name}; its newest is {job.revision}.')
    return found


async def list_jobs(
    engine: Engine, filters: JobFilter, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of jobs by project and alias, and the cursor of the next page; None where this is the last.

    Raises UserError where the cursor is not one of ours.
    """
    if cursor is not None:
        filters = replace(filters, after=read_cursor(cursor))
    return await engine.store.read(_list, filters)


def _list(tx: Transaction, filters: JobFilter) -> tuple[list[dict[str, Any]], str | None]:
    rows = stored.list_jobs(tx, replace(filters, limit=filters.limit + 1))
    page = rows[: filters.limit]
    last = page[-1][0] if len(rows) > len(page) else None
    shapes = [job_shape(job, orjson.loads(content)) for job, content in page]
    return shapes, None if last is None else write_cursor(last)


async def delete_job(engine: Engine, project: str, reference: str) -> dict[str, Any]:
    """Delete a job softly: its runs go on and its history stays; applied again it lives again.

    The answer counts its runs that are not final as `liveRuns`. Raises NotFound where there is no such live job.
    """
    return await engine.store.run(_delete, project, reference)


def _delete(tx: Transaction, project: str, reference: str) -> dict[str, Any]:
    job = _live(tx, project, reference)
    stored.mark_deleted(tx, [job.id])
    note(tx, "job.delete", f"Job/{job.alias}", project=job.project, before=job.digest)
    return _shown(tx, replace(job, deleted_at=tx.now)) | {"liveRuns": live_runs_of(tx, job.project, job.id)}


async def enable_job(engine: Engine, project: str, reference: str, *, enabled: bool) -> dict[str, Any]:
    """Let a job be started, or not. Raises NotFound where there is no such live job."""
    return await engine.store.run(_enable, project, reference, enabled=enabled)


def _enable(tx: Transaction, project: str, reference: str, *, enabled: bool) -> dict[str, Any]:
    job = _live(tx, project, reference)
    stored.mark_enabled(tx, job.id, enabled=enabled)
    note(tx, "job.enable" if enabled else "job.disable", f"Job/{job.alias}", project=job.project)
    return _shown(tx, replace(job, enabled=enabled, updated_at=tx.now))


async def job_history(
    engine: Engine, project: str, reference: str, *, limit: int = 50, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of a job's revisions, newest first - who made each, when and why - and the next page's cursor.

    Raises NotFound where there is no such job, UserError where the cursor is not one of ours.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < _ID_DIGITS):
        raise UserError(f'"{cursor}" is no cursor of this list: take it from the page before.')
    before = None if cursor is None else int(cursor)
    return await engine.store.read(_history, project, reference, before, limit)


def _history(
    tx: Transaction, project: str, reference: str, before: int | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    job = find_job(tx, project, reference)
    found = revisions_of(tx, job.id, before=before, limit=limit)
    more = bool(found) and found[-1].number > 1
    tags: dict[int, list[str]] = {}
    for name, number in tags_of(tx, job.id).items():
        tags.setdefault(number, []).append(name)
    shapes = [revision_shape(one, tags.get(one.number, ())) for one in found]
    return shapes, str(found[-1].number) if more else None


def _live(tx: Transaction, project: str, reference: str) -> StoredJob:
    job = find_job(tx, project, reference)
    if job.deleted_at is not None:
        raise NotFound(f'Job "{job.alias}" was deleted already.')
    return job


def _shown(tx: Transaction, job: StoredJob) -> dict[str, Any]:
    content: Mapping[str, Any] = orjson.loads(find_revision(tx, job, None).content)
    return job_shape(job, content)


def write_cursor(job: StoredJob) -> str:
    """Return the cursor of the page after a job."""
    return base64.urlsafe_b64encode(orjson.dumps([job.project, job.alias])).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, str]:
    """Return project and alias of the last job of a page. Raises UserError where it is no cursor of ours."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        values = None
    if isinstance(values, list) and len(values) == 2 and all(isinstance(value, str) for value in values):  # noqa: PLR2004 - project and alias
        return values[0], values[1]
    raise UserError(f'"{cursor}" is no cursor of this list: take it from the page before.')
