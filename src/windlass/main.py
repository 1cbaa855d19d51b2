"""The composition root: the only place that builds objects of all bands and joins them."""
# ruff: noqa: PLC0415 - each command imports only what it needs: start-up is counted in milliseconds

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

    from windlass.client.client import Client
    from windlass.engine.engine import Engine
    from windlass.engine.node import Node
    from windlass.model.catalog import StepCatalog
    from windlass.settings import Settings
    from windlass.steps.registry import StepTypes
    from windlass.store.lockfile import Owner
    from windlass.store.open import OpenStore
    from windlass.store.place import SchemaUse

#: Seconds that a command waits for a store that another process holds.
_WAIT: Final = 10.0
_PAUSE: Final = 0.02
#: Threads of a server for what would keep its event loop waiting: files, mostly.
_THREADS: Final = 6
#: New objects between two searches for garbage: some MB at most. Python's 700 makes start-up a tenth slower.
_GARBAGE: Final = 10_000


class WindlassProgram:
    """Builds what commands ask for; see `windlass.cli.program.Program`."""

    def version(self) -> str:
        """Return the version of Windlass."""
        from importlib.metadata import version

        return version("windlass")

    def catalog(self) -> StepCatalog:
        """Return every step type that is known here."""
        from windlass.steps.registry import StepTypes

        return StepTypes().catalog()

    def broken_step_types(self) -> Mapping[str, str]:
        """Return why installed step types cannot be used, by name."""
        from windlass.steps.registry import StepTypes

        types = StepTypes()
        types.catalog()
        return types.broken

    def openapi(self) -> dict[str, object]:
        """Return the description of the API."""
        from windlass.api.openapi import describe
        from windlass.api.routes.all import VERSION, route_table

        return describe(route_table(), VERSION)

    @contextmanager
    def connect(self, settings: Settings, *, works: bool = False, schema: SchemaUse = "sufficient") -> Iterator[Client]:
        """Reach the owner of the store; where there is none, own it; see `Program.connect`."""
        _prepare(settings)
        end = time.monotonic() + _WAIT
        while True:
            client = _reach_owner(settings, end, itself=schema == "brought up")
            if client is not None:
                with client:
                    yield client
                return
            with _here(settings, self.version(), works=works, schema=schema) as own:
                if own is not None:
                    yield own
                    return

    def reach(self, settings: Settings) -> Client | None:
        """Reach the owner of the store; see `Program.reach`."""
        from windlass.errors import Unavailable
        from windlass.supervisor.inside import refuse_inside_step

        refuse_inside_step(os.environ)
        try:
            return _reach_owner(settings, 0.0)
        except Unavailable:
            return None

    def serve(self, settings: Settings, ready: Callable[[str], None]) -> None:
        """Own the store, serve it and work, until a signal asks to end; see `Program.serve`."""
        import asyncio

        from windlass.supervisor.first import step_aside

        _prepare(settings)
        step_aside()
        asyncio.run(_serve(settings, self.version(), ready))

    def work(self, settings: Settings, app: str | None, ready: Callable[[str], None]) -> None:
        """Work for whoever owns the store, until a signal asks to end; see `Program.work`."""
        import asyncio

        from windlass.supervisor.first import step_aside

        _prepare(settings)
        step_aside()
        from windlass.working.work import work

        asyncio.run(work(settings, self.version(), app, ready))

    def backup(
        self, settings: Settings, target: Path, *, files: bool, tell: Callable[[str], None]
    ) -> Mapping[str, Any]:
        """Copy the store into a new folder; see `Program.backup`."""
        from dataclasses import asdict

        from windlass.engine.file_places import database_file, kept_below
        from windlass.store.backup.make import make_backup

        _prepare(settings)
        database = database_file(settings)
        artifacts = kept_below(settings, database) if files else None
        return asdict(make_backup(database, artifacts, target, version=self.version(), tell=tell))

    def restore(self, settings: Settings, source: Path, *, tell: Callable[[str], None]) -> Mapping[str, Any]:
        """Put a backup in the place of the database; see `Program.restore`."""
        import asyncio

        from windlass.engine.file_places import database_file

        _prepare(settings)
        database = database_file(settings)
        done = asyncio.run(_restore(database, settings, source, self.version(), tell))
        return {
            "database": str(database),
            "store": done.facts.store,
            "schema": done.facts.schema,
            "created": None if done.note is None else done.note.created,
            "runs": done.facts.rows["runs"],
            "liveRuns": done.facts.live,
            "files": done.files,
            "aside": None if done.aside is None else str(done.aside),
        }

    def copy(self, settings: Settings, target: str, *, tell: Callable[[str], None]) -> Mapping[str, Any]:
        """Copy the store to PostgreSQL; see `Program.copy`."""
        import asyncio
        from dataclasses import asdict

        from windlass.engine.file_places import places_of_kept
        from windlass.errors import ServerGone
        from windlass.store.copying.by_url import copy, ends_of_copy

        _prepare(settings)
        database, place = ends_of_copy(settings.database_url, target)
        files = (*places_of_kept(settings, database), settings.files / "artifacts")

        def through_owner(whole: bool | None) -> None:
            client = _reach_owner(replace(settings, url=None), time.monotonic() + _WAIT)
            if client is None:
                raise ServerGone(f"The server that worked on {database} has ended: begin the copy again.")
            with client:
                body = {"to": None if whole is None else place.shown, "whole": bool(whole)}
                client.post("store", "moved", body=body)

        work = copy(database, place, files=files, version=self.version(), through_owner=through_owner, tell=tell)
        done, owner = asyncio.run(work)
        return {"from": str(database), "to": place.shown, **asdict(done), "owner": owner}


async def _restore(database: Path, settings: Settings, source: Path, version: str, tell: Callable[[str], None]) -> Any:
    import asyncio

    from windlass.engine.file_places import kept_below
    from windlass.store.backup.restore import restore_backup
    from windlass.store.owner import own

    ownership = await own(database, version=version, wait=0, alone=True)
    try:
        await ownership.steps_ended(wait=_WAIT)
        artifacts = kept_below(settings, database)
        return await asyncio.to_thread(restore_backup, source, ownership, artifacts, tell=tell)
    finally:
        ownership.release()


def _prepare(settings: Settings) -> None:
    """Refuse what this version cannot do yet, and make the home."""
    from windlass.settings import private_folder, refuse_not_in_force
    from windlass.supervisor.inside import refuse_inside_step

    refuse_inside_step(os.environ)
    refuse_not_in_force(settings)
    private_folder(settings.home)


def _reach_owner(settings: Settings, end: float, *, itself: bool = False) -> Client | None:
    """Return a client of the process that owns the store; None where nobody does, or where the owner does not listen.

    With `itself` a store in a server is not reached through a process here, which may be of another version.
    Raises Unavailable where the owner's socket takes no connection until `end` (monotonic seconds).
    """
    from windlass.store.place import node_path, store_place

    if settings.url is not None:
        from windlass.client.client import Client
        from windlass.client.unix import named_transport

        return Client(named_transport(settings.url), _trace())
    place = store_place(settings.database_url)
    path = node_path(place, settings.home)
    if path is None or (itself and place.server is not None):
        return None
    from windlass.store.lockfile import find_owner

    while True:
        owner = find_owner(path)
        if owner is None or owner.socket is None:
            return None
        from windlass.client.client import Client
        from windlass.client.unix import UnixTransport, listens
        from windlass.errors import Unavailable

        if listens(owner.socket):
            return Client(UnixTransport(owner.socket), _trace())
        if time.monotonic() > end:
            raise Unavailable(f"Process {owner.pid} owns the store at {path} and does not answer; it may be ending.")
        time.sleep(_PAUSE)


def _trace() -> Mapping[str, str]:
    """Return headers with the trace that this command is part of, as its environment tells."""
    text = os.environ.get("TRACEPARENT")
    if not text:
        return {}
    from windlass.model.trace_context import parse_traceparent

    found = parse_traceparent(text)
    return {} if found is None else {"traceparent": str(found)}


@contextmanager
def _here(settings: Settings, version: str, *, works: bool, schema: SchemaUse) -> Iterator[Client | None]:
    """Open the store on an event loop in this process; None where another process was quicker and listens."""
    from windlass.api.message import local_admin, user_name
    from windlass.api.routes.all import route_table
    from windlass.cli.inprocess import LocalTransport, LoopThread, entered
    from windlass.cli.journal import to_file
    from windlass.client.client import Client

    to_file(settings.home)
    loop = LoopThread()
    try:
        with entered(loop, _owned(settings, version, works=works, schema=schema)) as engine:
            if engine is None:
                yield None
            else:
                transport = LocalTransport(loop, route_table(), engine, local_admin(user_name()))
                yield Client(transport, _trace(), idle=engine.alone and not works)
    finally:
        loop.close()


@asynccontextmanager
async def _owned(
    settings: Settings, version: str, *, works: bool, schema: SchemaUse, alone: bool = True
) -> AsyncIterator[Engine | None]:
    """Own the store for a while; None where another process owns it and listens.

    With `works` runs are worked on: with `alone` only those of `exec`.
    """
    from windlass.engine.executing import serving, until_idle
    from windlass.engine.services.storekeeper import count
    from windlass.steps.registry import StepTypes
    from windlass.store.open import open_owned, open_shared, open_store
    from windlass.store.owner import Ownership, own_or_find
    from windlass.store.place import node_path, store_place

    place = store_place(settings.database_url)
    path = node_path(place, settings.home)
    if path is None or (place.server is not None and not works):
        opened = await open_store(settings.database_url, version=version, schema=schema)
    else:
        taken: Ownership | Owner = await own_or_find(path, version=version, wait=_WAIT)
        if not isinstance(taken, Ownership):
            yield None
            return
        opening = open_owned(taken) if place.server is None else open_shared(place.server, taken, schema=schema)
        opened = await opening
    types = StepTypes()
    async with opened:
        engine = _engine(opened, settings, types)
        if settings.disk_quota is not None and schema != "any":
            await count(engine)
        if works:
            opened.require_here()
            async with _node(serving(engine, alone=alone), opened, types, version, grace=0, watched=False):
                yield engine
                # Other commands may have given their runs to us, for we own the store.
                await until_idle(engine)
        else:
            yield engine


def _engine(opened: OpenStore, settings: Settings, types: StepTypes) -> Engine:
    from windlass.engine.compiled import JobCache
    from windlass.engine.engine import Engine
    from windlass.engine.file_places import files_of
    from windlass.engine.room import room_of
    from windlass.engine.sealing.master_keys import key_file
    from windlass.ids import Uuid7Source
    from windlass.model.manifest.canonical import to_job

    settings = replace(settings, home=files_of(settings, opened), master_key_file=key_file(settings))
    return Engine(
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


@asynccontextmanager
async def _node(
    engine: Engine, opened: OpenStore, types: StepTypes, version: str, *, grace: float, watched: bool
) -> AsyncIterator[Node]:
    """Work, and serve the store on its socket: from the end of an earlier owner's steps to the end of our own.

    What still runs at the end has `grace` seconds. `watched` says that it is a server, which is asked for metrics.
    """
    from windlass.api.routes.all import route_table
    from windlass.api.socket import SocketServer
    from windlass.clock import SystemClock
    from windlass.engine.descent import is_step
    from windlass.engine.files_folder import settle_files
    from windlass.engine.heard_clock import HeardClock
    from windlass.engine.metrics.program import program_figures
    from windlass.engine.node import prepare_folders, start_node
    from windlass.engine.pipeline import Workshop
    from windlass.engine.sealing.rotating import check_keys
    from windlass.engine.secrets.known import secrets_of
    from windlass.engine.telemetry.telemetry import start_telemetry
    from windlass.store.owner import socket_place
    from windlass.supervisor.client import Supervisor

    ownership = opened.ownership
    if watched:
        await engine.store.read(check_keys, engine)
    await settle_files(engine)
    node = ownership.database if ownership is not None and opened.shared else None
    workspaces, artifacts = prepare_folders(engine.settings.home, engine.settings.files, node)
    async with AsyncExitStack() as stack:
        lock = None if ownership is None else ownership.steps_lock
        supervisor = await stack.enter_async_context(Supervisor(instance=opened.id, lock=lock))
        stack.push_async_callback(types.close)
        engine.metrics.sources.append(program_figures(version, supervisor))
        workshop = Workshop(
            types=types,
            processes=supervisor,
            secrets=secrets_of(engine, os.environ),
            clock=SystemClock() if opened.alone else HeardClock(),
            workspaces=workspaces,
            artifacts=artifacts,
        )
        engine.parts["supervisor"] = lambda: supervisor.trouble or workshop.shortage.trouble
        if ownership is not None:
            place = socket_place(ownership.database)
            server = SocketServer(route_table(), engine, place, is_step(engine, supervisor))
            await server.start()
            stack.push_async_callback(server.stop)
            ownership.announce(place)
        telemetry = await start_telemetry(engine, os.environ, version)
        if telemetry is not None:
            stack.push_async_callback(telemetry.close)
        started = await start_node(engine, workshop, version=version, watched=watched)
        stack.push_async_callback(started.stop, grace)
        yield started


async def _serve(settings: Settings, version: str, ready: Callable[[str], None]) -> None:
    import asyncio
    import logging

    from windlass.api.accepting import tell_in_one_line
    from windlass.engine.dispatching import maintenance, maintenance_sentence
    from windlass.engine.executing import serving
    from windlass.errors import UserError
    from windlass.steps.registry import StepTypes
    from windlass.store.archive.open import require_parquet
    from windlass.store.open import open_shared, open_store
    from windlass.store.owner import own
    from windlass.store.place import node_path, store_place
    from windlass.threads import ready_threads
    from windlass.working.database import database_answers
    from windlass.working.work import listen_to_signals

    require_parquet(settings.archive_url)
    asked = asyncio.Event()
    again = asyncio.Event()
    loop = asyncio.get_running_loop()

    listen_to_signals(asked, again)
    tell_in_one_line(loop)
    loop.set_default_executor(ready_threads(_THREADS, "windlass"))
    types = StepTypes()
    place = store_place(settings.database_url)
    path = node_path(place, settings.home)
    if place.server is None or path is None:
        opening = open_store(settings.database_url, version=version, wait=_WAIT)
    else:
        ownership = await own(path, version=version, wait=_WAIT, home=True)
        if not await database_answers(place.server, settings, asked):
            ownership.release()
            return
        opening = open_shared(place.server, ownership)
    async with await opening as opened:
        if opened.ownership is None:
            raise UserError("A store in memory cannot be served; set WINDLASS_DATABASE_URL to sqlite:///FILE.")
        opened.require_here()
        engine = serving(_engine(opened, settings, types), alone=False)
        async with _node(engine, opened, types, version, grace=settings.drain_grace, watched=True) as node:
            said = await opened.store.read(maintenance)
            if said["on"]:
                logging.getLogger(__name__).warning("%s", maintenance_sentence(said))
            ready(f"unix://{opened.ownership.note.socket}")
            await asked.wait()
            if node.worker.busy:
                told = "Asked to end: tasks that run (%d) have %g s, a second signal stops them"
                logging.getLogger(__name__).info(told, node.worker.busy, settings.drain_grace)
            hurry = asyncio.create_task(_hurry(again, node))
            await node.stop(settings.drain_grace)
            hurry.cancel()


async def _hurry(again: asyncio.Event, node: Node) -> None:
    """Take the grace away from what still runs once a second signal comes."""
    await again.wait()
    await node.worker.drain(0)


def _fill_standard_streams() -> None:
    """Open /dev/null where the caller closed a standard stream: the database would be the next to get its number."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - it lasts as long as we do


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _fill_standard_streams()
    gc.set_threshold(_GARBAGE)
    from windlass.cli.main import run

    code = run(sys.argv[1:], WindlassProgram())
    gc.freeze()  # what still lives goes with the process: to search it for garbage at exit takes 20 ms
    sys.exit(code)
