"""What is done with runs that are there: run again, resumed, noted on, deleted."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.routes.runs import idempotency_key, run_id_of
from windlass.api.routes.shared import ROOT, started
from windlass.api.table import Body, Route, closed
from windlass.engine.deleting import delete_run
from windlass.engine.engine import Engine
from windlass.engine.noting import note_run
from windlass.engine.reading import find_run, get_run
from windlass.engine.resuming import Resume, preview_resume, resume_run
from windlass.engine.starting import retry_run
from windlass.errors import NotFound

_NOTE: Final = Body(schema=closed({"note": {"type": ["string", "null"], "maxLength": 4000}}, "note"))
_RESUME: Final = Body(
    schema=closed(
        {
            "from": {
                "type": ["string", "array"],
                "items": {"type": "string"},
                "description": "steps that are done again in any case, with all that comes after them",
            },
            "onlyFailed": {"type": "boolean", "description": "keep what ended well of a fanned-out step that failed"},
            "dryRun": {"type": "boolean", "description": "say what would be kept and done again, and start nothing"},
        }
    )
)


async def delete_one(engine: Engine, request: Request) -> Answer:
    """Delete a run: at once, or as soon as it has ended."""
    run_id = await find_run(engine, request.params["run"], archived=True)
    if await delete_run(engine, run_id, by=request.principal.name):
        return Answer(status=204)
    try:
        return Answer(status=202, body=await get_run(engine, run_id))
    except NotFound:
        return Answer(status=204)


async def note_one(engine: Engine, request: Request) -> Answer:
    """Put a note on a run."""
    return Answer(body=await note_run(engine, await run_id_of(engine, request), request.data["note"]))


async def resume_one(engine: Engine, request: Request) -> Answer:
    """Run what did not end well of a final run again, and keep the rest."""
    start = request.data.get("from", ())
    wanted = Resume(
        run_id=await run_id_of(engine, request),
        start=[start] if isinstance(start, str) else start,
        only_failed=request.data.get("onlyFailed", False),
        by=request.principal.name,
        idempotency_key=idempotency_key(request),
        traceparent=request.headers.get("traceparent"),
    )
    if request.data.get("dryRun", False):
        return Answer(body=await preview_resume(engine, wanted))
    run, created = await resume_run(engine, wanted)
    return started(run, created=created)


async def retry_one(engine: Engine, request: Request) -> Answer:
    """Run a final run again, or with a step to begin at what comes from there on."""
    if request.data.get("from") or request.data.get("dryRun"):
        return await resume_one(engine, request)
    run_id = await run_id_of(engine, request)
    run, created = await retry_run(
        engine,
        run_id,
        by=request.principal.name,
        idempotency_key=idempotency_key(request),
        traceparent=request.headers.get("traceparent"),
    )
    return started(run, created=created)


_RUN: Final = f"{ROOT}/runs/{{run}}"
ROUTES: Final = (
    Route(
        method="DELETE",
        path=_RUN,
        permission="operate",
        handler=delete_one,
        changes=True,
        summary="Delete a run with its logs, files and children, but for loose ones, an archived one too: now (204), "
        "or at its end (202).",
    ),
    Route(
        method="PUT",
        path=f"{_RUN}/note",
        permission="operate",
        handler=note_one,
        changes=True,
        summary="Put a note on a run, in place of the one there is; null takes it off.",
        body=_NOTE,
    ),
    Route(
        method="POST",
        path=f"{_RUN}/resume",
        permission="operate",
        handler=resume_one,
        changes=True,
        summary="Run a final run again from a step, or from what failed: a new run that keeps the other results.",
        body=_RESUME,
    ),
    Route(
        method="POST",
        path=f"{_RUN}/retry",
        permission="operate",
        handler=retry_one,
        changes=True,
        summary="Run a final run again: a new run of the same revision with the same parameters.",
        body=_RESUME,
    ),
)
