"""Revisions of jobs: compared, gone back to, named by tags."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import PROJECT, ROOT
from windlass.api.table import Body, Route, closed
from windlass.engine.engine import Engine
from windlass.engine.job_diff import compare_revisions
from windlass.engine.revising import roll_back, tag_revision, untag_revision

_REVISION: Final = {"type": ["integer", "string"], "description": "number or tag of a revision"}


async def compare(engine: Engine, request: Request) -> Answer:
    """Say what changed from one revision to another."""
    query, job = request.query, request.params["job"]
    left, right = (job, query.get("left")), (query.get("other", job), query.get("right"))
    return Answer(body=await compare_revisions(engine, query["project"], left, right))


async def roll_back_one(engine: Engine, request: Request) -> Answer:
    """Make the content of an earlier revision the newest one."""
    data = request.data
    done = await roll_back(
        engine,
        request.query["project"],
        request.params["job"],
        data["revision"],
        author=request.principal.name,
        message=data.get("message"),
        force=data.get("force", False),
    )
    return Answer(body=done)


async def put_tag(engine: Engine, request: Request) -> Answer:
    """Let a tag name a revision."""
    project, job, tag = request.query["project"], request.params["job"], request.params["tag"]
    name = request.data.get("revision")
    return Answer(body=await tag_revision(engine, project, job, tag, name, author=request.principal.name))


async def delete_tag(engine: Engine, request: Request) -> Answer:
    """Take a tag away."""
    found = await untag_revision(engine, request.query["project"], request.params["job"], request.params["tag"])
    return Answer(body=found)


_JOB: Final = f"{ROOT}/jobs/{{job}}"
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{_JOB}/revisions/compare",
        permission="view",
        handler=compare,
        summary="Say what changed from one revision to another, of one job or from one job to another.",
        query=(
            PROJECT,
            Query("left", "number or tag of the older revision; the one before the newer where not given"),
            Query("right", "number or tag of the newer revision; the newest where not given"),
            Query("other", "the job that the newer revision belongs to, where that is another one"),
        ),
    ),
    Route(
        method="POST",
        path=f"{_JOB}/rollback",
        permission="edit",
        handler=roll_back_one,
        changes=True,
        summary="Add a revision with the content of an earlier one.",
        query=(PROJECT,),
        body=Body(
            schema=closed(
                {
                    "revision": _REVISION,
                    "message": {"type": "string", "maxLength": 4000},
                    "force": {"type": "boolean", "description": "take the job over from its source"},
                },
                "revision",
            )
        ),
    ),
    Route(
        method="PUT",
        path=f"{_JOB}/tags/{{tag}}",
        permission="edit",
        handler=put_tag,
        changes=True,
        summary="Let a tag name a revision; without one the newest.",
        query=(PROJECT,),
        body=Body(
            schema=closed({"revision": _REVISION}),
        ),
    ),
    Route(
        method="DELETE",
        path=f"{_JOB}/tags/{{tag}}",
        permission="edit",
        handler=delete_tag,
        changes=True,
        summary="Take a tag away.",
        query=(PROJECT,),
    ),
)
