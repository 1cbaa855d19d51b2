"""What workers in other processes speak to: each has a station here, which is a queue of the store with its name on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from windlass.engine.claim import Claim
from windlass.engine.claiming import claims_held, start
from windlass.engine.engine import Engine
from windlass.engine.progressing import note_progress
from windlass.engine.queue import Secretary, WorkerFace
from windlass.engine.queues.store import StoreQueue, register
from windlass.engine.remote.bell import Awaited, Bell
from windlass.engine.remote.exchanging import (
    Asked,
    exchange_beside_others,
    exchange_once,
    may_exchange_beside_others,
)
from windlass.engine.remote.files import missing_files
from windlass.engine.report import KeptFile, ends_run
from windlass.engine.secret import SCHEME
from windlass.engine.shapes import secret_names
from windlass.engine.wire.claims import claim_json
from windlass.engine.wire.reports import read_chunk, read_wanted
from windlass.engine.worker import POLL
from windlass.errors import NotFound, Refused
from windlass.ids import id_text
from windlass.store import dispatch, hot, workers
from windlass.store import remote_workers as remote
from windlass.store.logs import append_chunks
from windlass.store.transaction import Transaction, beside_others
from windlass.supervisor.procfs import process

_log = logging.getLogger(__name__)

#: Steps of the revisions that a worker is told before it forgets them all and is told anew.
_TOLD: Final = 20_000
#: Seconds between two looks at the queue where the store hears of all that happens: what a hint costs that was lost.
SELDOM: Final = 10.0


@dataclass(slots=True)
class Station:
    """One worker in another process."""

    instance: str
    face: WorkerFace
    queue: StoreQueue
    #: Process at the other end, where that is on this machine.
    process: tuple[int, int] | None = None
    #: Revisions that it was told, and how many steps these have.
    told: set[int] = field(default_factory=set)
    steps: int = 0
    #: Claims of which a completion is one of their run.
    singles: set[tuple[int, int]] = field(default_factory=set)


class RemoteWork:
    """The side of the queue that workers in other processes speak to."""

    def __init__(self, engine: Engine, secret_values: Secretary, artifacts: Path) -> None:
        """Serve `engine`; secrets are told to who holds a task that names them, files are put into `artifacts`."""
        self._engine = engine
        self._secrets = secret_values
        self.artifacts = artifacts
        self._stations: dict[str, Station] = {}
        self._bell = Bell(self._awaited)
        self._forget = [
            engine.store.on_hint("ready", self._bell.ring),
            engine.store.on_hint("stop", self._bell.ring_all),
        ]

    def close(self) -> None:
        """Hear of nothing more, and let those go who wait for news."""
        for forget in self._forget:
            forget()
        self._bell.close()

    @property
    def poll(self) -> float:
        """Seconds between two looks at the queue of a worker that hears of news from here."""
        return SELDOM if self._engine.store.hears else POLL

    def processes(self) -> set[tuple[int, int]]:
        """Return the processes of workers on this machine that have spoken to this server: pid and when it began."""
        return {station.process for station in self._stations.values() if station.process is not None}

    def number(self, instance: str) -> int | None:
        """Return the number of a worker that has spoken to this server; None for others."""
        station = self._stations.get(instance)
        return None if station is None else station.queue.worker_id

    async def join(self, face: WorkerFace, instance: str, pid: int | None) -> str:
        """Take a worker in, and return the id of the store; one that is known by what it calls itself stays."""
        worker_id, store = await self._engine.store.run(_join, face, instance)
        self._seat(instance, face, worker_id, pid)
        return store

    async def exchange(self, instance: str, asked: Asked, pid: int | None) -> dict[str, Any]:
        """Do an exchange once; see `exchange_once`. Return what the worker is told."""
        station = await self._station(instance, pid)
        if any(report.get("artifacts") for report in asked.reports):
            await asyncio.to_thread(missing_files, self.artifacts, asked.reports)
        engine = self._engine
        may = may_exchange_beside_others(asked) and not station.queue.takes_limited
        unit = exchange_beside_others if may else exchange_once
        told, singles = frozenset(station.told), frozenset(station.singles)
        done = await engine.store.run(
            unit, engine, station.queue, station.face, instance, asked, singles=singles, told=told
        )
        station.queue.worker_id = done.worker_id
        station.singles.difference_update((one["queueId"], one["fence"]) for one in asked.reports)
        if done.exchange is None:
            station.singles.clear()
            return {"lost": True, "now": done.now}
        claims = done.exchange.claims
        station.singles.update((claim.queue_id, claim.fence) for claim in claims if ends_run(claim))
        anew = self._note_told(station, claims, anew=done.again)
        return {
            "lost": False,
            "claims": [claim_json(claim) for claim in claims],
            "stops": [{"queueId": row, "fence": fence, "why": why} for row, fence, why in done.exchange.stops],
            "slots": done.exchange.slots,
            "again": done.exchange.again,
            "forget": anew,
            "revisions": list(done.revisions.values()),
            "now": done.now,
        }

    async def renew(self, instance: str, pid: int | None) -> bool:
        """Renew the lease of a worker; False where it was found gone."""
        station = await self._station(instance, pid)
        return await self._engine.store.run(workers.renew, station.queue.worker_id)

    async def news(self, instance: str, seen: str, patience: float) -> str:
        """Return once something may have become ready or is to stop since `seen`, or after `patience` seconds."""
        station = await self._station(instance, None)
        return await self._bell.wait(seen, patience, station.queue.may_serve)

    async def start(self, instance: str, key: tuple[int, int], cache: dict[str, Any] | None) -> dict[str, Any] | None:
        """Start a claimed task; None where the claim no longer stands. Asked again it says the same."""
        station = await self._station(instance, None)
        return await self._engine.store.run(_start, self._engine, station.queue.worker_id, station.face, key, cache)

    async def recall(self, instance: str, key: tuple[int, int], wanted: Mapping[str, Any]) -> Any:
        """Return the end of a task that takes a kept result, or why there is none; see `Desk.recall`."""
        station = await self._station(instance, None)
        claim = await self.claim(station, key)
        found = read_wanted({**wanted, "project": claim.job.project, "job": claim.job.alias})
        return await station.queue.recall(claim, found)

    async def append(self, instance: str, chunks: Sequence[Mapping[str, Any]]) -> int:
        """Keep output; return how many chunks were refused because the worker does not hold their claim."""
        station = await self._station(instance, None)
        return await self._engine.store.run(_append, station.queue.worker_id, chunks)

    async def progress(self, instance: str, key: tuple[int, int], percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is; nothing where the claim no longer stands."""
        station = await self._station(instance, None)
        await self._engine.store.run(_progress, self._engine, station.queue.worker_id, key, percent, message)

    async def secrets(self, instance: str, key: tuple[int, int], references: Sequence[str]) -> Mapping[str, str]:
        """Return secrets of a task that the worker holds. Raises Refused for one that the task does not name."""
        station = await self._station(instance, None)
        claim = await self.claim(station, key)
        foreign = set(references) - _references(self._engine, claim)
        if foreign:
            raise Refused(f'Step "{claim.step.name}" names no secret {min(foreign)[:200]!r}.')
        return await self._secrets.secrets(claim, references)

    async def keep(self, instance: str, key: tuple[int, int], files: Sequence[Mapping[str, Any]]) -> None:
        """Keep files that were brought for later tasks too. Raises OSError where one cannot be kept."""
        station = await self._station(instance, None)
        claim = await self.claim(station, key)
        run = id_text(claim.run_id)
        kept = [KeptFile(one["name"], one["size"], one["sha256"], f"{run}/{one['sha256']}") for one in files]
        await station.queue.keep(claim, kept)

    async def leave(self, instance: str, unstarted: Sequence[tuple[int, int]]) -> None:
        """Say good-bye for a worker; a second time nothing happens."""
        station = await self._station(instance, None)
        await station.queue.leave(unstarted)
        self._stations.pop(instance, None)

    async def ending(self, instance: str) -> None:
        """Note that a worker was asked to end."""
        await (await self._station(instance, None)).queue.ending()

    async def held(self, instance: str, key: tuple[int, int]) -> Claim:
        """Return a claim that a worker holds. Raises Refused where it does not, NotFound for an unknown worker."""
        return await self.claim(await self._station(instance, None), key)

    async def claim(self, station: Station, key: tuple[int, int]) -> Claim:
        """Return a claim that a worker holds. Raises Refused where it does not."""
        found = await self._engine.store.run(_claim, self._engine, station.queue.worker_id, key)
        if found is None:
            raise Refused("This worker does not hold that task, or no longer.")
        return found

    async def _station(self, instance: str, pid: int | None) -> Station:
        """Return the station of a worker, as it was under an earlier server too. Raises NotFound for an unknown one."""
        station = self._stations.get(instance)
        if station is None:
            found = await self._engine.store.read(_known, instance)
            if found is None:
                raise NotFound("Nobody knows this worker: it has to join.")
            station = self._seat(instance, found[1], found[0], pid)
        _note_process(station, pid)
        return station

    def _seat(self, instance: str, face: WorkerFace, worker_id: int, pid: int | None) -> Station:
        queue = StoreQueue(self._engine, face, worker_id, self.artifacts)
        station = self._stations[instance] = Station(instance, face, queue)
        _note_process(station, pid)
        return station

    def _note_told(self, station: Station, claims: Sequence[Claim], *, anew: bool) -> bool:
        """Note which revisions a worker knows now; True where it is to forget all others."""
        if station.steps > _TOLD:
            anew = True
        if anew:
            station.told.clear()
            station.steps = 0
            return True
        for claim in claims:
            if claim.job.revision_id not in station.told:
                station.told.add(claim.job.revision_id)
                station.steps += len(claim.job.job.steps)
        return False

    async def _awaited(self) -> Awaited:
        return await self._engine.store.read(_ready)


def _note_process(station: Station, pid: int | None) -> None:
    """Note who is at the other end, where that is on this machine."""
    if pid is None or (station.process is not None and station.process[0] == pid):
        return
    found = process(pid)
    station.process = None if found is None else (pid, found.start)


def _join(tx: Transaction, face: WorkerFace, instance: str) -> tuple[int, str]:
    known = remote.find(tx, instance)
    if known is not None:
        return known.worker_id, remote.store_id(tx)
    worker_id = register(tx, face)
    remote.add(tx, instance, worker_id)
    return worker_id, remote.store_id(tx)


def _ready(tx: Transaction) -> Awaited:
    return Awaited(dispatch.changes(tx), frozenset(dispatch.ready_routes(tx)))


def _known(tx: Transaction, instance: str) -> tuple[int, WorkerFace] | None:
    known = remote.find(tx, instance)
    said = None if known is None else remote.face_of(tx, known.worker_id)
    return None if known is None or said is None else (known.worker_id, WorkerFace(**said))


# Beside others: it reads what its worker holds; a run that cannot be read is set aside alone.
@beside_others
def _claim(tx: Transaction, engine: Engine, worker_id: int, key: tuple[int, int]) -> Claim | None:
    return next((one for one in claims_held(tx, engine, worker_id, only=key[0]) if one.fence == key[1]), None)


# Beside others: as the start of a claim that it is.
@beside_others
def _start(
    tx: Transaction,
    engine: Engine,
    worker_id: int,
    face: WorkerFace,
    key: tuple[int, int],
    cache: dict[str, Any] | None,
) -> dict[str, Any] | None:
    claim = _claim(tx, engine, worker_id, key)
    if claim is None:
        return None
    claim.cache = cache
    if not start(tx, engine, claim, face.name):
        return None
    return {"startedAt": claim.started_at, "firstStartedAt": claim.first_started_at}


# Beside others: as the output of claims that it is; what a worker does not hold any more is refused.
@beside_others
def _append(tx: Transaction, worker_id: int, chunks: Sequence[Mapping[str, Any]]) -> int:
    rows = {(row.id, row.fence): row for row in hot.held_by(tx, worker_id)}
    held = [(chunk, rows.get((chunk["queueId"], chunk["fence"]))) for chunk in chunks]
    found = [read_chunk(chunk, row) for chunk, row in held if row is not None]
    return len(chunks) - len(found) + append_chunks(tx, found)


# Beside others: as the progress of a claim that it is.
@beside_others
def _progress(
    tx: Transaction,
    engine: Engine,
    worker_id: int,
    key: tuple[int, int],
    percent: float | None,
    message: str | None,
) -> None:
    claim = _claim(tx, engine, worker_id, key)
    if claim is not None:
        note_progress(tx, claim, percent, message)


def _references(engine: Engine, claim: Claim) -> set[str]:
    """Return the secrets that the step of a claim names, by itself or in secret parameters of its run."""
    named = set(claim.job.references(claim.step_number, engine.catalog).secrets)
    given = orjson.loads(claim.parameters)
    for name in secret_names(claim.job):
        value = given.get(name)
        if isinstance(value, str) and value.startswith(SCHEME):
            named.add(value)
    return named
