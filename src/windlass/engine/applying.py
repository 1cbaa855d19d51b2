"""Applying manifests: one transaction for the call, and nothing new where nothing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from windlass.engine.auditing.noting import note
from windlass.engine.documents import keep_documents, plan_documents
from windlass.engine.engine import Engine
from windlass.engine.manifests import Located, LocatedOther, Manifests, ManifestText
from windlass.engine.templates import read_manifests
from windlass.errors import Conflict, InvalidDocument, UserError
from windlass.ids import parse_id
from windlass.model.apply_plan import PROTECTED_LABEL, ApplyPlan, Provenance, Standing, Wanted, plan_apply
from windlass.model.manifest.load import Document
from windlass.model.rates import other_limit, stated_in
from windlass.store.documents import all_documents
from windlass.store.jobs import (
    StoredJob,
    any_job,
    deleted_jobs_named,
    insert_job,
    live_job,
    live_jobs,
    live_jobs_named,
    mark_deleted,
    mark_enabled,
    update_job,
)
from windlass.store.rates import keep_stated, stated_by_others
from windlass.store.revisions import insert_revision
from windlass.store.transaction import Transaction

#: The project of those who name none.
_USUAL: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How manifests are applied, and by whom."""

    project: str = "default"
    #: Where they come from; None: by hand. Without a `path` each document has the name of its text there.
    provenance: Provenance | None = None
    #: Name of who asked for it, and why.
    author: str | None = None
    message: str | None = None
    #: Take over jobs of other sources.
    force: bool = False
    #: Delete the jobs of the same source that are not among the documents.
    prune: bool = False
    #: Say what would be done, and do nothing.
    dry_run: bool = False
    #: Hold bad documents back and apply the others, instead of all or none.
    per_document: bool = False
    #: Refuse to change jobs that are there with other content.
    create_only: bool = False
    #: Aliases of jobs that may not be started where they are created.
    disabled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply did: aliases in the order of the documents, each under one heading."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: The project where there was nothing of it before.
    new_project: str | None = None
    #: Why documents were held back; only where each was applied on its own.
    held: tuple[str, ...] = ()
    #: Number of the newest revision of each job by alias; empty after a dry run.
    revisions: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the answer of `job apply --json`."""
        answer: dict[str, Any] = {
            "created": list(self.created),
            "changed": list(self.changed),
            "unchanged": list(self.unchanged),
            "pruned": list(self.pruned),
            "warnings": list(self.warnings),
        }
        if self.new_project is not None:
            answer["newProject"] = self.new_project
        return {**answer, "held": list(self.held)} if self.held else answer


async def apply(engine: Engine, texts: Sequence[ManifestText], options: ApplyOptions) -> Applied:
    """Make the jobs of a project what `texts` say.

    Raises InvalidDocument with all findings where a document is bad, Conflict where a job belongs to another source;
    with `per_document` these hold back the document alone. Nothing was changed then.
    """
    manifests = await read_manifests(engine, texts, options.project)
    if manifests.errors and not options.per_document:
        raise InvalidDocument(manifests.errors)
    if not manifests.documents and not manifests.others and not manifests.errors:
        raise UserError("There is no job to apply; nothing was changed.")
    if options.dry_run:
        return await engine.store.read(_plan_only, manifests, options)
    return await engine.store.run(_apply, engine, manifests, options)


def new_project(tx: Transaction, project: str) -> str | None:
    """Return a project of which there is nothing yet; None where there is, or where it is the usual one."""
    there = project == _USUAL or any_job(tx, project) or all_documents(tx, project)
    return None if there else project


def _plan_only(tx: Transaction, manifests: Manifests, options: ApplyOptions) -> Applied:
    new = new_project(tx, options.project)
    plan, _ = _planned(tx, manifests, options)
    return _applied(manifests, plan, {}, new)


def _apply(tx: Transaction, engine: Engine, manifests: Manifests, options: ApplyOptions) -> Applied:
    new = new_project(tx, options.project)
    plan, standing = _planned(tx, manifests, options)
    chosen = [located for located in manifests.documents if located.document.alias in plan.verdicts]
    created = [one.document.alias for one in chosen if plan.verdicts[one.document.alias] == "created"]
    deleted = deleted_jobs_named(tx, options.project, created)
    numbers = {}
    for located in chosen:
        alias = located.document.alias
        numbers[alias] = _apply_one(tx, engine, located, standing.get(alias) or deleted.get(alias), options)
    for alias in options.disabled.intersection(created):
        made = live_job(tx, options.project, alias)
        if made is not None:
            mark_enabled(tx, made.id, enabled=False)
    mark_deleted(tx, [standing[alias].id for alias in plan.prune if alias in standing])
    _note(tx, manifests, plan, {alias: job.digest for alias, job in standing.items()}, options)
    provenance = {one.document.alias: _provenance(one, options) for one in manifests.others}
    keep_documents(tx, engine, options.project, manifests.others, plan, provenance)
    return _applied(manifests, plan, numbers, new)


def _note(
    tx: Transaction, manifests: Manifests, plan: ApplyPlan, before: Mapping[str, str], options: ApplyOptions
) -> None:
    """Note what is made of each document; what stays as it is was not changed by anybody."""
    project, source = options.project, None if options.provenance is None else options.provenance.source
    after = {one.document.alias: one.document.digest for one in manifests.documents}
    after |= {one.document.alias: one.document.digest for one in manifests.others}
    for alias, now in after.items():
        verdict = plan.verdicts.get(alias)
        if verdict in {"created", "changed"}:
            name = alias if "/" in alias else f"Job/{alias}"
            was = before.get(alias)
            note(tx, "job.apply", name, project=project, before=was, after=now, verdict=verdict, source=source)
    for alias in plan.prune:
        name = alias if "/" in alias else f"Job/{alias}"
        note(tx, "job.prune", name, project=project, before=before.get(alias), source=source)


def _planned(tx: Transaction, manifests: Manifests, options: ApplyOptions) -> tuple[ApplyPlan, Mapping[str, StoredJob]]:
    """Return what is to be done and the live jobs it was decided on.

    Raises Conflict where a job belongs to another source and documents are not applied each on its own.
    """
    documents = [located.document for located in manifests.documents]
    if options.prune:
        standing = live_jobs(tx, options.project)
    else:
        standing = live_jobs_named(tx, options.project, [document.alias for document in documents])
    source = None if options.provenance is None else options.provenance.source
    of_jobs = plan_apply(
        [Wanted(document.alias, document.digest) for document in documents],
        {alias: _standing(job) for alias, job in standing.items()},
        source=source,
        force=options.force,
        prune=options.prune,
    )
    of_others = plan_documents(
        tx, options.project, manifests.others, source=source, force=options.force, prune=options.prune
    )
    plan = of_jobs + of_others
    if plan.conflicts and not options.per_document:
        raise Conflict("\n".join(plan.conflicts.values()))
    if options.create_only and (there := [alias for alias, verdict in plan.verdicts.items() if verdict == "changed"]):
        raise Conflict(
            "\n".join(f'job "{alias}" is there with other content: take it over with --overwrite' for alias in there)
        )
    found = (*_other_limits(tx, manifests, options.project), *_unknown_children(tx, manifests, options.project))
    plan = replace(plan, warnings=(*plan.warnings, *found))
    if plan.prune and (plan.conflicts or manifests.errors):
        warning = "nothing was pruned, because documents were held back"
        plan = replace(plan, prune=(), warnings=(*plan.warnings, warning))
    return plan, standing


def _other_limits(tx: Transaction, manifests: Manifests, project: str) -> list[str]:
    """Return warnings about resources to which jobs that are stored, and not in this call, give another limit."""
    names = [located.document.alias for located in manifests.documents]
    found = []
    for located in manifests.documents:
        for name, rate in stated_in(located.document.canonical).items():
            others = stated_by_others(tx, project, name, names)
            differing = next(((alias, other) for alias, other in others if other != rate), None)
            if differing is not None:
                found.append(f"{located.place}: warning: {other_limit(name, rate, *differing)}")
    return found


def _unknown_children(tx: Transaction, manifests: Manifests, project: str) -> list[str]:
    """Return warnings about steps that run a job which neither this call nor the store has."""
    here = {located.document.alias for located in manifests.documents}
    wanted: dict[str, list[tuple[Located, str]]] = {}
    for located in manifests.documents:
        for step in located.document.canonical["steps"]:
            name = str(step.get("config", {}).get("job", "")).partition("@")[0] if step["type"] == "job" else ""
            if name and "${{" not in name and name not in here and parse_id(name) is None:
                wanted.setdefault(name, []).append((located, step["name"]))
    stored = live_jobs_named(tx, project, list(wanted)) if wanted else {}
    return [
        f'{located.place}: warning: step "{step}" runs job "{name}", which project {project} does not have'
        for name, places in wanted.items()
        if name not in stored
        for located, step in places
    ]


def _standing(job: StoredJob) -> Standing:
    return Standing(job.alias, job.digest, _source(job.provenance), job.labels.get(PROTECTED_LABEL) == "true")


def _apply_one(
    tx: Transaction, engine: Engine, located: Located, standing: StoredJob | None, options: ApplyOptions
) -> int:
    """Make one job what its document says; return the number of its newest revision."""
    document = located.document
    labels = document.canonical["metadata"].get("labels", {})
    provenance = _provenance(located, options)
    limits = stated_in(document.canonical)
    if standing is None:
        job_id, number = engine.ids.new(), 1
        insert_job(
            tx, job_id=job_id, project=options.project, alias=document.alias, labels=labels, provenance=provenance
        )
        keep_stated(tx, job_id, options.project, limits)
    else:
        changed = standing.digest != document.digest
        kept = provenance == standing.provenance or (provenance is None and not options.force)
        if not changed and kept and standing.deleted_at is None:
            return standing.revision
        taken = not changed and standing.deleted_at is None and _source(provenance) != _source(standing.provenance)
        if taken:
            options = replace(options, message=_taken_over(standing, provenance, options.message))
        job_id, number = standing.id, standing.revision + (changed or taken)
        update_job(tx, job_id, revision=number, labels=labels, provenance=provenance)
        keep_stated(tx, job_id, options.project, limits)
        if not (changed or taken):
            return number
    add_revision(tx, engine, job_id, number, document, provenance, options)
    return number


def _source(provenance: Mapping[str, str] | None) -> str | None:
    return None if provenance is None else provenance["source"]


def _taken_over(standing: StoredJob, provenance: Mapping[str, str] | None, message: str | None) -> str:
    """Return what the history says of a job that another source has from now on."""
    before, after = (
        "by hand" if source is None else f'source "{source}"'
        for source in (_source(standing.provenance), _source(provenance))
    )
    told = f"taken over: {before} before, {after} now"
    return f"{message} ({told})" if message else told


def _provenance(located: Located | LocatedOther, options: ApplyOptions) -> dict[str, str] | None:
    if options.provenance is None:
        return None
    return replace(options.provenance, path=options.provenance.path or located.file).to_json()


def add_revision(
    tx: Transaction,
    engine: Engine,
    job_id: bytes,
    number: int,
    document: Document,
    provenance: dict[str, str] | None,
    options: ApplyOptions,
) -> int:
    """Add a revision to a job whose row already names it; return its id."""
    revision_id = insert_revision(
        tx,
        job_id=job_id,
        number=number,
        digest=document.digest,
        content=orjson.dumps(document.canonical).decode(),  # in the order of the document, for people
        provenance=provenance,
        author=options.author,
        message=options.message,
    )
    engine.jobs.forget(revision_id)
    tx.hints.add("places")  # its limit may have become another one
    return revision_id


def _applied(manifests: Manifests, plan: ApplyPlan, numbers: Mapping[str, int], new: str | None) -> Applied:
    def under(verdict: str) -> tuple[str, ...]:
        return tuple(alias for alias, found in plan.verdicts.items() if found == verdict)

    places = {located.document.alias: located.place for located in manifests.everything}
    return Applied(
        created=under("created"),
        changed=under("changed"),
        unchanged=under("unchanged"),
        pruned=plan.prune,
        warnings=(*map(str, manifests.warnings), *plan.warnings),
        held=(
            *map(str, manifests.errors),
            *(f"{places[alias]}: {sentence}" for alias, sentence in plan.conflicts.items()),
        ),
        new_project=new,
        revisions=numbers,
    )
