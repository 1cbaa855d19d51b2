"""Figures of runs, and how jobs and the parts of the installation are."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import (
    LABELS,
    LIST_PROJECT,
    PAGE,
    PROJECT,
    ROOT,
    STATES,
    any_labels,
    listed_project,
    page,
)
from windlass.api.table import Route
from windlass.engine.engine import Engine
from windlass.engine.health import health, health_shape
from windlass.engine.statistics import Asked, jobs_health, statistics
from windlass.store.jobs import JobFilter


async def get_statistics(engine: Engine, request: Request) -> Answer:
    """Return figures of runs."""
    query = request.query
    asked = Asked(
        project=listed_project(request),
        job=request.params.get("job") or query.get("job"),
        since=query.get("since"),
        until=query.get("until"),
        states=query.get("state", ()),
        labels=any_labels(query.get("label", ())),
    )
    return Answer(body=await statistics(engine, asked))


async def get_jobs_health(engine: Engine, request: Request) -> Answer:
    """List jobs with how each is doing."""
    query = request.query
    filters = JobFilter(
        project=listed_project(request), labels=any_labels(query.get("label", ())), limit=query["limit"]
    )
    return page(*await jobs_health(engine, filters, query.get("cursor")))


async def get_health(engine: Engine, _: Request) -> Answer:
    """Return how each part is."""
    return Answer(body=health_shape(await health(engine)))


_TIMES: Final = (
    Query("since", "ended in the hour of this time or later", "time"),
    Query("until", "ended in the hour of this time or before", "time"),
    STATES,
)
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/statistics",
        permission="view",
        handler=get_statistics,
        summary="Return figures of the runs of a project that ended, a day back unless said otherwise.",
        query=(LIST_PROJECT, Query("job", "alias or id of a job"), *_TIMES, LABELS),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/jobs/{{job}}/statistics",
        permission="view",
        handler=get_statistics,
        summary="Return figures of the runs of a job that ended, a week back unless said otherwise.",
        query=(PROJECT, *_TIMES),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/jobs/health",
        permission="view",
        handler=get_jobs_health,
        summary="List jobs with how each is doing: healthy, degraded, failing, idle or disabled.",
        query=(LIST_PROJECT, LABELS, *PAGE),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/health",
        permission="view",
        handler=get_health,
        summary="Return how each part of the installation is: ok, degraded or down.",
    ),
)
