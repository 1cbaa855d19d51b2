"""A worker without a store: it works through a server, which it reaches over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from windlass.client.work.line import Line
from windlass.client.work.queue import HttpQueue
from windlass.engine.compiled import JobCache
from windlass.engine.room import Room
from windlass.engine.tracing import Tracer
from windlass.engine.working_folder import take_folder
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.canonical import to_job
from windlass.settings import Settings
from windlass.threads import ready_threads
from windlass.working.workplace import Post, patiently, until_asked, working

#: Threads that wait for answers of the server: one for news, the others for what steps say and need.
_THREADS: Final = 8


@dataclass(slots=True)
class _Place:
    """Where attempts run; see `windlass.engine.place.Place`."""

    settings: Settings
    catalog: StepCatalog
    room: Room
    tracer: Tracer | None = None


async def work_through_server(post: Post, find: Callable[[], Path]) -> None:
    """Work for the server whose socket `find` returns, asked before each connection; see `work`."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(take_folder(post.settings.home / "workers"))
        threads = ready_threads(_THREADS, "windlass-line")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        line = Line(find)
        stack.callback(line.close)
        queue = HttpQueue(line, post.face, uuid4().hex, threads, JobCache(to_job), folder.artifacts)
        said = await patiently(post, queue.join)
        if said is None:
            return
        settings = replace(
            post.settings,
            heartbeat=said["heartbeat"],
            lease=said["lease"],
            default_timeout=said["defaultTimeout"],
            max_timeout=said["maxTimeout"],
            log_quota=said["logQuota"],
        )
        post = replace(post, settings=settings)
        room = Room((folder.path,), settings.disk_reserve, None)
        worker = await stack.enter_async_context(
            working(
                post,
                _Place(settings, post.types.catalog(), room),
                queue,
                queue,
                folder,
                clock=queue.clock,
                artifacts=folder.artifacts,
                store=said["store"],
                poll=lambda: queue.poll,
            )
        )
        queue.held = worker.held
        await worker.start()
        listening = asyncio.create_task(queue.listen(worker.hint), name="windlass-news")
        stack.callback(listening.cancel)
        await until_asked(post, worker, lambda: queue.part(settings.drain_grace))
