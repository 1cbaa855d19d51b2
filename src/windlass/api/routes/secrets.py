"""Secrets that the store keeps: set, listed, deleted; no route gives a value back."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import LIST_PROJECT, PAGE, PROJECT, ROOT, listed_project, page
from windlass.api.table import Body, Route, closed
from windlass.engine import stored_secrets
from windlass.engine.engine import Engine


async def get_all(engine: Engine, request: Request) -> Answer:
    """List secrets."""
    query = request.query
    return page(
        *await stored_secrets.list_secrets(
            engine, listed_project(request), limit=query["limit"], cursor=query.get("cursor")
        )
    )


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return what is known of a secret."""
    return Answer(body=await stored_secrets.get_secret(engine, *_named(request)))


async def put_one(engine: Engine, request: Request) -> Answer:
    """Set a secret."""
    data = request.data
    found, created = await stored_secrets.set_secret(
        engine, *_named(request), data["value"], text=data.get("note"), by=request.principal.name
    )
    return Answer(status=201 if created else 200, body=found)


async def delete_one(engine: Engine, request: Request) -> Answer:
    """Forget a secret."""
    return Answer(body=await stored_secrets.delete_secret(engine, *_named(request)))


def _named(request: Request) -> tuple[str, str]:
    return request.query["project"], request.params["secret"]


_ONE: Final = f"{ROOT}/secrets/{{secret}}"
#: Sizes are looked at by hand: what checks schemas would say the value where it is too large.
_VALUE: Final = Body(
    schema=closed(
        {
            "value": {"type": "string", "description": "what steps are given; it is never shown", "writeOnly": True},
            "note": {"type": "string", "description": "what it is for; not given: the one before stays"},
        },
        "value",
    )
)
ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/secrets",
        permission="view",
        handler=get_all,
        summary="List the secrets of a project by name, without their values.",
        query=(LIST_PROJECT, *PAGE),
    ),
    Route(
        method="GET",
        path=_ONE,
        permission="view",
        handler=get_one,
        summary="Return what is known of a secret, without its value.",
        query=(PROJECT,),
    ),
    Route(
        method="PUT",
        path=_ONE,
        permission="edit",
        handler=put_one,
        changes=True,
        summary="Set the value of a secret, a new one or that of one that is there.",
        query=(PROJECT,),
        body=_VALUE,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        permission="edit",
        handler=delete_one,
        changes=True,
        summary="Forget a secret; steps that name it fail from then on.",
        query=(PROJECT,),
    ),
)
