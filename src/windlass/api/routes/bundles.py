"""Jobs in bulk: exported and imported."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.definitions import CONTENT, manifest_texts
from windlass.api.routes.shared import CATEGORY, LABELS, PROJECT, ROOT, TEXT, any_labels
from windlass.api.table import MIB, Body, Route, closed
from windlass.engine.applying import ApplyOptions
from windlass.engine.bundles import export_jobs, import_jobs
from windlass.engine.engine import Engine
from windlass.store.jobs import JobFilter


async def export(engine: Engine, request: Request) -> Answer:
    """Return a bundle of jobs."""
    query = request.query
    filters = JobFilter(
        project=query["project"],
        labels=any_labels(query.get("label", ())),
        text=query.get("text"),
        category=query.get("category"),
    )
    return Answer(body=await export_jobs(engine, filters, query.get("job", ())))


async def take_in(engine: Engine, request: Request) -> Answer:
    """Store the jobs of bundles, manifests and exports of other systems."""
    data = request.data
    options = ApplyOptions(
        project=request.query["project"],
        author=request.principal.name,
        message=data.get("message"),
        dry_run=data.get("dryRun", False),
    )
    overwrite = data.get("overwrite", False)
    return Answer(body=await import_jobs(engine, manifest_texts(request), options, overwrite=overwrite))


_FLAG: Final = {"type": "boolean"}
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/jobs/export",
        permission="view",
        handler=export,
        summary="Return a bundle of jobs, which POST jobs/import takes.",
        query=(
            PROJECT,
            Query("job", "jobs, or revisions of them such as orders@7; all that fit where none is named", "texts"),
            LABELS,
            TEXT,
            CATEGORY,
        ),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/jobs/import",
        permission="edit",
        handler=take_in,
        changes=True,
        summary="Store the jobs of bundles, manifests and exports of other systems: all or none.",
        query=(PROJECT,),
        body=Body(
            schema=closed(CONTENT | {"message": {"type": "string"}, "dryRun": _FLAG, "overwrite": _FLAG}),
            limit=64 * MIB,
        ),
    ),
)
