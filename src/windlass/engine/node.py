"""A running Windlass in this process: a store, the loops that keep it moving, and a worker."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from windlass.clock import Clock, SystemClock
from windlass.engine.engine import Engine
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.metrics.archive import archive_figures
from windlass.engine.metrics.disk import disk_figures
from windlass.engine.pipeline import Pipeline, Workshop
from windlass.engine.queue import StoreQueue, WorkerFace
from windlass.engine.recovery import settle_all
from windlass.engine.service import Service
from windlass.engine.services.alerter import Alerter
from windlass.engine.services.archiver import Archiver
from windlass.engine.services.doorkeeper import Doorkeeper
from windlass.engine.services.listener import Listener
from windlass.engine.services.reconciler import Reconciler
from windlass.engine.services.remover import Remover
from windlass.engine.services.rescuer import Rescuer
from windlass.engine.services.storekeeper import Storekeeper
from windlass.engine.services.tallier import Tallier
from windlass.engine.services.timer import Timer
from windlass.engine.sweeping import sweep_artifacts
from windlass.engine.worker import Worker
from windlass.engine.workspace import clear_workspaces
from windlass.store.ends import newest_fact
from windlass.store.workers import give_slots, held_runs


@dataclass(slots=True)
class Node:
    """Everything of one owner that runs: made by `start_node`, ended by `stop`."""

    engine: Engine
    worker: Worker
    queue: StoreQueue
    services: list[Service]
    #: True once the worker has joined the queue, which it does with its first slot.
    works: bool = False
    _hints: list[object] = field(default_factory=list)

    async def stop(self, grace: float) -> None:
        """Stop taking work, give running attempts `grace` seconds, end them, and stop the loops."""
        try:
            if self.works:
                await self.worker.drain(grace)
        finally:
            for service in self.services:
                self.engine.parts.pop(service.name, None)
                await service.stop()

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
    version: str = "",
    clock: Clock | None = None,
) -> Node:
    """Settle what an earlier owner left, and begin to take work with so many slots, or with those of the settings.

    With 0 nothing is taken until there are some.

    The caller owns the store, and knows that all steps of the owner before are dead.
    """
    settings = engine.settings
    engine.metrics.begin(await engine.store.read(newest_fact), settings)
    clear_workspaces(workshop.workspaces)
    cut_off = await engine.store.read(held_runs)
    # Before they are settled: afterwards nobody would know any more which runs they were.
    await sweep_artifacts(engine, workshop.artifacts, cut_off)
    await engine.store.run(settle_all, engine)
    face = WorkerFace(
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        host=socket.gethostname(),
        pid=os.getpid(),
        slots=0,
        pool=settings.pool,
        labels=tuple(settings.labels.items()),
        queues=settings.queues or ("*",),
        version=version,
    )
    queue = StoreQueue(engine, face)
    pipeline = Pipeline(engine, queue, workshop, worker=face.name)
    loop = asyncio.get_running_loop()
    heartbeat = Heartbeat(
        queue.renew,
        interval=settings.heartbeat,
        on_lost=lambda: loop.call_soon_threadsafe(worker.hint),
        lease=settings.lease,
    )
    worker = Worker(queue, pipeline, heartbeat, slots=0, held_up=lambda: workshop.shortage.lasts)
    timer = Service(Timer(engine, clock or SystemClock()))
    reconciler = Service(Reconciler(engine, lambda: (queue.worker_id,), worker.unknown))
    rescuer = Service(Rescuer(engine, lambda: (queue.worker_id,)))
    doorkeeper = Service(Doorkeeper(engine))
    listens = Listener(engine)
    listener = Service(listens)
    listens.wake = listener.hint
    engine.metrics.sources += [archive_figures(engine.swept), disk_figures(engine.room)]
    alerter = Service(Alerter(engine, clock or SystemClock()))
    remover = Service(Remover(engine))
    storekeepers = [Service(Storekeeper(engine))] if engine.room.folders else []
    services = [
        timer,
        rescuer,
        reconciler,
        doorkeeper,
        listener,
        alerter,
        remover,
        Service(Tallier(engine)),
        Service(Archiver(engine)),
        *storekeepers,
    ]
    engine.store.on_hint("wake", timer.hint)
    engine.store.on_hint("sla", alerter.hint)
    engine.store.on_hint("places", doorkeeper.hint)
    engine.store.on_hint("deleting", remover.hint)
    engine.store.on_hint("listen", listens.begun)
    for service in services:
        engine.parts[service.name] = _trouble_of(service)
        await service.start()
    node = Node(engine, worker, queue, services)
    await node.set_slots(settings.worker_slots if slots is None else slots)
    return node


def _trouble_of(service: Service) -> Callable[[], str | None]:
    return lambda: service.trouble


def prepare_folders(home: Path) -> tuple[Path, Path]:
    """Make the folders of attempts and artifacts below `home` and return both."""
    folders = home / "attempts", home / "artifacts"
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folders
