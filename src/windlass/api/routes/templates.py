"""Job templates: listed, shown, deleted; they are made by applying documents."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import LIST_PROJECT, PROJECT, ROOT, listed_project, page
from windlass.api.table import Route
from windlass.engine.engine import Engine
from windlass.engine.stored_documents import TEMPLATES


async def get_all(engine: Engine, request: Request) -> Answer:
    """List templates."""
    return page(await TEMPLATES.all_of(engine, listed_project(request)), None)


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return a template."""
    return Answer(body=await TEMPLATES.get(engine, request.query["project"], request.params["template"]))


async def delete_one(engine: Engine, request: Request) -> Answer:
    """Delete a template."""
    return Answer(body=await TEMPLATES.delete(engine, request.query["project"], request.params["template"]))


_ONE: Final = f"{ROOT}/templates/{{template}}"
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/templates",
        permission="view",
        handler=get_all,
        summary="List the templates that jobs are made from.",
        query=(LIST_PROJECT,),
    ),
    Route(
        method="GET",
        path=_ONE,
        permission="view",
        handler=get_one,
        summary="Return a template.",
        query=(PROJECT,),
    ),
    Route(
        method="DELETE",
        path=_ONE,
        permission="edit",
        handler=delete_one,
        changes=True,
        summary="Delete a template; jobs that were made from it stay as they are.",
        query=(PROJECT,),
    ),
)
