"""Opening a store for an application: owned and worked on here, or reached through the process that owns it."""
# ruff: noqa: PLC0415 - an application that only defines jobs, such as an isolated step, imports nothing of this

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.errors import UserError
from windlass.model.did_you_mean import suggestion
from windlass.settings import NAMES, Settings, load_settings, refuse_not_in_force

if TYPE_CHECKING:
    from windlass.engine.engine import Engine
    from windlass.sdk.backend import Backend
    from windlass.sdk.registry import Registry
    from windlass.store.open import OpenStore
    from windlass.store.owner import Ownership
    from windlass.supervisor.client import Supervisor

_log = logging.getLogger(__name__)


def read_settings(url: str | None, said: Mapping[str, str]) -> Settings:
    """Return the settings of an application: what it said over the environment, the file and the defaults.

    Raises UserError where one is wrong, or where `url` names what has not landed yet.
    """
    if url is not None and not isinstance(url, str):
        raise UserError(f"A store is named by a text such as sqlite:///jobs.db or memory://, not by {url!r}.")
    if url is not None and url.partition("://")[0] in {"http", "https"}:
        raise UserError(f"{url}: working with a server on the network lands later; use sqlite:///FILE or memory://.")
    for name in said:
        if name not in NAMES:
            raise UserError(f'There is no setting "{name}"{suggestion(name, NAMES) or "."}')
    if url is not None:
        from windlass.store.place import store_place

        store_place(url)  # says what is wrong with it
    flags = dict(said) if url is None else {**said, "database_url": url}
    settings = load_settings(os.environ, flags).settings
    if url is not None:  # the program's own word goes before WINDLASS_URL
        settings = replace(settings, url=None)
    refuse_not_in_force(settings)
    return settings


async def open_backend(
    settings: Settings, registry: Registry, *, app: str, wait: float, workers: int | None = None
) -> Backend:
    """Open the store that the settings name, and begin to work where it is ours, `workers` attempts at one time.

    `app` is what the application is called. Where the settings name a server instead, that one is asked.
    Raises Unavailable where its owner cannot be reached within `wait` seconds, Refused in a process of a step, and what
    opening a store raises.
    """
    from windlass.store.open import open_owned, open_shared, open_store
    from windlass.store.owner import Ownership, own_a_node, own_or_find
    from windlass.store.place import node_path, store_place
    from windlass.supervisor.inside import refuse_inside_step

    ours = version("windlass")
    if settings.url is not None:
        refuse_inside_step(os.environ)
        from windlass.sdk.remote import Remote

        return await Remote.at(settings.url, settings.project, app)
    place = store_place(settings.database_url)
    path = node_path(place, settings.home)
    if path is None:
        return await _work(await open_store(settings.database_url, version=ours), settings, registry, app, workers)
    refuse_inside_step(os.environ)
    if place.server is not None:
        opened = await open_shared(place.server, await own_a_node(path, version=ours))
        return await _work(opened, settings, registry, app, workers)
    taken = await own_or_find(path, version=ours, wait=wait)
    if isinstance(taken, Ownership):
        return await _work(await open_owned(taken), settings, registry, app, workers)
    from windlass.sdk.remote import Remote

    return await Remote.reach(taken, settings.project)


async def _work(opened: OpenStore, settings: Settings, registry: Registry, app: str, slots: int | None) -> Backend:
    """Start a node on an open store; everything is closed again where that fails."""
    import getpass

    from windlass.clock import SystemClock
    from windlass.engine.compiled import JobCache
    from windlass.engine.engine import Engine
    from windlass.engine.files_folder import settle_files
    from windlass.engine.metrics.program import program_figures
    from windlass.engine.node import prepare_folders, start_node
    from windlass.engine.pipeline import Workshop
    from windlass.engine.room import room_of
    from windlass.engine.sealing.master_keys import key_file
    from windlass.engine.secrets.known import secrets_of
    from windlass.engine.telemetry.telemetry import start_telemetry
    from windlass.ids import Uuid7Source
    from windlass.model.manifest.canonical import to_job
    from windlass.sdk.embedded import Embedded
    from windlass.sdk.steps import ApplicationSteps
    from windlass.store.archive.open import require_parquet
    from windlass.supervisor.client import Supervisor

    ours = version("windlass")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened)
        opened.require_here()
        require_parquet(settings.archive_url)
        types = ApplicationSteps(registry)
        settings = replace(settings, home=_files(opened, settings, stack), master_key_file=key_file(settings))
        engine = Engine(
            store=opened.store,
            ids=Uuid7Source(),
            settings=settings,
            jobs=JobCache(to_job),
            catalog=types.catalog(),
            room=room_of(settings, None if opened.ownership is None else opened.ownership.database),
            alone=opened.alone,
            leads=lambda: opened.alone,
            sends_spans=lambda: opened.alone,
        )
        await settle_files(engine)
        part = opened.ownership.database if opened.ownership is not None and opened.shared else None
        workspaces, artifacts = prepare_folders(settings.home, settings.files, part)
        lock = None if opened.ownership is None else opened.ownership.steps_lock
        supervisor = Supervisor(instance=opened.id, lock=lock)
        stack.push_async_callback(supervisor.close)
        stack.push_async_callback(types.close)
        await _end_leftovers(engine, supervisor)
        engine.metrics.sources.append(program_figures(ours, supervisor))
        workshop = Workshop(
            types=types,
            processes=supervisor,
            secrets=secrets_of(engine, os.environ),
            clock=SystemClock(),
            workspaces=workspaces,
            artifacts=artifacts,
            inline=True,
        )
        engine.parts["supervisor"] = lambda: supervisor.trouble or workshop.shortage.trouble
        if opened.ownership is not None:
            serving = asyncio.create_task(_serve(engine, opened.ownership, supervisor), name="windlass-serving")
            stack.push_async_callback(_stop_serving, serving)
        telemetry = await start_telemetry(engine, os.environ, ours)
        if telemetry is not None:
            stack.push_async_callback(telemetry.close)
        node = await start_node(engine, workshop, slots=slots, app=app, version=ours)
        stack.push_async_callback(node.stop, settings.drain_grace)
        return Embedded(node, app, settings.project, getpass.getuser(), stack.pop_all())


async def _end_leftovers(engine: Engine, supervisor: Supervisor) -> None:
    """Wait for the end of what an earlier owner started, where that owner did not leave in good order.

    Else the supervisor begins with the first process: most applications start none.
    """
    from windlass.store import workers

    if await engine.store.read(workers.live):
        await supervisor.start()


def _files(opened: OpenStore, settings: Settings, stack: AsyncExitStack) -> Path:
    """Return the folder for the files of a store: the home, one beside the database, or one for as long as it lives."""
    if opened.ownership is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-", ignore_cleanup_errors=True)))
    path = opened.ownership.database
    return settings.home if path.parent == settings.home.resolve() else path.with_name(f"{path.name}.files")


async def _serve(engine: Engine, ownership: Ownership, supervisor: Supervisor) -> None:
    """Let commands and other applications use the store through its socket, until this is cancelled.

    What serves is imported beside the work: it takes longer than opening the store.
    """
    try:
        await asyncio.to_thread(_import_server)
        from windlass.api.routes.all import route_table
        from windlass.api.socket import SocketServer
        from windlass.engine.descent import is_step
        from windlass.store.owner import socket_place

        place = socket_place(ownership.database)
        server = SocketServer(route_table(), engine, place, is_step(engine, supervisor))
        await server.start()
    except Exception:  # noqa: BLE001 - the application works without
        _log.exception("Other processes cannot use the store %s while this one owns it", ownership.database)
        return
    try:
        ownership.announce(place)
        await asyncio.get_running_loop().create_future()
    finally:
        await server.stop()


def _import_server() -> None:
    import windlass.api.routes.all
    import windlass.api.socket  # noqa: F401 - for what it brings in


async def _stop_serving(serving: asyncio.Task[None]) -> None:
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
