"""Tasks that failed for good, and their way back into the queue."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import LIST_PROJECT, PAGE, ROOT, listed_project, page
from windlass.api.table import Body, Route, closed
from windlass.engine.dead_letters import list_dead, requeue, requeue_all
from windlass.engine.engine import Engine
from windlass.errors import UserError

_REQUEUE: Final = Body(
    schema=closed(
        {
            "items": {
                "type": "array",
                "items": {"type": "string", "maxLength": 100},
                "minItems": 1,
                "maxItems": 1000,
                "description": "ids of tasks, or of runs for all of theirs",
            },
            "all": {"type": "boolean", "description": "all dead letters, or those of the queue and the job"},
            "queue": {"type": "string"},
            "job": {"type": "string", "description": "alias or id of a job"},
        }
    )
)


async def get_dead(engine: Engine, request: Request) -> Answer:
    """List dead letters."""
    query = request.query
    found = await list_dead(
        engine,
        project=listed_project(request),
        queue=query.get("queue"),
        job=query.get("job"),
        cursor=query.get("cursor"),
        limit=query["limit"],
    )
    return page(*found)


async def requeue_dead(engine: Engine, request: Request) -> Answer:
    """Queue dead letters again."""
    data, by = request.data, request.principal.name
    items, every = data.get("items"), data.get("all", False)
    if bool(items) == every:
        raise UserError("Give either `items`, the tasks and runs to queue again, or `all`.")
    if items and (data.get("queue") or data.get("job")):
        raise UserError("`queue` and `job` choose among `all`: they do not go with `items`.")
    if items:
        done = await requeue(engine, items, by=by)
    else:
        project = listed_project(request)
        done = await requeue_all(engine, project=project, queue=data.get("queue"), job=data.get("job"), by=by)
    return Answer(body={"items": [one.to_json() for one in done]})


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/dead-letters",
        permission="view",
        handler=get_dead,
        summary="List tasks that failed for good and were not queued again, those of the newest runs first.",
        query=(
            LIST_PROJECT,
            Query("queue", "name of a queue"),
            Query("job", "alias or id of a job"),
            *PAGE,
        ),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/dead-letters/requeue",
        permission="operate",
        handler=requeue_dead,
        changes=True,
        summary="Queue dead letters again: a new run for each old one. A second request returns the first one's runs.",
        query=(LIST_PROJECT,),
        body=_REQUEUE,
    ),
)
