"""Going back to a revision, and naming revisions: new rows only, for revisions never change."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.job_shapes import full_job_shape
from windlass.engine.jobs import find_job, find_revision, split_reference
from windlass.errors import Conflict, NotFound, UserError
from windlass.model.printable import printable
from windlass.model.rates import stated_in
from windlass.store.jobs import StoredJob, update_job
from windlass.store.rates import keep_stated
from windlass.store.revisions import StoredRevision, insert_revision
from windlass.store.tags import remove_tag, set_tag, tags_of
from windlass.store.transaction import Transaction

_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")


async def roll_back(
    engine: Engine,
    project: str,
    reference: str,
    name: str | int,
    *,
    author: str | None = None,
    message: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Make the content of an earlier revision, by number or tag, the newest one of its job.

    The answer is the job with its newest revision; `changed` is False where that has this content already, and nothing
    was done then. `force` takes the job over from the source that it belongs to.
    Raises NotFound where the job or the revision does not exist, Conflict where the job belongs to a source.
    """
    return await engine.store.run(_roll_back, engine, project, reference, name, author, message, force=force)


def _roll_back(
    tx: Transaction,
    engine: Engine,
    project: str,
    reference: str,
    name: str | int,
    author: str | None,
    message: str | None,
    *,
    force: bool,
) -> dict[str, Any]:
    alias, wanted = split_reference(reference, name)
    job = _live(tx, project, alias)
    old = find_revision(tx, job, wanted)
    changed = old.digest != job.digest
    if changed:
        source = None if job.provenance is None else job.provenance["source"]
        if source is not None and not force:
            raise Conflict(
                f'Job "{job.alias}" belongs to source "{source}", which would bring its own content back: change it '
                "there, or take it over with --force."
            )
        _add(tx, engine, job, old, author, message or f"back to revision {old.number}")
        of = f"Job/{job.alias}"
        note(tx, "job.rollback", of, project=job.project, before=job.digest, after=old.digest, revision=old.number)
        job = _live(tx, project, alias)
    newest = find_revision(tx, job, None)
    return {**full_job_shape(job, newest), "tags": tags_of(tx, job.id), "changed": changed, "from": old.number}


def _add(
    tx: Transaction, engine: Engine, job: StoredJob, old: StoredRevision, author: str | None, message: str
) -> None:
    """Add the content of an old revision as the newest one: by hand, whatever brought the old one."""
    number = job.revision + 1
    content = orjson.loads(old.content)
    update_job(tx, job.id, revision=number, labels=content["metadata"].get("labels", {}), provenance=None)
    keep_stated(tx, job.id, job.project, stated_in(content))
    revision_id = insert_revision(
        tx,
        job_id=job.id,
        number=number,
        digest=old.digest,
        content=old.content,
        provenance=None,
        author=author,
        message=message,
    )
    engine.jobs.forget(revision_id)
    tx.hints.add("places")  # its limit may have become another one


async def tag_revision(
    engine: Engine, project: str, reference: str, tag: str, name: str | int | None, *, author: str | None = None
) -> dict[str, Any]:
    """Let `tag` name a revision of a job, by number or another tag; None is the newest. A tag may be moved.

    Return `{job, tag, revision, before}`, `before` being what it named until now. Raises NotFound where the job or the
    revision does not exist, UserError where the tag is none.
    """
    if not _TAG.fullmatch(tag):
        raise UserError(
            f'"{printable(tag)}" is no tag: it begins with a letter and has up to 63 letters, digits, `_`, `.` and `-`.'
        )
    return await engine.store.run(_tag, project, reference, tag, name, author)


def _tag(
    tx: Transaction, project: str, reference: str, tag: str, name: str | int | None, author: str | None
) -> dict[str, Any]:
    alias, wanted = split_reference(reference, name)
    job = _live(tx, project, alias)
    before = tags_of(tx, job.id).get(tag)
    found = find_revision(tx, job, wanted)
    set_tag(tx, job.id, tag, found.number, author=author)
    note(tx, "job.tag", f"Job/{job.alias}", project=job.project, tag=tag, revision=found.number, was=before)
    return {"job": job.alias, "tag": tag, "revision": found.number, "before": before}


async def untag_revision(engine: Engine, project: str, reference: str, tag: str) -> dict[str, Any]:
    """Take a tag away; return what it named. Raises NotFound where there is no such job or tag."""
    return await engine.store.run(_untag, project, reference, tag)


def _untag(tx: Transaction, project: str, reference: str, tag: str) -> dict[str, Any]:
    job = _live(tx, project, reference)
    before = find_revision(tx, job, tag).number if _TAG.fullmatch(tag) else None
    if before is None:
        raise NotFound(f'Job "{job.alias}" has no tag "{printable(tag)}".')
    remove_tag(tx, job.id, tag)
    note(tx, "job.untag", f"Job/{job.alias}", project=job.project, tag=tag, was=before)
    return {"job": job.alias, "tag": tag, "revision": None, "before": before}


def _live(tx: Transaction, project: str, reference: str) -> StoredJob:
    job = find_job(tx, project, reference)
    if job.deleted_at is not None:
        raise NotFound(f'Job "{job.alias}" was deleted: apply its manifest again to bring it back.')
    return job
