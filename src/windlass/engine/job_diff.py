"""What applying manifests would change, and what changed between two revisions, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.engine.documents import diff_documents
from windlass.engine.engine import Engine
from windlass.engine.jobs import find_job, find_revised, find_revision, split_reference
from windlass.engine.manifests import Manifests, ManifestText
from windlass.engine.templates import read_manifests
from windlass.errors import InvalidDocument, NotFound
from windlass.model.diff import Change, diff_jobs
from windlass.store.jobs import StoredJob, live_jobs, live_jobs_named
from windlass.store.revisions import contents_of
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class JobDiff:
    """How documents differ from the stored jobs."""

    #: Aliases of jobs that are not stored yet, and of stored ones that an apply with prune would look at.
    added: tuple[str, ...]
    removed: tuple[str, ...]
    #: Changes of each stored job that has others; empty where nothing differs.
    modified: Mapping[str, Sequence[Change]]

    @property
    def differs(self) -> bool:
        """Say whether anything does."""
        return bool(self.added or self.removed or self.modified)

    def to_json(self) -> dict[str, Any]:
        """Return the answer of `job diff --json`."""
        modified = [{"alias": alias, "changes": changes_json(changes)} for alias, changes in self.modified.items()]
        return {"added": list(self.added), "removed": list(self.removed), "modified": modified}


def changes_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as JSON, each with the line that people read."""
    return [
        {"kind": one.kind, "path": list(one.path), "old": one.old, "new": one.new, "line": str(one)} for one in changes
    ]


async def diff_manifests(
    engine: Engine, texts: Sequence[ManifestText], *, project: str, source: str | None = None, prune: bool = False
) -> JobDiff:
    """Compare `texts` with the stored jobs of a project.

    With `prune`, stored jobs from `source` (None: applied by hand) that are not in `texts` count as removed. Raises
    InvalidDocument with all findings where a document is bad.
    """
    manifests = await read_manifests(engine, texts, project)
    if manifests.errors:
        raise InvalidDocument(manifests.errors)
    return await engine.store.read(_diff, manifests, project, source, prune=prune)


def _diff(tx: Transaction, manifests: Manifests, project: str, source: str | None, *, prune: bool) -> JobDiff:
    wanted = {located.document.alias: located.document for located in manifests.documents}
    standing = live_jobs(tx, project) if prune else live_jobs_named(tx, project, list(wanted))
    other = {alias: standing[alias] for alias in wanted if alias in standing}
    other = {alias: job for alias, job in other.items() if job.digest != wanted[alias].digest}
    contents = contents_of(tx, [job.revision_id for job in other.values()])
    new, changed = diff_documents(tx, project, manifests.others)
    return JobDiff(
        added=(*(alias for alias in wanted if alias not in standing), *new),
        removed=tuple(sorted(alias for alias, job in standing.items() if alias not in wanted and _from(job) == source)),
        modified={
            alias: diff_jobs(orjson.loads(contents[job.revision_id]), wanted[alias].canonical)
            for alias, job in other.items()
        }
        | changed,
    )


def _from(job: StoredJob) -> str | None:
    return None if job.provenance is None else job.provenance["source"]


async def compare_revisions(
    engine: Engine, project: str, left: tuple[str, str | int | None], right: tuple[str, str | int | None]
) -> dict[str, Any]:
    """Return what changed from one revision to another, and both with their content.

    Each side is a job and a number or tag; None is the newest on the right, and on the left the one before the right
    where both are of one job. Raises NotFound where a job or a revision does not exist.
    """
    return await engine.store.read(_compare, project, left, right)


def _compare(
    tx: Transaction, project: str, left: tuple[str, str | int | None], right: tuple[str, str | int | None]
) -> dict[str, Any]:
    new_job, new = find_revised(tx, project, *right)
    alias, name = split_reference(*left)
    old_job = find_job(tx, project, alias)
    if name is None and old_job.id == new_job.id:
        if new.number == 1:
            raise NotFound(f'Job "{new_job.alias}" has no revision before 1 to compare with.')
        name = new.number - 1
    old = find_revision(tx, old_job, name)
    before, after = orjson.loads(old.content), orjson.loads(new.content)
    return {
        "left": old.number,
        "right": new.number,
        "leftJob": old_job.alias,
        "rightJob": new_job.alias,
        "changes": changes_json(diff_jobs(before, after)),
        "old": before,
        "new": after,
    }
