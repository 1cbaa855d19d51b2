"""A running Windlass in this process: a store, the loops that keep it moving, and a worker."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from windlass.clock import micros
from windlass.engine.duty import METRICS, TRACES, Duties
from windlass.engine.engine import Engine
from windlass.engine.heard_clock import HeardClock
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.metrics.archive import archive_figures
from windlass.engine.metrics.disk import disk_figures
from windlass.engine.metrics.duties import duty_figures
from windlass.engine.pipeline import Pipeline, Workshop
from windlass.engine.queue import WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.recovery import settle_all
from windlass.engine.remote.work import RemoteWork
from windlass.engine.service import Service
from windlass.engine.services.alerter import Alerter
from windlass.engine.services.archiver import Archiver
from windlass.engine.services.builder import Builder
from windlass.engine.services.courier import Courier
from windlass.engine.services.custodian import Custodian
from windlass.engine.services.doorkeeper import Doorkeeper
from windlass.engine.services.listener import Listener
from windlass.engine.services.reconciler import Reconciler
from windlass.engine.services.remover import Remover
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.services.storekeeper import Storekeeper
from windlass.engine.services.tallier import Tallier
from windlass.engine.services.timer import Timer
from windlass.engine.sweeping import sweep_artifacts
from windlass.engine.watch import Watch
from windlass.engine.worker import Worker
from windlass.engine.workspace import clear_workspaces
from windlass.model.worker_facts import with_facts
from windlass.store.event_cursor import newest_cursor
from windlass.store.workers import give_slots, held_runs


@dataclass(slots=True)
class Node:
    """Everything of one owner that runs: made by `start_node`, ended by `stop`."""

    engine: Engine
    worker: Worker
    queue: StoreQueue
    services: list[Service]
    duties: Duties
    #: True once the worker has joined the queue, which it does with its first slot.
    works: bool = False
    _hints: list[object] = field(default_factory=list)

    async def stop(self, grace: float) -> None:
        """Stop taking work, give running attempts `grace` seconds, end them, stop the loops, give up their duties."""
        try:
            if self.works:
                await self.worker.drain(grace)
        finally:
            if self.engine.remote is not None:
                self.engine.remote.close()
            for service in self.services:
                self.engine.parts.pop(service.name, None)
                await service.stop()
            await self.duties.give_up()

    async def set_slots(self, slots: int) -> None:
        """Let the worker run so many attempts at one time; with 0 it takes no more, and what runs goes on."""
        store = self.engine.store
        if self.works:
            await store.run(give_slots, self.queue.worker_id, slots)
            self.worker.hint()
        elif slots:
            self.works = True
            self.worker.slots = slots
            await self.queue.register(slots)
            store.on_hint("ready", self.worker.hint)
            store.on_hint("stop", self.worker.hint)
            await self.worker.start()


async def start_node(
    engine: Engine,
    workshop: Workshop,
    *,
    slots: int | None = None,
    name: str | None = None,
    app: str | None = None,
    version: str = "",
    watched: bool = False,
) -> Node:
    """Settle what an earlier owner left, and begin to take work with so many slots, or with those of the settings.

    With 0 nothing is taken until there are some. `app` is the application whose code the worker has.

    The caller owns the home of the settings, or his part of it, has settled where files lie (`files_folder`), and knows
    that no step of an earlier process runs there. Where he owns the store as well (`engine.alone`), whatever is held in
    it was held by that process; else others work there, and a process that is gone is found by its lease.

    `watched` says that somebody is expected to ask this process for metrics, as one does with servers: of those that
    share a store one of these tells the figures of the store.
    """
    settings = engine.settings
    engine.metrics.begin(await engine.store.read(newest_cursor), settings)
    clear_workspaces(workshop.workspaces)
    if engine.alone:
        cut_off = await engine.store.read(held_runs)
        # Before they are settled: afterwards nobody would know any more which runs they were.
        await sweep_artifacts(engine, workshop.artifacts, cut_off)
        await engine.store.run(settle_all, engine)
    engine.remote = RemoteWork(engine, workshop.secrets, workshop.artifacts)
    face = WorkerFace(
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        host=socket.gethostname(),
        pid=os.getpid(),
        slots=0,
        pool=settings.pool,
        labels=with_facts(
            settings.labels,
            system=platform.system(),
            machine=platform.machine(),
            step_types=engine.catalog.runnable,
            app=app,
        ),
        queues=settings.queues or ("*",),
        version=version,
    )
    hear = workshop.clock.hear_now if isinstance(workshop.clock, HeardClock) else None
    queue = StoreQueue(engine, face, artifacts=workshop.artifacts, hear=hear)
    pipeline = Pipeline(engine, queue, workshop, worker=face.name)
    loop = asyncio.get_running_loop()
    heartbeat = Heartbeat(
        queue.renew,
        interval=settings.heartbeat,
        on_lost=lambda: loop.call_soon_threadsafe(worker.hint),
        lease=settings.lease,
        shared=not engine.alone,
    )
    worker = Worker(queue, pipeline, heartbeat, slots=0, held_up=lambda: workshop.shortage.lasts)
    own = lambda: (queue.worker_id,)  # noqa: E731 - a worker that joins anew has another number
    watch = Watch(micros(settings.lease))
    duties = Duties(engine, watch, version=version)
    timer = duties.service(Timer(engine))
    doorkeeper = duties.service(Doorkeeper(engine))
    listens = Listener(engine)
    listener = duties.service(listens)
    listens.wake = listener.hint
    alerter = duties.service(Alerter(engine))
    remover = duties.service(Remover(engine))
    courier = Service(Courier(engine))
    keeper = Service(duties)
    services = [
        timer,
        duties.service(Rescuer(engine, own, watch)),
        duties.service(Reconciler(engine, own, watch)),
        doorkeeper,
        listener,
        alerter,
        remover,
        duties.service(Tallier(engine)),
        duties.service(Archiver(engine)),
        *([] if engine.alone else [duties.service(Builder(engine))]),
        keeper,
        Service(Custodian(engine, own, worker.unknown)),
        *([Service(Storekeeper(engine))] if engine.room.folders else []),
        *([] if engine.home is None else [courier]),
    ]
    engine.metrics.sources += [archive_figures(engine.swept), disk_figures(engine.room), duty_figures(duties)]
    engine.leads = duties.part(METRICS) if watched else lambda: engine.alone
    if engine.tracer is not None:
        engine.sends_spans = duties.part(TRACES)
    await duties.begin()
    engine.store.keep_leases(settings.lease)
    engine.store.on_hint("duties", keeper.hint)
    engine.store.on_hint("wake", timer.hint)
    engine.store.on_hint("sla", alerter.hint)
    engine.store.on_hint("places", doorkeeper.hint)
    engine.store.on_hint("deleting", remover.hint)
    engine.store.on_hint("listen", listens.begun)
    if engine.home is not None:
        engine.store.on_hint("errands", courier.hint)
    for service in services:
        engine.parts[service.name] = _trouble_of(service)
        await service.start()
    node = Node(engine, worker, queue, services, duties)
    await node.set_slots(settings.worker_slots if slots is None else slots)
    return node


def _trouble_of(service: Service) -> Callable[[], str | None]:
    return lambda: service.trouble


def prepare_folders(home: Path, files: Path | None = None, node: Path | None = None) -> tuple[Path, Path]:
    """Make the folders of attempts, below `home`, and of artifacts, below `files` or else there too; return both.

    `node` is what a process owns in a home that others may use as well (`store.place.node_path`): it then has a folder
    for attempts of its own.
    """
    attempts = home / "attempts" if node is None else node.with_name(f"{node.name}.attempts")
    folders = attempts, (files or home) / "artifacts"
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folders
