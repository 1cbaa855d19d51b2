"""What every worker in a process of its own has, whoever gives it its tasks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from windlass.clock import Clock
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.pipeline import Pipeline, Workshop
from windlass.engine.place import Place
from windlass.engine.queue import Queue, Secretary, WorkerFace
from windlass.engine.worker import POLL, Worker
from windlass.engine.working_folder import WorkingFolder
from windlass.errors import Unavailable
from windlass.settings import Settings
from windlass.supervisor.client import Supervisor

_log = logging.getLogger(__name__)

#: Seconds between two tries to reach whoever gives out tasks.
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
#: Of a pause, what is left where chance takes most of it away: no two workers come back at one moment.
_LEAST: Final = 0.5

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a worker is to be, as settings and command say it."""

    settings: Settings
    face: WorkerFace
    #: Step types that it has.
    types: Any
    #: Code of an application runs in this process.
    inline: bool
    #: Set by the first signal that asks it to end, and by the second.
    asked: asyncio.Event
    again: asyncio.Event
    #: Told its name once it takes work.
    ready: Callable[[str], None]


async def patiently(post: Post, reach: Callable[[], Awaitable[Found]]) -> Found | None:
    """Return what `reach` returns once it does not raise Unavailable; None where this is asked to end before."""
    pause, told = _FIRST_PAUSE, False
    while not post.asked.is_set():
        try:
            return await reach()
        except Unavailable as error:
            if not told:
                _log.warning("Waiting for whoever gives out tasks: %s", error)
                told = True
        waiting = asyncio.create_task(post.asked.wait())
        await asyncio.wait([waiting], timeout=pause * random.uniform(_LEAST, 1.0))  # noqa: S311 - spreads workers
        waiting.cancel()
        pause = min(pause * 2, _LONGEST_PAUSE)
    return None


@asynccontextmanager
async def working(
    post: Post,
    place: Place,
    queue: Queue,
    secrets: Secretary,
    folder: WorkingFolder,
    *,
    clock: Clock,
    artifacts: Path,
    store: str,
    poll: Callable[[], float] = lambda: POLL,
    shared: bool = False,
) -> AsyncIterator[Worker]:
    """Take work; whoever leaves has drained the worker.

    `artifacts` is where files go that attempts keep, `store` the id of the store, `poll` how many seconds lie between
    two looks at the queue, `shared` as for the heartbeat.
    """
    settings, types = post.settings, post.types
    async with AsyncExitStack() as stack:
        for left in folder.left_by_others:  # what steps of workers that were killed have left behind
            async with Supervisor(instance=store, lock=left.steps_lock):
                left.clear()
        supervisor = await stack.enter_async_context(Supervisor(instance=store, lock=folder.steps_lock))
        stack.push_async_callback(types.close)
        folder.clear()
        workshop = Workshop(
            types=types,
            processes=supervisor,
            secrets=secrets,
            clock=clock,
            workspaces=folder.attempts,
            artifacts=artifacts,
            inline=post.inline,
        )
        pipeline = Pipeline(place, queue, workshop, worker=post.face.name)
        loop = asyncio.get_running_loop()
        heartbeat = Heartbeat(
            queue.renew,
            interval=settings.heartbeat,
            on_lost=lambda: loop.call_soon_threadsafe(worker.hint),
            lease=settings.lease,
            shared=shared,
        )
        worker = Worker(
            queue,
            pipeline,
            heartbeat,
            slots=post.face.slots,
            held_up=lambda: workshop.shortage.lasts or place.room.shortage() is not None,
            poll=poll,
        )
        yield worker


async def until_asked(post: Post, worker: Worker, parting: Callable[[], object]) -> None:
    """Work until a signal asks to end, then drain; `parting` is called before. A second signal takes the grace away."""
    grace = post.settings.drain_grace
    post.ready(post.face.name)
    await post.asked.wait()
    if worker.busy:
        text = "Asked to end: tasks that run (%d) have %g s, a second signal stops them"
        _log.info(text, worker.busy, grace)
    parting()
    hurry = asyncio.create_task(_hurry(post, worker))
    await worker.drain(grace)
    hurry.cancel()


async def _hurry(post: Post, worker: Worker) -> None:
    await post.again.wait()
    await worker.drain(0)
