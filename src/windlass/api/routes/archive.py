"""Runs that have left the hot store: moved, listed, brought back."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import LIST_PROJECT, PAGE, ROOT, id_cursor, listed_project, page
from windlass.api.table import Body, Route, closed
from windlass.engine.adopting import adopt
from windlass.engine.archiving import preview_sweep, sweep
from windlass.engine.auditing.noting import say
from windlass.engine.engine import Engine
from windlass.engine.restoring import archive_figures, get_archived, list_archive, restore
from windlass.model.state import RUN_FINAL
from windlass.store.archive.catalogue import ArchiveFilter

#: Seconds after which a request that has moved runs answers, and says that more is to be done.
_PATIENCE: Final = 2.0


async def get_archive(engine: Engine, request: Request) -> Answer:
    """List archived runs."""
    query = request.query
    filters = ArchiveFilter(
        project=listed_project(request),
        job=query.get("job"),
        states=query.get("state", ()),
        before=id_cursor(request),
        limit=query["limit"],
    )
    return page(*await list_archive(engine, filters))


async def get_figures(engine: Engine, _: Request) -> Answer:
    """Return how much the archive holds."""
    return Answer(body=await archive_figures(engine))


async def run_archiver(engine: Engine, request: Request) -> Answer:
    """Let runs leave whose retention is over."""
    if request.data.get("dryRun"):
        return Answer(body={"rules": await preview_sweep(engine)})
    await say(engine, "archive.run")
    return Answer(body=(await sweep(engine, patience=_PATIENCE)).to_json())


async def adopt_archives(engine: Engine, request: Request) -> Answer:
    """Take archives over, with what they hold."""
    said = request.data
    if not said.get("dryRun", False):
        await say(engine, "archive.adopt", drop=said.get("drop"))
    found = await adopt(
        engine,
        dry=said.get("dryRun", False),
        drop=said.get("drop", False),
        after=said.get("after"),
        patience=_PATIENCE,
    )
    return Answer(body=found.to_json())


async def restore_one(engine: Engine, request: Request) -> Answer:
    """Bring a run back."""
    run, restored = await restore(engine, request.params["run"])
    return Answer(body=run | {"restored": restored})


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return what the archive has of a run."""
    return Answer(body=await get_archived(engine, request.params["run"]))


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/archive",
        permission="view",
        handler=get_archive,
        summary="List archived runs, newest first.",
        query=(
            LIST_PROJECT,
            Query("job", "alias of a job"),
            Query("state", "states of the runs", "texts", choices=tuple(sorted(RUN_FINAL))),
            *PAGE,
        ),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/archive/figures",
        permission="view",
        handler=get_figures,
        summary="Return how many runs and bytes the archive holds, and how old they are.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/archive/run",
        permission="administer",
        handler=run_archiver,
        changes=True,
        summary="Let runs leave whose retention is over: as many as go in seconds; `more` says that others wait.",
        body=Body(
            schema=closed({"dryRun": {"type": "boolean", "description": "say what would leave, and do nothing"}})
        ),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/archive/adopt",
        permission="administer",
        handler=adopt_archives,
        changes=True,
        summary="Make the archives that were used this store's, as one that was restored needs; go on from `after`.",
        body=Body(
            schema=closed(
                {
                    "dryRun": {"type": "boolean", "description": "say what is there, and do nothing"},
                    "drop": {"type": "boolean", "description": "remove what the catalogue does not know"},
                    "after": {"type": "string", "description": "where the answer before this one ended"},
                }
            )
        ),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/archive/{{run}}",
        permission="view",
        handler=get_one,
        summary="Return what the archive has of a run.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/archive/{{run}}/restore",
        permission="operate",
        handler=restore_one,
        changes=True,
        summary="Bring a run back from the archive, which keeps its copy; `restored` is false where it was back.",
    ),
)
