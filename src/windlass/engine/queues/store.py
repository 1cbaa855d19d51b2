"""The queue of a store in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Final

from windlass.engine.claim import Claim, Exchange
from windlass.engine.claiming import start, take
from windlass.engine.compiled import CompiledJob
from windlass.engine.completion import can_settle_beside_others, give_back, settle_reports
from windlass.engine.engine import Engine
from windlass.engine.progressing import note_progress
from windlass.engine.queue import LeaseLost, WorkerFace
from windlass.engine.queues.company import Company
from windlass.engine.queues.turning import is_plain, turn
from windlass.engine.recovery import settle_worker
from windlass.engine.report import Ended, KeptFile, Report
from windlass.engine.serving import Serving, what_to_serve
from windlass.engine.settling import Settling
from windlass.engine.step_cache import Missed, Wanted, cache_folder, look_up, take_result
from windlass.errors import Unavailable
from windlass.steps.kept_files import keep_files
from windlass.store import hot, workers
from windlass.store.logs import NewChunk, append_chunks
from windlass.store.transaction import Transaction, beside_others, clock_now, follows_others

#: Seconds after which a run that was begun among short ones is none of them: its row says then that it runs.
_LATE: Final = 0.05
#: Revisions whose tasks are begun as they are taken: as many as one statement names.
_MOST_PLAIN: Final = 200


class StoreQueue:
    """The queue of a store in this process."""

    def __init__(
        self,
        engine: Engine,
        face: WorkerFace,
        worker_id: int = 0,
        artifacts: Path | None = None,
        hear: Callable[[int], None] | None = None,
    ) -> None:
        """Speak for the worker that was registered under `worker_id`; 0 where it is not yet.

        `artifacts` is the folder of the files of runs, where it is not the one in the home; `hear` is told what the
        store's clock says, in microseconds, whenever it was looked at.
        """
        self._hear = hear
        self._engine = engine
        self._artifacts = artifacts or engine.settings.files / "artifacts"
        self._face = face
        self.worker_id = worker_id
        #: What it serves, with the text that is another one once something of that has changed.
        self._known: tuple[str | None, Serving] | None = None
        self._joining = asyncio.Lock()
        #: Jobs of which it took tasks lately and that `is_plain` says so of, by their revisions.
        self._plain: dict[int, CompiledJob] = {}
        self._company = Company()
        #: Runs whose rows do not say yet that they run, by claim, with when those came; the oldest first.
        self._unsaid: dict[tuple[int, int], tuple[bytes, float]] = {}

    @classmethod
    async def join(cls, engine: Engine, face: WorkerFace) -> StoreQueue:
        """Register a worker and return its queue."""
        return cls(engine, face, await engine.store.run(register, face))

    async def register(self, slots: int) -> None:
        """Register the worker, with so many slots."""
        self._face = replace(self._face, slots=slots)
        self.worker_id = await self._engine.store.run(register, self._face)

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        """Record the ends of attempts and take up to `capacity` tasks; see `Queue.exchange`."""
        worker_id = self.worker_id
        may = can_settle_beside_others(reports) and not self.takes_limited
        if not may:
            exchange = await self._engine.store.run(self.exchange_within, worker_id, reports, capacity)
        else:
            exchange = await self._in_turn(worker_id, reports, capacity)
        if exchange is None:
            with suppress(Unavailable):  # found gone again at the next exchange, it joins then
                await self._join_anew(worker_id)
            raise LeaseLost
        return exchange

    async def _in_turn(self, worker_id: int, reports: Sequence[Report], capacity: int) -> Exchange | None:
        """Do an exchange beside others; see that runs which are in no streak of short ones are said to run."""
        late = self._late(reports)
        unit = self._exchange_beside_others if reports or late else self._exchange_behind_others
        run_ids = [run_id for run_id, _ in late.values()]
        try:
            exchange, streak = await self._engine.store.run(unit, worker_id, reports, capacity, run_ids)
        except BaseException:
            self._unsaid = late | self._unsaid
            raise
        if exchange is None:
            return None
        for claim in exchange.claims:
            if len(self._plain) >= _MOST_PLAIN:
                self._plain.clear()
            if claim.job.revision_id not in self._plain and is_plain(claim.job, self._engine.settings):
                self._plain[claim.job.revision_id] = claim.job
        if streak:
            now = time.monotonic()
            self._unsaid |= {(claim.queue_id, claim.fence): (claim.run_id, now) for claim in exchange.claims}
        if self._unsaid:
            soon = 2 * _LATE if exchange.again is None else min(exchange.again, 2 * _LATE)
            return replace(exchange, again=soon)
        return exchange

    def _late(self, reports: Sequence[Report]) -> dict[tuple[int, int], tuple[bytes, float]]:
        """Take out the runs that have not ended soon after all, and of which nobody has been told that they run."""
        if not self._unsaid:
            return {}
        for report in reports:
            self._unsaid.pop((report.queue_id, report.fence), None)
        before = time.monotonic() - _LATE
        late = dict(takewhile(lambda one: one[1][1] < before, self._unsaid.items()))
        for key in late:
            del self._unsaid[key]
        return late

    @property
    def takes_limited(self) -> bool:
        """Whether tasks that it serves take of limited resources, as far as it knows: those are taken alone."""
        return self._known is not None and bool(self._known[1].known.takes)

    def may_serve(self, changes: str | None, routes: Collection[int]) -> bool:
        """Say whether it serves any of `routes`, as far as it knows; `changes` is the text that goes with them."""
        if self._known is None or self._known[0] != changes:
            return True
        return any(route.id in routes for route in self._known[1].routes)

    async def _join_anew(self, lost: int) -> None:
        """Take the place of the worker that was lost, unless that was done by another exchange."""
        async with self._joining:
            if self.worker_id == lost:
                self.worker_id = await self._engine.store.run(register, self._face, lost)

    async def start(self, claim: Claim) -> bool:
        """Start a task that was only claimed; see `Queue.start`."""
        return await self._engine.store.run(start, self._engine, claim, self._face.name)

    async def recall(self, claim: Claim, wanted: Wanted) -> Ended | Missed:
        """Return the end of a task that takes a kept result; see `Desk.recall`."""
        found = await self._engine.store.read(look_up, wanted)
        return found if isinstance(found, dict) else await take_result(self._engine, self._artifacts, claim, found)

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        """Keep output; see `Desk.append`."""
        return await self._engine.store.run(append_chunks, chunks)

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is; see `Desk.progress`."""
        await self._engine.store.run(note_progress, claim, percent, message)

    async def place(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Do nothing: what is collected here is in its place; see `Desk.place`."""

    async def keep(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Keep files for later tasks; see `Desk.keep`."""
        del claim
        found = [(self._artifacts / file.path, file.sha256) for file in files]
        await asyncio.to_thread(keep_files, found, cache_folder(self._engine))

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        """Say good-bye; see `Queue.leave`."""
        await self._engine.store.run(self._leave, unstarted)

    async def ending(self) -> None:
        """Tell that the worker was asked to end; see `Queue.ending`."""
        await self._engine.store.run(workers.note_ending, self.worker_id)

    def renew(self) -> bool:
        """Stamp the heartbeat, from a thread of its own; False where the worker was found gone meanwhile."""
        return self._engine.store.run_blocking(workers.renew, self.worker_id)

    # Beside others: it locks the runs of which one task among several ends, in the order of their ids, before anything
    # is decided about them; then their queue rows; the keys of limits that they end under, in their order, before
    # places are counted; and the rows that it takes, without waiting for any. A run of one task is locked by its queue
    # row. What comes to other runs (children, those that are set aside), to waits for events, to kept results or to
    # limited resources is done alone.
    @beside_others
    def _exchange_beside_others(
        self, tx: Transaction, worker_id: int, reports: Sequence[Report], capacity: int, late: Sequence[bytes]
    ) -> tuple[Exchange | None, bool]:
        return self._turned(tx, worker_id, reports, capacity, late)

    def _turned(
        self, tx: Transaction, worker_id: int, reports: Sequence[Report], capacity: int, late: Sequence[bytes]
    ) -> tuple[Exchange | None, bool]:
        """Return the exchange, and whether the rows of the runs that it began do not say so yet."""
        if late:
            hot.note_begun(tx, late)
        plain = dict(self._plain)
        done = turn(
            tx, self._engine, worker_id, self._face.name, self._known, plain, reports, capacity, company=self._company
        )
        if done is None:
            return self.exchange_within(tx, worker_id, reports, capacity), False
        if self._hear is not None:
            self._hear(clock_now(tx))
        slots, claims, again = done.standing.slots, done.claims, done.again
        if slots is None:
            return None, False
        if done.more and slots > 0:
            serving = self._served(tx, done.standing.changes)
            rest = capacity - len(claims)
            others, again = take(tx, self._engine, worker_id, self._face.name, serving, rest)
            claims = claims + others
        return Exchange(claims, done.standing.stops, slots, again), done.streak

    # Without ends of attempts it locks the keys of limits and the rows that it takes: what comes last in that order.
    @follows_others
    def _exchange_behind_others(
        self, tx: Transaction, worker_id: int, reports: Sequence[Report], capacity: int, late: Sequence[bytes]
    ) -> tuple[Exchange | None, bool]:
        return self._turned(tx, worker_id, reports, capacity, late)

    def exchange_within(
        self, tx: Transaction, worker_id: int, reports: Sequence[Report], capacity: int
    ) -> Exchange | None:
        """Record ends and take tasks within a unit of work; None, with the ends recorded, where it has ended."""
        if self._hear is not None:
            self._hear(clock_now(tx))
        written = settle_reports(tx, self._engine, reports) if reports else Settling()
        standing = hot.standing(tx, worker_id)
        slots = standing.slots
        if slots is None:
            tx.hints.update({"ready"} if written.queued else ())
            return None
        claims: list[Claim] = []
        again = None
        if capacity > 0 and slots > 0:
            serving = self._served(tx, standing.changes)
            claims, again = take(tx, self._engine, worker_id, self._face.name, serving, capacity, written.results)
        if not written.queued.issubset((claim.run_id, claim.task) for claim in claims):
            tx.hints.add("ready")  # what follows from these ends is taken here at once, or somebody must look for it
        return Exchange(claims, standing.stops, slots, again)

    def _served(self, tx: Transaction, changes: str | None) -> Serving:
        """Return what this worker serves; asked anew whenever something of that has changed."""
        known = self._known  # two exchanges may be under way at a time
        if known is None or changes != known[0]:
            face = self._face
            serving = what_to_serve(
                tx,
                self._engine.settings,
                pool=face.pool,
                labels=dict(face.labels),
                queues=list(face.queues),
                worker_id=self.worker_id,
            )
            known = self._known = (changes, serving)
        return known[1]

    def _leave(self, tx: Transaction, unstarted: Sequence[tuple[int, int]]) -> None:
        give_back(tx, unstarted)
        settle_worker(tx, self._engine, self.worker_id, self._face.name)


def register(tx: Transaction, face: WorkerFace, lost: int | None = None) -> int:
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
