"""Manifests that run once, without becoming a job that lists show."""

from __future__ import annotations

from windlass.engine.applying import ApplyOptions, add_revision
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.model.manifest.load import Document
from windlass.store.jobs import insert_job, unlisted_job, update_job
from windlass.store.transaction import Transaction


async def keep_unlisted(engine: Engine, document: Document, *, project: str, author: str | None = None) -> CompiledJob:
    """Keep a manifest that was read and is sound as a revision of an unlisted job; return it ready to run.

    The same content again is the same revision.
    """
    return await engine.store.run(unlisted, engine, document, project=project, author=author)


def unlisted(
    tx: Transaction, engine: Engine, document: Document, *, project: str, author: str | None = None
) -> CompiledJob:
    """Keep a manifest within a unit of work; see `keep_unlisted`."""
    labels = document.canonical["metadata"].get("labels", {})
    options = ApplyOptions(project=project, author=author, message="exec")
    standing = unlisted_job(tx, project, document.alias)
    if standing is not None and standing.digest == document.digest:
        return compiled(tx, engine.jobs, standing.revision_id)
    if standing is None:
        job_id, number = engine.ids.new(), 1
        insert_job(
            tx, job_id=job_id, project=project, alias=document.alias, labels=labels, provenance=None, listed=False
        )
    else:
        job_id, number = standing.id, standing.revision + 1
        update_job(tx, job_id, revision=number, labels=labels, provenance=None)
    revision_id = add_revision(tx, engine, job_id, number, document, None, options)
    return compiled(tx, engine.jobs, revision_id)
