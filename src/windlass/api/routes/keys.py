"""The keys under which values are sealed: rotated and verified."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import ROOT
from windlass.api.table import Body, Route, closed
from windlass.engine.engine import Engine
from windlass.engine.sealing.rotating import rotate_data, rotate_master, verify_keys


async def rotate(engine: Engine, request: Request) -> Answer:
    """Seal data keys under the current master key, or values under new data keys."""
    if request.data.get("data"):
        return Answer(body=await rotate_data(engine, request.data.get("project")))
    return Answer(body=await rotate_master(engine))


async def verify(engine: Engine, _: Request) -> Answer:
    """Open everything that is sealed."""
    return Answer(body=await verify_keys(engine))


ROUTES: Final = (
    Route(
        method="POST",
        path=f"{ROOT}/keys/rotate",
        permission="administer",
        handler=rotate,
        changes=True,
        summary="Seal the data keys under the current master key; with `data` give projects new data keys.",
        body=Body(
            schema=closed(
                {
                    "data": {"type": "boolean", "description": "make new data keys, and seal all values under them"},
                    "project": {"type": "string", "description": "with `data`: of this project alone"},
                }
            )
        ),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/keys/verify",
        permission="administer",
        handler=verify,
        summary="Open every key and every sealed value, and tell what does not open.",
    ),
)
