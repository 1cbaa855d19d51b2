"""Jobs: found, listed, deleted, enabled, with their graph and history."""

from __future__ import annotations

from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import LABELS, LIST_PROJECT, PAGE, PROJECT, ROOT, listed_project, page
from windlass.api.table import Route
from windlass.engine.engine import Engine
from windlass.engine.job_diff import changes_json, compare_revisions
from windlass.engine.jobs import delete_job, enable_job, find_compiled, get_job, job_history, list_jobs
from windlass.engine.reading import job_graph
from windlass.errors import UserError
from windlass.store.jobs import JobFilter


async def get_jobs(engine: Engine, request: Request) -> Answer:
    """List jobs."""
    query = request.query
    filters = JobFilter(
        project=listed_project(request),
        labels=_labels(query.get("label", ())),
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
    number = request.params["number"]
    if not (number.isascii() and number.isdecimal() and len(number) < 10):  # noqa: PLR2004 - digits
        raise UserError(f'"{number[:40]}" is no number of a revision.')
    return Answer(body=await get_job(engine, *_named(request), int(number)))


async def compare(engine: Engine, request: Request) -> Answer:
    """Say what changed from one revision to another."""
    left, right = request.query["left"], request.query["right"]
    changes, old, new = await compare_revisions(engine, *_named(request), left, right)
    body = {"left": left, "right": right, "changes": changes_json(changes), "old": old, "new": new}
    return Answer(body=body)


def _named(request: Request) -> tuple[str, str]:
    return request.query["project"], request.params["job"]


def _labels(texts: Any) -> dict[str, str | None]:
    """Return labels to look for; one without a value may have any."""
    found = (text.partition("=") for text in texts)
    return {name: value if equals else None for name, equals, value in found}


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
            Query("text", "stands in the alias, title, description or category"),
            Query("category", "category of the job"),
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
        query=(PROJECT, Query("revision", "number of a revision; the newest where not given", "integer", lowest=1)),
    ),
    Route(
        method="DELETE",
        path=_JOB,
        permission="edit",
        handler=delete_one,
        summary="Delete a job; its runs and revisions stay.",
        query=(PROJECT,),
    ),
    Route(
        method="POST",
        path=f"{_JOB}/enable",
        permission="edit",
        handler=enable_one,
        summary="Let a job be started.",
        query=(PROJECT,),
    ),
    Route(
        method="POST",
        path=f"{_JOB}/disable",
        permission="edit",
        handler=disable_one,
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
        path=f"{_JOB}/revisions/compare",
        permission="view",
        handler=compare,
        summary="Say what changed from one revision to another.",
        query=(
            PROJECT,
            Query("left", "number of the older revision", "integer", lowest=1, required=True),
            Query("right", "number of the newer revision", "integer", lowest=1, required=True),
        ),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/revisions/{{number}}",
        permission="view",
        handler=get_revision,
        summary="Return one revision of a job.",
        query=(PROJECT,),
    ),
)
