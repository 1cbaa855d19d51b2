"""The contract between a worker and the queue, and the queue that is the store itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from windlass.engine.claim import Claim, Exchange
from windlass.engine.claiming import start, take
from windlass.engine.completion import give_back, settle_reports
from windlass.engine.engine import Engine
from windlass.engine.progressing import note_progress
from windlass.engine.recovery import settle_worker
from windlass.engine.report import Report
from windlass.engine.serving import Serving, what_to_serve
from windlass.engine.step_cache import Missed, Wanted, look_up
from windlass.errors import Unavailable
from windlass.store import dispatch, workers
from windlass.store import hot_sqlite as hot
from windlass.store.logs import NewChunk, append_chunks
from windlass.store.step_cache import CacheEntry
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFace:
    """Who a worker is and what it serves."""

    name: str
    host: str
    pid: int
    slots: int
    pool: str = "default"
    labels: tuple[tuple[str, str], ...] = ()
    #: Names of queues; `*` is all of them.
    queues: tuple[str, ...] = ("*",)
    version: str = ""


class LeaseLost(Exception):
    """The worker was found gone: what it held until now is lost, and others decide about it."""


class Queue(Protocol):
    """How a worker takes work and gives it back."""

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        """Record the ends of attempts and take up to `capacity` tasks, in one transaction.

        Raises LeaseLost, with the ends recorded and nothing taken, where the worker was found gone; it has joined anew
        then. The caller stops everything that it took before, before it takes more.
        """
        ...

    async def start(self, claim: Claim) -> bool:
        """Start a task that was only claimed; False where the claim no longer stands."""
        ...

    async def recall(self, wanted: Wanted) -> CacheEntry | Missed:
        """Return the kept result of a task by its content, or why there is none that may be taken."""
        ...

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        """Keep output; return how many chunks were refused because their claim no longer stands."""
        ...

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is."""
        ...

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        """Give back claims that were never started, and say good-bye: what is still held is lost."""
        ...


class StoreQueue:
    """The queue of a store in this process."""

    def __init__(self, engine: Engine, face: WorkerFace, worker_id: int = 0) -> None:
        """Speak for the worker that was registered under `worker_id`; 0 where it is not yet."""
        self._engine = engine
        self._face = face
        self.worker_id = worker_id
        self._serving: Serving | None = None
        self._known_changes: str | None = None
        self._joining = asyncio.Lock()

    @classmethod
    async def join(cls, engine: Engine, face: WorkerFace) -> StoreQueue:
        """Register a worker and return its queue."""
        return cls(engine, face, await engine.store.run(_register, face))

    async def register(self, slots: int) -> None:
        """Register the worker, with so many slots."""
        self._face = replace(self._face, slots=slots)
        self.worker_id = await self._engine.store.run(_register, self._face)

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        """Record the ends of attempts and take up to `capacity` tasks; see `Queue.exchange`."""
        worker_id = self.worker_id
        exchange = await self._engine.store.run(self._exchange, worker_id, reports, capacity)
        if exchange is None:
            with suppress(Unavailable):  # found gone again at the next exchange, it joins then
                await self._join_anew(worker_id)
            raise LeaseLost
        return exchange

    async def _join_anew(self, lost: int) -> None:
        """Take the place of the worker that was lost, unless that was done by another exchange."""
        async with self._joining:
            if self.worker_id == lost:
                self.worker_id = await self._engine.store.run(_register, self._face, lost)

    async def start(self, claim: Claim) -> bool:
        """Start a task that was only claimed; see `Queue.start`."""
        return await self._engine.store.run(start, self._engine, claim, self._face.name)

    async def recall(self, wanted: Wanted) -> CacheEntry | Missed:
        """Return the kept result of a task; see `Queue.recall`."""
        return await self._engine.store.read(look_up, wanted)

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        """Keep output; see `Queue.append`."""
        return await self._engine.store.run(append_chunks, chunks)

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is; see `Queue.progress`."""
        await self._engine.store.run(note_progress, claim, percent, message)

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        """Say good-bye; see `Queue.leave`."""
        await self._engine.store.run(self._leave, unstarted)

    def renew(self) -> bool:
        """Stamp the heartbeat, from a thread of its own; False where the worker was found gone meanwhile."""
        return self._engine.store.run_blocking(workers.renew, self.worker_id)

    def _exchange(self, tx: Transaction, worker_id: int, reports: Sequence[Report], capacity: int) -> Exchange | None:
        if reports:
            settle_reports(tx, self._engine, reports)
        slots = workers.slots_of(tx, worker_id)
        if slots is None:
            return None
        claims: list[Claim] = []
        again = None
        if capacity > 0 and slots > 0:
            claims, again = take(tx, self._engine, worker_id, self._face.name, self._served(tx), capacity)
        return Exchange(claims, hot.asked_to_stop(tx, worker_id), slots, again)

    def _served(self, tx: Transaction) -> Serving:
        """Return what this worker serves; asked anew whenever something of that has changed."""
        changes = dispatch.changes(tx)
        if self._serving is None or changes != self._known_changes:
            face = self._face
            self._serving = what_to_serve(
                tx,
                self._engine.settings,
                pool=face.pool,
                labels=dict(face.labels),
                queues=list(face.queues),
                worker_id=self.worker_id,
            )
            self._known_changes = changes
        return self._serving

    def _leave(self, tx: Transaction, unstarted: Sequence[tuple[int, int]]) -> None:
        give_back(tx, unstarted)
        settle_worker(tx, self._engine, self.worker_id, self._face.name)


def _register(tx: Transaction, face: WorkerFace, lost: int | None = None) -> int:
    """Note a worker; one that was lost under another number keeps what was said of it meanwhile."""
    slots, draining = (None if lost is None else workers.said_of(tx, lost)) or (face.slots, 0)
    return workers.register(
        tx,
        draining=draining,
        name=face.name,
        host=face.host,
        pid=face.pid,
        pool=face.pool,
        labels=dict(face.labels),
        queues=list(face.queues),
        slots=slots,
        version=face.version,
    )
