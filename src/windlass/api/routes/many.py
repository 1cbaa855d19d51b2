"""Many runs of one job, accepted together or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.runs import START, wanted_start
from windlass.api.routes.shared import PROJECT, ROOT
from windlass.api.table import MIB, Body, Route, closed
from windlass.engine.engine import Engine
from windlass.engine.starting import MOST_AT_ONCE, start_many

_PARAMETERS: Final = {
    "type": "array",
    "description": "the values by name of each run, in the order of the answer",
    "items": {"type": "object"},
    "maxItems": MOST_AT_ONCE,
}
_MANY: Final = Body(
    schema=closed(
        {
            name: _PARAMETERS if name == "parameters" else schema
            for name, schema in START.schema["properties"].items()
            if name != "parameterTexts"
        },
        "parameters",
    ),
    limit=64 * MIB,
)


async def start(engine: Engine, request: Request) -> Answer:
    """Start a run for each set of parameters."""
    wanted = replace(wanted_start(request), parameters={})
    ids, created = await start_many(engine, wanted, request.data["parameters"])
    return Answer(status=201 if created else 200, body={"ids": ids, "created": created})


ROUTES: Final = (
    Route(
        method="POST",
        path=f"{ROOT}/jobs/{{job}}/runs",
        permission="operate",
        handler=start,
        changes=True,
        summary="Start a run for each set of parameters: all of them in one transaction, or none.",
        query=(PROJECT,),
        body=_MANY,
    ),
)
