"""Who runs tasks, and where tasks wait."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import orjson

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import ROOT, page
from windlass.api.table import Route
from windlass.clock import to_text
from windlass.engine.dispatching import list_queues, maintenance
from windlass.engine.engine import Engine
from windlass.engine.present import duties_now, present, states
from windlass.errors import NotFound
from windlass.model.did_you_mean import suggestion
from windlass.model.plugged import SHIPPED
from windlass.model.printable import printable
from windlass.model.worker_facts import apps_in, said_and_found, step_types_in
from windlass.store import workers as stored
from windlass.store.transaction import Transaction

#: States of workers that say nothing of themselves.
_UNHEARD: Final = frozenset({"silent", "lost"})


async def get_workers(engine: Engine, _: Request) -> Answer:
    """List the workers that live, and those that are gone without a word."""
    return page(await engine.store.read(workers_shape, engine), None)


async def get_worker(engine: Engine, request: Request) -> Answer:
    """Return one worker that lives, or is gone without a word; of several with its name the one that came last."""
    name, there = request.params["worker"], await engine.store.read(workers_shape, engine)
    found = [one for one in there if one["name"] == name]
    if not found:
        raise NotFound(
            f'There is no worker "{printable(name)}"{suggestion(name, [one["name"] for one in there]) or "."}'
        )
    return Answer(body=found[-1])


async def get_queues(engine: Engine, _: Request) -> Answer:
    """List the queues in which tasks wait or run."""
    return page(await engine.store.read(list_queues, engine), None)


async def get_status(engine: Engine, _: Request) -> Answer:
    """Return how much is running and waiting, and how much could run."""
    return Answer(body=await engine.store.read(_status, engine))


def workers_shape(tx: Transaction, engine: Engine) -> list[dict[str, Any]]:
    """Return the workers that live, and those that are gone without a word."""
    return [
        {
            "name": row.name,
            "state": state,
            "host": row.host,
            "pid": row.pid,
            "pool": row.pool,
            **_said(orjson.loads(row.labels)),
            "queues": [name for name in orjson.loads(row.queues) if not name.startswith(stored.OF_ONE_HOME)],
            "slots": row.slots,
            "busy": row.busy,
            "draining": bool(row.draining),
            "version": row.version,
            "startedAt": to_text(row.started_at),
            "heartbeatAt": to_text(row.heartbeat_at),
            "silentSince": to_text(row.heartbeat_at) if state in _UNHEARD else None,
        }
        for row, state in states(tx, engine)
    ]


def _said(labels: dict[str, str]) -> dict[str, Any]:
    """Return what a worker says of itself; `addedTypes` are the step types that packages brought."""
    given, facts = said_and_found(labels)
    types = step_types_in(labels)
    added = [name for name in types if name not in SHIPPED]
    return {"labels": given, "facts": facts, "stepTypes": types, "addedTypes": added, "apps": apps_in(labels)}


def _status(tx: Transaction, engine: Engine) -> dict[str, Any]:
    there = workers_shape(tx, engine)
    workers = [worker for worker in there if worker["state"] == "running"]
    count_of = Counter(worker["state"] for worker in there)
    counts: dict[str, int] = {}
    for queue in list_queues(tx, engine):
        for state, count in queue["counts"].items():
            counts[state] = counts.get(state, 0) + count
    slots = sum(worker["slots"] for worker in workers)
    busy = sum(worker["busy"] for worker in workers)
    found = {"workers": len(workers), "slots": slots, "busy": busy, "counts": counts}
    found |= {"draining": count_of["draining"] + count_of["ending"], "silent": count_of["silent"]}
    taking = present(tx, engine)
    found |= {"served": taking.served, "nobodyWorks": taking.nobody}
    return {**found, "maintenance": maintenance(tx)["on"], "duties": duties_now(tx, engine)}


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/workers",
        permission="view",
        handler=get_workers,
        summary="List workers with their state: running, draining, ending, silent or lost.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/workers/{{worker}}",
        permission="view",
        handler=get_worker,
        summary="Return one worker: what it is, what it serves, and the step types that it has.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/queues",
        permission="view",
        handler=get_queues,
        summary="List queues with the tasks in them by state.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/executor/status",
        permission="view",
        handler=get_status,
        summary="Return how many tasks there are by state, how many slots, and whether anybody works.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/worker/status",
        permission="view",
        handler=get_status,
        summary="Return how many tasks there are by state, and how many slots.",
    ),
)
