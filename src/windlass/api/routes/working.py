"""What workers in other processes ask for: tasks, secrets of those that they hold, and places for what comes of them.

Everything may be asked again where its answer was lost. Times are microseconds since the epoch by the store's clock.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import ROOT
from windlass.api.table import MIB, Body, Route, closed
from windlass.engine.engine import Engine
from windlass.engine.queue import WorkerFace
from windlass.engine.remote.exchanging import Asked
from windlass.engine.remote.files import put_piece
from windlass.engine.remote.work import RemoteWork
from windlass.engine.wire.outcomes import outcome_json
from windlass.engine.wire.protocol import common_protocol
from windlass.errors import Unavailable, UserError
from windlass.settings import MOST_SLOTS

#: Most bytes of a request with ends of attempts or with output.
_LARGE: Final = 64 * MIB
#: Longest wait for news, in seconds.
_LONGEST: Final = 60
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


async def join(engine: Engine, request: Request) -> Answer:
    """Take a worker in."""
    said = request.data
    oldest, newest = said.get("speaks", (1, 1))
    protocol = common_protocol((oldest, newest))
    face = WorkerFace(
        name=said["name"],
        host=said["host"],
        pid=said["pid"],
        slots=said["slots"],
        pool=said["pool"],
        labels=tuple(sorted(said["labels"].items())),
        queues=tuple(said["queues"]),
        version=said["version"],
    )
    store = await _remote(engine).join(face, said["instance"], request.principal.pid)
    settings = engine.settings
    return Answer(
        body={
            "store": store,
            "protocol": protocol,
            "heartbeat": settings.heartbeat,
            "lease": settings.lease,
            "defaultTimeout": settings.default_timeout,
            "maxTimeout": settings.max_timeout,
            "logQuota": settings.log_quota,
            "maxParameters": settings.max_parameters,
            "poll": _remote(engine).poll,
        }
    )


async def exchange(engine: Engine, request: Request) -> Answer:
    """Record ends and hand out tasks, once for each number."""
    said = request.data
    asked = Asked(
        request=said["request"],
        reports=said["reports"],
        capacity=said["capacity"],
        known=frozenset((row, fence) for row, fence in said["known"]),
        inventory=said.get("inventory", False),
    )
    return Answer(body=await _remote(engine).exchange(request.params["worker"], asked, request.principal.pid))


async def heartbeat(engine: Engine, request: Request) -> Answer:
    """Renew a lease."""
    alive = await _remote(engine).renew(request.params["worker"], request.principal.pid)
    return Answer(body={"alive": alive})


async def news(engine: Engine, request: Request) -> Answer:
    """Wait until there may be more to take, or something is to stop."""
    query = request.query
    seen = await _remote(engine).news(request.params["worker"], query.get("seen", ""), float(query["wait"]))
    return Answer(body={"seen": seen})


async def start(engine: Engine, request: Request) -> Answer:
    """Start a claimed task."""
    found = await _remote(engine).start(request.params["worker"], _key(request), request.data.get("cache"))
    return Answer(body={"started": found is not None, **(found or {})})


async def recall(engine: Engine, request: Request) -> Answer:
    """Return a kept result, with its files in the run already, or why there is none to be taken."""
    found = await _remote(engine).recall(request.params["worker"], _key(request), request.data["wanted"])
    if isinstance(found, dict):
        return Answer(body={"missed": found})
    files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in found.artifacts]
    return Answer(body={"outcome": outcome_json(found.outcome), "artifacts": files})


async def logs(engine: Engine, request: Request) -> Answer:
    """Keep output."""
    return Answer(body={"refused": await _remote(engine).append(request.params["worker"], request.data["chunks"])})


async def progress(engine: Engine, request: Request) -> Answer:
    """Keep how far an attempt is."""
    said = request.data
    await _remote(engine).progress(request.params["worker"], _key(request), said.get("percent"), said.get("message"))
    return Answer(status=204)


async def secrets(engine: Engine, request: Request) -> Answer:
    """Tell secrets of a task that is held."""
    found = await _remote(engine).secrets(request.params["worker"], _key(request), request.data["references"])
    return Answer(body={"values": dict(found)})


async def file(engine: Engine, request: Request) -> Answer:
    """Keep a piece of a file."""
    query, sha256, remote = request.query, request.params["digest"], _remote(engine)
    if not _SHA256.fullmatch(sha256):
        raise UserError("The name of a file is its SHA-256 in 64 hexadecimal digits.")
    worker = request.params["worker"]
    claim = await remote.held(worker, (query["queue_id"], query["fence"]))
    engine.room.require()
    place = (remote.artifacts, claim.run_id, f"{claim.task}-{claim.fence}", sha256)
    try:
        there = await asyncio.to_thread(put_piece, *place, query["size"], query["offset"], request.body)
    except OSError as error:
        raise Unavailable(f"The file cannot be kept: {error.strerror}.") from None
    return Answer(body={"there": there})


async def keep(engine: Engine, request: Request) -> Answer:
    """Keep files that were brought for later tasks too."""
    remote = _remote(engine)
    try:
        await remote.keep(request.params["worker"], _key(request), request.data["files"])
    except OSError as error:
        raise Unavailable(f"The files cannot be kept: {error.strerror}.") from None
    return Answer(status=204)


async def ending(engine: Engine, request: Request) -> Answer:
    """Note that a worker was asked to end."""
    await _remote(engine).ending(request.params["worker"])
    return Answer(status=204)


async def leave(engine: Engine, request: Request) -> Answer:
    """Say good-bye."""
    await _remote(engine).leave(request.params["worker"], [(row, fence) for row, fence in request.data["unstarted"]])
    return Answer(status=204)


def _remote(engine: Engine) -> RemoteWork:
    if engine.remote is None:
        raise Unavailable("This process takes no workers: it owns the store for a moment only.")
    return engine.remote


def _key(request: Request) -> tuple[int, int]:
    return request.data["queueId"], request.data["fence"]


_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 1000}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_KEY: Final = {"queueId": _NUMBER, "fence": _NUMBER}
_KEYS: Final = {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}}
_DIGITS: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_FILE: Final = closed({"name": {"type": "string"}, "size": _NUMBER, "sha256": _DIGITS}, "name", "size", "sha256")
_FILES: Final = {"type": "array", "items": _FILE}
_REPORT: Final = closed(
    {
        **_KEY,
        "runId": {"type": "string", "pattern": "^[0-9a-f-]{36}$"},
        "task": _NUMBER,
        "attempt": _NUMBER,
        "outcome": {"type": "string", "contentMediaType": "application/json"},
        "finishedAt": _NUMBER,
        "usage": {"type": "object"},
        "artifacts": _FILES,
        "keep": {"type": "object"},
    },
    *("queueId", "fence", "runId", "task", "attempt", "outcome", "finishedAt"),
)
_CHUNK: Final = closed(
    {
        **_KEY,
        "seq": _NUMBER,
        "at": _NUMBER,
        "stream": {"enum": ["stdout", "stderr", "system"]},
        "data": {"type": "string"},
    },
    *("queueId", "fence", "seq", "at", "stream", "data"),
)
_FACE: Final = closed(
    {
        "instance": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "name": _TEXT,
        "host": _TEXT,
        "pid": _NUMBER,
        "slots": {"type": "integer", "minimum": 0, "maximum": MOST_SLOTS},
        "pool": _TEXT,
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 200}},
        "queues": {"type": "array", "items": _TEXT, "minItems": 1},
        "version": {"type": "string", "maxLength": 100},
        "speaks": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2},
    },
    *("instance", "name", "host", "pid", "slots", "pool", "labels", "queues", "version"),
)
_WORKER: Final = f"{ROOT}/work/workers/{{worker}}"


def _post(path: str, handler: Any, summary: str, schema: dict[str, Any] | None, limit: int = MIB) -> Route:
    body = None if schema is None else Body(schema=schema, limit=limit)
    return Route(method="POST", path=path, permission="work", handler=handler, summary=summary, body=body)


ROUTES: Final = (
    _post(f"{ROOT}/work/workers", join, "Join as a worker, under a name that only this worker knows.", _FACE),
    _post(
        f"{_WORKER}/exchange",
        exchange,
        "Hand in ends of attempts and take tasks; a number that was used gets its answer again.",
        closed(
            {
                "request": {"type": "integer", "minimum": 1},
                "reports": {"type": "array", "items": _REPORT},
                "capacity": {"type": "integer", "minimum": 0, "maximum": MOST_SLOTS},
                "known": _KEYS,
                "inventory": {"type": "boolean"},
            },
            *("request", "reports", "capacity", "known"),
        ),
        _LARGE,
    ),
    _post(f"{_WORKER}/heartbeat", heartbeat, "Renew the lease; `alive` is false where it had run out.", None),
    Route(
        method="GET",
        path=f"{_WORKER}/news",
        permission="work",
        handler=news,
        summary="Wait until there may be more to take, or something is to stop.",
        query=(
            Query("seen", "`seen` of the answer before"),
            Query("wait", "most seconds to wait", "integer", default=20, lowest=0, highest=_LONGEST),
        ),
    ),
    _post(
        f"{_WORKER}/start",
        start,
        "Start a task that was only claimed.",
        closed({**_KEY, "cache": {"type": ["object", "null"]}}, "queueId", "fence"),
    ),
    _post(
        f"{_WORKER}/recall",
        recall,
        "Take the kept result of a task, where there is one.",
        closed({**_KEY, "wanted": {"type": "object"}}, "queueId", "fence", "wanted"),
    ),
    _post(
        f"{_WORKER}/logs",
        logs,
        "Keep output of tasks that are held.",
        closed({"chunks": {"type": "array", "items": _CHUNK}}, "chunks"),
        _LARGE,
    ),
    _post(
        f"{_WORKER}/progress",
        progress,
        "Keep how far an attempt is.",
        closed(
            {**_KEY, "percent": {"type": ["number", "null"]}, "message": {"type": ["string", "null"]}},
            *("queueId", "fence"),
        ),
    ),
    _post(
        f"{_WORKER}/secrets",
        secrets,
        "Return secrets that a task names, while it is held.",
        closed({**_KEY, "references": {"type": "array", "items": _TEXT}}, "queueId", "fence", "references"),
    ),
    Route(
        method="PUT",
        path=f"{_WORKER}/files/{{digest}}",
        permission="work",
        handler=file,
        summary="Bring a piece of a file of a task that is held; the last one completes it.",
        query=(
            Query("queue_id", "`queueId` of the task", "integer", required=True),
            Query("fence", "`fence` of the task", "integer", required=True),
            Query("size", "bytes of the whole file", "integer", required=True, lowest=0),
            Query("offset", "where in the file the piece begins", "integer", default=0, lowest=0),
        ),
        body=Body(media=("application/octet-stream",), limit=16 * MIB),
    ),
    _post(
        f"{_WORKER}/keep",
        keep,
        "Keep files that were brought for later tasks too.",
        closed({**_KEY, "files": _FILES}, "queueId", "fence", "files"),
    ),
    _post(f"{_WORKER}/ending", ending, "Tell that the worker was asked to end, while its tasks go on.", closed({})),
    _post(
        f"{_WORKER}/leave",
        leave,
        "Give back what was not started, and go.",
        closed({"unstarted": _KEYS}, "unstarted"),
    ),
)
