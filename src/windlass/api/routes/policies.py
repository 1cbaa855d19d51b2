"""Policies: listed, shown, deleted; they are made by applying documents."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import LIST_PROJECT, PROJECT, ROOT, listed_project, page
from windlass.api.table import Route
from windlass.engine.engine import Engine
from windlass.engine.stored_documents import POLICIES


async def get_all(engine: Engine, request: Request) -> Answer:
    """List policies."""
    return page(await POLICIES.all_of(engine, listed_project(request)), None)


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return a policy."""
    return Answer(body=await POLICIES.get(engine, request.query["project"], request.params["policy"]))


async def delete_one(engine: Engine, request: Request) -> Answer:
    """Delete a policy."""
    return Answer(body=await POLICIES.delete(engine, request.query["project"], request.params["policy"]))


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/policies",
        permission="view",
        handler=get_all,
        summary="List retention policies.",
        query=(LIST_PROJECT,),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/policies/{{policy}}",
        permission="view",
        handler=get_one,
        summary="Return a retention policy.",
        query=(PROJECT,),
    ),
    Route(
        method="DELETE",
        path=f"{ROOT}/policies/{{policy}}",
        permission="edit",
        handler=delete_one,
        changes=True,
        summary="Delete a retention policy.",
        query=(PROJECT,),
    ),
)
