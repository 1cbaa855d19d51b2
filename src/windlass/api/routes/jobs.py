"""Jobs: found, listed, deleted, enabled, with their graph and history."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import (
    CATEGORY,
    LABELS,
    LIST_PROJECT,
    PAGE,
    PROJECT,
    ROOT,
    TEXT,
    any_labels,
    listed_project,
    page,
)
from windlass.api.table import Route
from windlass.engine.engine import Engine
from windlass.engine.jobs import delete_job, enable_job, find_compiled, get_job, job_history, list_jobs
from windlass.engine.reading import job_graph
from windlass.store.jobs import JobFilter


async def get_jobs(engine: Engine, request: Request) -> Answer:
    """List jobs."""
    query = request.query
    filters = JobFilter(
        project=listed_project(request),
        labels=any_labels(query.get("label", ())),
        text=query.get("text"),
        category=query.get("category"),
        enabled=query.get("enabled"),
        source=query.get("source"),
        limit=query["limit"],
    )
    return page(*await list_jobs(engine, filters, query.get("cursor")))


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return a job with its definition."""
    return Answer(body=await get_job(engine, *_named(request), request.query.get("revision")))


async def delete_one(engine: Engine, request: Request) -> Answer:
    """Delete a job."""
    return Answer(body=await delete_job(engine, *_named(request)))


async def enable_one(engine: Engine, request: Request) -> Answer:
    """Let a job be started."""
    return Answer(body=await enable_job(engine, *_named(request), enabled=True))


async def disable_one(engine: Engine, request: Request) -> Answer:
    """Let a job not be started."""
    return Answer(body=await enable_job(engine, *_named(request), enabled=False))


async def get_graph(engine: Engine, request: Request) -> Answer:
    """Return the graph of a job's newest revision."""
    found = await engine.store.read(find_compiled, engine, *_named(request))
    return Answer(body=job_graph(found))


async def get_revisions(engine: Engine, request: Request) -> Answer:
    """List the revisions of a job."""
    query = request.query
    return page(*await job_history(engine, *_named(request), limit=query["limit"], cursor=query.get("cursor")))


async def get_revision(engine: Engine, request: Request) -> Answer:
    """Return one revision of a job."""
    return Answer(body=await get_job(engine, *_named(request), request.params["name"]))


def _named(request: Request) -> tuple[str, str]:
    return request.query["project"], request.params["job"]


_JOB: Final = f"{ROOT}/jobs/{{job}}"
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/jobs",
        permission="view",
        handler=get_jobs,
        summary="List jobs by project and alias.",
        query=(
            LIST_PROJECT,
            LABELS,
            TEXT,
            CATEGORY,
            Query("enabled", "whether the job may be started", "boolean"),
            Query("source", "source that the job comes from"),
            *PAGE,
        ),
    ),
    Route(
        method="GET",
        path=_JOB,
        permission="view",
        handler=get_one,
        summary="Return a job with its definition.",
        query=(PROJECT, Query("revision", "number or tag of a revision; the newest where not given")),
    ),
    Route(
        method="DELETE",
        path=_JOB,
        permission="edit",
        handler=delete_one,
        changes=True,
        summary="Delete a job; its runs and revisions stay.",
        query=(PROJECT,),
    ),
    Route(
        method="POST",
        path=f"{_JOB}/enable",
        permission="edit",
        handler=enable_one,
        changes=True,
        summary="Let a job be started.",
        query=(PROJECT,),
    ),
    Route(
        method="POST",
        path=f"{_JOB}/disable",
        permission="edit",
        handler=disable_one,
        changes=True,
        summary="Let a job not be started.",
        query=(PROJECT,),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/tasks",
        permission="view",
        handler=get_graph,
        summary="Return the graph of a job: its steps and edges.",
        query=(PROJECT,),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/dag",
        permission="view",
        handler=get_graph,
        summary="Return the topological order, layers and grouped successors of a job's steps.",
        query=(PROJECT,),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/revisions",
        permission="view",
        handler=get_revisions,
        summary="List the revisions of a job, newest first.",
        query=(PROJECT, *PAGE),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/revisions/{{name}}",
        permission="view",
        handler=get_revision,
        summary="Return one revision of a job by its number or tag.",
        query=(PROJECT,),
    ),
)
