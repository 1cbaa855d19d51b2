"""Workers that reach the queue of a world over HTTP without a socket: requests, and answers, may be lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from windlass.api.dispatch import dispatch
from windlass.api.message import Answer, Request, local_admin
from windlass.api.routes.all import route_table
from windlass.client.problem import error_of
from windlass.client.work.queue import HttpQueue
from windlass.engine.compiled import JobCache
from windlass.engine.engine import Engine
from windlass.engine.queue import WorkerFace
from windlass.engine.remote.work import RemoteWork
from windlass.engine.secret import Secrets
from windlass.errors import ServerGone
from windlass.model.manifest.canonical import to_job

#: What becomes of one request: it arrives and is answered; its answer is lost; it never arrives; it arrives twice.
Fate = Literal["fine", "answer", "request", "twice"]
#: What a request is lost on the way to, by the end of its path.
EXCHANGE: Final = "/exchange"


class InProcessLine:
    """Carries requests to an engine on the loop that made it; see `windlass.client.work.line.Line`."""

    def __init__(self, engine: Callable[[], Engine], fates: Iterator[Fate] | None = None) -> None:
        """Speak to whatever `engine` returns; `fates` are those of the exchanges, in order."""
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self.fates = fates

    def call(
        self, method: str, target: str, body: Any = None, *, raw: bytes | None = None, patience: float = 30
    ) -> Any:
        """Send a request; blocks. Raises ServerGone where its fate is so."""
        path, _, query = target.partition("?")
        fate = next(self.fates, "fine") if self.fates is not None and path.endswith(EXCHANGE) else "fine"
        data = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        request = Request(
            method=method,
            path=path,
            query_string=query,
            headers={"content-type": "application/octet-stream" if raw is not None else "application/json"},
            body=data,
            principal=local_admin("worker"),
        )
        if fate == "request":
            raise ServerGone("The request is lost.")
        answer = self._ask(request, patience)
        if fate == "twice":
            answer = self._ask(request, patience)
        if fate == "answer":
            raise ServerGone("The answer is lost.")
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return None if answer.body is None else orjson.loads(orjson.dumps(answer.body))

    def _ask(self, request: Request, patience: float) -> Answer:
        asking = asyncio.run_coroutine_threadsafe(dispatch(route_table(), self._engine(), request), self._loop)
        answer = asking.result(patience)
        assert isinstance(answer, Answer)
        return answer


class WiredQueue(HttpQueue):
    """A queue over HTTP whose worker has a number that tests may know."""

    remote: RemoteWork
    name: str
    last: int = 0

    @property
    def worker_id(self) -> int:
        """Number of the worker now, or the last one that it had."""
        self.last = self.remote.number(self.name) or self.last
        return self.last


async def wired_queue(
    engine: Engine,
    face: WorkerFace,
    home: Path,
    threads: ThreadPoolExecutor,
    *,
    instance: str,
    fates: Iterator[Fate] | None = None,
) -> WiredQueue:
    """Let a worker join over HTTP and return its queue."""
    if engine.remote is None:
        engine.remote = RemoteWork(engine, Secrets({}), home / "artifacts")
    line: Any = InProcessLine(lambda: engine, fates)
    queue = WiredQueue(line, face, instance, threads, JobCache(to_job), home / "staged")
    queue.remote, queue.name = engine.remote, instance
    await queue.join()
    assert queue.worker_id
    return queue
