"""Jobs and revisions in the one shape that the command line, REST and the SDK share: camelCase JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.clock import to_text
from windlass.ids import id_text
from windlass.store.jobs import StoredJob
from windlass.store.revisions import StoredRevision


def job_shape(job: StoredJob, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as lists show it, made of its row and the content of its newest revision."""
    metadata = content.get("metadata", {})
    return {
        "id": id_text(job.id),
        "project": job.project,
        "alias": job.alias,
        "title": metadata.get("title"),
        "description": content.get("description"),
        "category": metadata.get("category"),
        "labels": job.labels,
        "annotations": metadata.get("annotations", {}),
        "revision": job.revision,
        "digest": job.digest,
        "enabled": job.enabled,
        "provenance": job.provenance,
        "steps": len(content.get("steps", ())),
        "createdAt": to_text(job.created_at),
        "updatedAt": to_text(job.updated_at),
        "deletedAt": None if job.deleted_at is None else to_text(job.deleted_at),
    }


def full_job_shape(job: StoredJob, revision: StoredRevision) -> dict[str, Any]:
    """Return a job with one of its revisions: who made it, why, and the normalised manifest."""
    content = orjson.loads(revision.content)
    return {
        **job_shape(job, content),
        "revision": revision.number,
        "digest": revision.digest,
        "author": revision.author,
        "message": revision.message,
        "revisedAt": to_text(revision.created_at),
        "definition": content,
    }


def revision_shape(revision: StoredRevision, tags: Sequence[str] = ()) -> dict[str, Any]:
    """Return a revision as the history shows it, with the tags that name it."""
    return {
        "job": revision.alias,
        "revision": revision.number,
        "digest": revision.digest,
        "author": revision.author,
        "message": revision.message,
        "provenance": revision.provenance,
        "tags": list(tags),
        "createdAt": to_text(revision.created_at),
    }
