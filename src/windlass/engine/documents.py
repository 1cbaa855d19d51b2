"""Documents that are applied beside jobs: planned, kept, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from windlass.engine.engine import Engine
from windlass.engine.manifests import LocatedOther
from windlass.model.apply_plan import PROTECTED_LABEL, ApplyPlan, Standing, Wanted, plan_apply
from windlass.model.diff import Change, diff_jobs
from windlass.store.documents import StoredDocument, all_documents, drop_documents, put_document
from windlass.store.transaction import Transaction


def plan_documents(
    tx: Transaction, project: str, others: Sequence[LocatedOther], *, source: str | None, force: bool, prune: bool
) -> ApplyPlan:
    """Decide what applying documents does; they are called by kind and name, such as `RetentionPolicy/fast`."""
    if not others and not prune:
        return ApplyPlan({}, {}, (), ())
    stored = all_documents(tx, project)
    return plan_apply(
        [Wanted(one.document.alias, one.document.digest) for one in others],
        {f"{kind}/{name}": _standing(kind, found) for (kind, name), found in stored.items()},
        source=source,
        force=force,
        prune=prune,
        noun="document",
    )


def keep_documents(
    tx: Transaction,
    engine: Engine,
    project: str,
    others: Sequence[LocatedOther],
    plan: ApplyPlan,
    provenance: Mapping[str, Mapping[str, str] | None],
) -> None:
    """Do what was decided; `provenance` is that of each document by what it is called."""
    for one in others:
        document = one.document
        if plan.verdicts.get(document.alias) in {"created", "changed"}:
            put_document(
                tx,
                new_id=engine.ids.new(),
                project=project,
                kind=document.kind,
                name=document.name,
                digest=document.digest,
                content=orjson.dumps(document.canonical).decode(),
                provenance=provenance[document.alias],
            )
    for alias in plan.prune:
        kind, _, name = alias.partition("/")
        drop_documents(tx, project, kind, [name])


def diff_documents(
    tx: Transaction, project: str, others: Sequence[LocatedOther]
) -> tuple[list[str], dict[str, list[Change]]]:
    """Return the documents that are not stored yet, and the changes of those that are stored otherwise."""
    stored = all_documents(tx, project) if others else {}
    added: list[str] = []
    modified: dict[str, list[Change]] = {}
    for one in others:
        found = stored.get((one.document.kind, one.document.name))
        if found is None:
            added.append(one.document.alias)
        elif found.digest != one.document.digest:
            modified[one.document.alias] = diff_jobs(orjson.loads(found.content), one.document.canonical)
    return added, modified


def _standing(kind: str, found: StoredDocument) -> Standing:
    source = None if found.provenance is None else found.provenance["source"]
    labels = orjson.loads(found.content)["metadata"].get("labels", {})
    return Standing(f"{kind}/{found.name}", found.digest, source, labels.get(PROTECTED_LABEL) == "true")
