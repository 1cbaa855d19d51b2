"""What Windlass says about itself: whether it lives, its store, its API."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import ROOT
from windlass.api.table import Body, Route, closed
from windlass.engine.auditing.noting import say
from windlass.engine.away import give_up_home
from windlass.engine.doctor import Diagnosis, examine
from windlass.engine.engine import Engine
from windlass.engine.health import health, ready
from windlass.engine.repairing import as_json, repair
from windlass.errors import CorruptStore
from windlass.store.check import check
from windlass.store.migrations import HEAD


async def healthz(_: Any, __: Request) -> Answer:
    """Say that the process lives."""
    return Answer(body={"status": "ok"})


async def readyz(engine: Engine, _: Request) -> Answer:
    """Say whether runs can be accepted, with the status of each part."""
    parts = await health(engine)
    fine = ready(parts)
    body = {"status": "ready" if fine else "unready", "parts": {part.name: part.status for part in parts}}
    return Answer(status=200 if fine else 503, body=body)


async def get_store(engine: Engine, _: Request) -> Answer:
    """Return which store this is."""
    return Answer(body={"kind": engine.store.kind, "schema": HEAD})


async def tend_store(engine: Engine, _: Request) -> Answer:
    """Make what the database lacks beside its rows, while everybody works."""
    await say(engine, "store.tend")
    return Answer(body={"schema": HEAD, "done": await engine.store.tend()})


async def check_store(engine: Engine, _: Request) -> Answer:
    """Read the whole database and say what is wrong with it."""
    found = await check(engine.store)
    body = {"sound": found.sound, "schema": found.version, "problems": found.problems, "notes": found.notes}
    return Answer(body=body)


async def get_diagnosis(engine: Engine, _: Request) -> Answer:
    """Say what is wrong with the store and its work."""
    found = await examine(engine, version=version("windlass"))
    return Answer(body={"items": [one.to_json() for one in found]})


async def repair_store(engine: Engine, _: Request) -> Answer:
    """Put right what can be, and say what is still wrong."""
    try:
        await say(engine, "store.repair")
        done = await repair(engine)
        database = Diagnosis("ok", "database", "every page was read, it is sound")
    except CorruptStore as error:
        done, database = [], Diagnosis("error", "database", str(error))
    found = [database, *await examine(engine, version=version("windlass"))]
    return Answer(body={"repaired": as_json(done), "items": [one.to_json() for one in found]})


async def forget_home(engine: Engine, request: Request) -> Answer:
    """Wait no more for a home."""
    return Answer(body=await give_up_home(engine, request.data["home"]))


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/doctor",
        permission="administer",
        handler=get_diagnosis,
        summary="Say what is wrong with the store and its work.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/doctor/repair",
        permission="administer",
        handler=repair_store,
        changes=True,
        summary="Put right what can be, safely; say what was done and what is still wrong.",
    ),
    Route(method="GET", path="/healthz", permission="open", handler=healthz, summary="Say that the process lives."),
    Route(method="GET", path="/readyz", permission="open", handler=readyz, summary="Say whether runs can be accepted."),
    Route(
        method="GET",
        path=f"{ROOT}/store",
        permission="view",
        handler=get_store,
        summary="Return which store this is and the version of its schema.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/store/tend",
        permission="administer",
        handler=tend_store,
        changes=True,
        summary="Make what large tables need beside their rows, such as indexes of an upgrade, while everybody works.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/store/check",
        permission="administer",
        handler=check_store,
        summary="Read the whole database and say what is wrong with it.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/store/forget-home",
        permission="administer",
        handler=forget_home,
        changes=True,
        summary="Wait no more for files of runs in a home that will not come back; `unknown` is one nobody knows.",
        body=Body(schema=closed({"home": {"type": "string", "description": "what the home calls itself"}}, "home")),
    ),
)
