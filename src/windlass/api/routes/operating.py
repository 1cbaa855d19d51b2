"""What an operator does to queues, workers and the whole while work goes on."""

from __future__ import annotations

from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import ROOT
from windlass.api.routes.work import workers_shape
from windlass.api.table import Body, Route, closed
from windlass.engine import dispatching
from windlass.engine.engine import Engine
from windlass.settings import MOST_SLOTS

_WHY: Final[dict[str, Any]] = {"type": ["string", "null"], "maxLength": 1000}


async def pause(engine: Engine, request: Request) -> Answer:
    """Hand out nothing of a queue."""
    name, why = request.params["queue"], request.data.get("why")
    return Answer(body=await dispatching.pause_queue(engine, name, by=request.principal.name, why=why))


async def resume(engine: Engine, request: Request) -> Answer:
    """Hand out tasks of a queue again."""
    return Answer(body=await dispatching.resume_queue(engine, request.params["queue"]))


async def limit(engine: Engine, request: Request) -> Answer:
    """Let workers hold so many tasks of a queue at one time."""
    return Answer(body=await dispatching.limit_queue(engine, request.params["queue"], request.data["limit"]))


async def drain(engine: Engine, request: Request) -> Answer:
    """Have a worker take no more."""
    await dispatching.drain_worker(engine, request.params["worker"])
    return await _worker(engine, request.params["worker"])


async def slots(engine: Engine, request: Request) -> Answer:
    """Give a worker so many slots."""
    await dispatching.set_slots(engine, request.params["worker"], request.data["slots"])
    return await _worker(engine, request.params["worker"])


async def _worker(engine: Engine, name: str) -> Answer:
    found = await engine.store.read(workers_shape, engine)
    return Answer(body=next((one for one in found if one["name"] == name), None))


async def get_maintenance(engine: Engine, _: Request) -> Answer:
    """Return whether nothing is handed out, since when, by whom and why."""
    return Answer(body=await engine.store.read(dispatching.maintenance))


async def set_maintenance(engine: Engine, request: Request) -> Answer:
    """Stop handing tasks out, or do so again."""
    said = request.data
    return Answer(
        body=await dispatching.set_maintenance(engine, on=said["on"], by=request.principal.name, why=said.get("why"))
    )


def _body(**properties: Any) -> Body:
    required = [name for name in properties if name != "why"]
    return Body(schema=closed(properties, *required))


_NUMBER: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
ROUTES: Final = (
    Route(
        method="POST",
        path=f"{ROOT}/queues/{{queue}}/pause",
        permission="operate",
        handler=pause,
        changes=True,
        summary="Hand out nothing of a queue; what runs goes on.",
        body=_body(why=_WHY),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/queues/{{queue}}/resume",
        permission="operate",
        handler=resume,
        changes=True,
        summary="Hand out tasks of a queue again.",
    ),
    Route(
        method="PUT",
        path=f"{ROOT}/queues/{{queue}}/limit",
        permission="operate",
        handler=limit,
        changes=True,
        summary="Let workers hold so many tasks of a queue at one time; null takes what the settings say.",
        body=_body(limit={**_NUMBER, "type": ["integer", "null"]}),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/workers/{{worker}}/drain",
        permission="operate",
        handler=drain,
        changes=True,
        summary="Have a worker take no more; what it runs goes on.",
    ),
    Route(
        method="PUT",
        path=f"{ROOT}/workers/{{worker}}/slots",
        permission="operate",
        handler=slots,
        changes=True,
        summary="Let a worker run so many attempts at one time; a drain ends.",
        body=_body(slots={**_NUMBER, "maximum": MOST_SLOTS}),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/maintenance",
        permission="view",
        handler=get_maintenance,
        summary="Return whether nothing is handed out, since when, by whom and why.",
    ),
    Route(
        method="PUT",
        path=f"{ROOT}/maintenance",
        permission="administer",
        handler=set_maintenance,
        changes=True,
        summary="Stop handing tasks out and firing triggers, or do so again; what runs goes on.",
        body=_body(on={"type": "boolean"}, why=_WHY),
    ),
)
