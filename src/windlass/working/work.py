"""A worker in a process of its own, from its beginning to its end."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from windlass.engine.queue import WorkerFace
from windlass.errors import Unavailable, UserError
from windlass.model.worker_facts import with_facts
from windlass.settings import UNIX, Settings
from windlass.store.lockfile import find_owner
from windlass.store.place import store_place
from windlass.working.step_types import step_types
from windlass.working.workplace import Post


async def work(settings: Settings, version: str, app: str | None, ready: Callable[[str], None]) -> None:
    """Work until a signal asks to end; `ready` is told the worker's name once it takes work.

    `app` names an application of Python, `module:name`, whose jobs run in this process. Raises UserError where there
    is no such application, or where the store is one that no other process can reach.
    """
    place = store_place(settings.database_url)
    if place.kind == "memory" and settings.url is None:
        raise UserError(
            "A store in memory has no server that this worker could find; set WINDLASS_DATABASE_URL to "
            "sqlite:///FILE or postgresql://..., or WINDLASS_URL to the address of a server."
        )
    types, named = await asyncio.to_thread(step_types, app)
    asked, again = asyncio.Event(), asyncio.Event()
    listen_to_signals(asked, again)
    host = socket.gethostname()
    face = WorkerFace(
        name=f"{host}-{os.getpid()}",
        host=host,
        pid=os.getpid(),
        slots=settings.worker_slots,
        pool=settings.pool,
        labels=with_facts(
            settings.labels,
            system=platform.system(),
            machine=platform.machine(),
            step_types=(await asyncio.to_thread(types.catalog)).runnable,
            app=named,
        ),
        queues=settings.queues or ("*",),
        version=version,
    )
    post = Post(
        settings=settings, face=face, types=types, inline=app is not None, asked=asked, again=again, ready=ready
    )
    if settings.url is None and place.server is not None:
        from windlass.working.on_database import work_on_database  # noqa: PLC0415 - one of two

        await work_on_database(post, place.server)
        return
    from windlass.working.through_server import work_through_server  # noqa: PLC0415 - one of two

    if settings.url is not None:
        said = Path(settings.url.removeprefix(UNIX))
        await work_through_server(post, lambda: said)
    elif place.path is not None:
        database = place.path
        await work_through_server(post, lambda: _socket_of(database))


def _socket_of(database: Path) -> Path:
    """Return where the owner of a store listens. Raises Unavailable where nobody owns it, or does not listen yet."""
    owner = find_owner(database)
    if owner is None or owner.socket is None:
        raise Unavailable(f"Nobody serves the store at {database}; start `windlass up`.")
    return owner.socket


def listen_to_signals(asked: asyncio.Event, again: asyncio.Event) -> None:
    """Set `asked` at the first signal that asks this process to end, `again` at those behind it."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        (again if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as the caller wants it: nohup does
            loop.add_signal_handler(number, ask)
