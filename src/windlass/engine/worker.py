"""A worker: takes tasks while it has free slots, runs each through the pipeline, reports their ends in groups."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Protocol

from windlass.engine.claim import Claim, Exchange
from windlass.engine.heartbeat import Heartbeat
from windlass.engine.queue import LeaseLost, Queue
from windlass.engine.report import Report
from windlass.errors import Unavailable

_log = logging.getLogger(__name__)

#: Seconds between looks at the queue when no hint comes, and the longest wait after the store could not be reached.
POLL = 1.0
MAX_BACKOFF = 5.0
#: Exchanges under way at a time while there is more to take than free slots: while the store writes one of them, the
#: tasks that another brought are worked off.
LANES = 2
#: Seconds that a worker which leaves tries to hand in its last ends while the store is away.
PARTING = 10.0
#: Seconds that a worker has, after it was told a second time to leave, before everything is left as it is.
LAST = 20.0


class StopSignal:
    """Tells a running attempt to stop, and why."""

    __slots__ = ("_event", "_listener", "leaving", "why")

    def __init__(self) -> None:
        """Start with nobody having asked."""
        self.why: str | None = None
        #: True once the worker ends: nothing is waited for without end then.
        self.leaving = False
        self._event: asyncio.Event | None = None
        self._listener: Callable[[], object] | None = None

    @property
    def event(self) -> asyncio.Event:
        """Set once the attempt is to stop; made when it is first asked for, as most attempts never do."""
        if self._event is None:
            self._event = asyncio.Event()
            if self.why is not None:
                self._event.set()
        return self._event

    def listen(self, listener: Callable[[], object] | None) -> None:
        """Have `listener` called at the first request to stop from now on; None takes it back."""
        self._listener = listener

    def set(self, why: str) -> None:
        """Ask to stop; the first reason stays."""
        self.why = self.why or why
        self.leaving = self.leaving or why == "drain"
        if self._event is not None:
            self._event.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener()


class Runner(Protocol):
    """Runs one claimed task to its end."""

    async def run(self, claim: Claim, stop: StopSignal) -> Report | None:
        """Run the attempt of `claim`; None where it was never started and nothing is to be reported."""
        ...


class Worker:
    """Runs tasks of one queue contract with a number of slots."""

    def __init__(
        self,
        queue: Queue,
        runner: Runner,
        heartbeat: Heartbeat,
        *,
        slots: int,
        parting: float = PARTING,
        last: float = LAST,
        held_up: Callable[[], bool] = lambda: False,
        poll: Callable[[], float] = lambda: POLL,
    ) -> None:
        """Prepare a worker; `start` begins to take work. For `parting` and `last` see `drain`.

        While `held_up` says so it takes no more. `poll` says how many seconds lie between two looks at the queue where
        no hint comes.
        """
        self._queue = queue
        self._runner = runner
        self._heartbeat = heartbeat
        self.slots = slots
        self._active: dict[tuple[int, int], tuple[Claim, StopSignal, asyncio.Task[None]]] = {}
        self._reports: list[Report] = []
        self._wake = asyncio.Event()
        self._held_up = held_up
        self._poll = poll
        self._parting = parting
        self._last = last
        self._draining = False
        #: Set once it was told a second time to leave.
        self._hurried = asyncio.Event()
        #: Set where the next exchange that fails is the last one, and where it has failed.
        self._last_try = asyncio.Event()
        self._gave_up = False
        #: True from when it was found gone until all that it held by then has ended.
        self._losing = False
        #: Exchanges under way, each with how many tasks it asked for; whoever drains must know of them all.
        self._exchanges: dict[asyncio.Task[None], int] = {}
        #: True while the last exchange brought all that it asked for: then there is more.
        self._plenty = False
        #: True where something called for an exchange while none could be begun.
        self._missed = False
        self._loop_task: asyncio.Task[None] | None = None
        self._backoff = 0.0
        #: Looks at the queue when there will be more to take.
        self._again: asyncio.TimerHandle | None = None
        #: Looks at the lease.
        self._minding: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> int:
        """Number of attempts under way."""
        return len(self._active)

    def unknown(self, claims: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return those of `claims`, by queue row and fence, that this worker neither runs nor has yet to report."""
        reported = {(report.queue_id, report.fence) for report in self._reports}
        return [claim for claim in claims if claim not in self._active and claim not in reported]

    def held(self) -> list[tuple[int, int]]:
        """Return every claim, by queue row and fence, that it runs or has yet to report."""
        return [*self._active, *((report.queue_id, report.fence) for report in self._reports)]

    def hint(self) -> None:
        """Look at the queue now: something may have become ready, or is to stop."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to take work."""
        self._heartbeat.start()
        self._loop_task = asyncio.create_task(self._run_loop(), name="windlass-worker")
        self._wake.set()

    async def drain(self, grace: float) -> None:
        """Stop taking work; give what runs `grace` seconds to end, then stop it; leave.

        While the store is away the last ends are kept for `parting` seconds; what could not be handed in by then the
        next owner of the work finds lost. A second call takes the grace away, and any waiting for the store: `last`
        seconds after it everything is left as it is.
        """
        if self._draining:
            self._hurried.set()
            self._last_try.set()
            self._stop_all("drain")
            return
        self._draining = True
        self._wake.set()
        leaving = asyncio.create_task(self._leave(grace), name="windlass-leaving")
        hurried = asyncio.create_task(self._hurried.wait())
        try:
            await asyncio.wait([leaving, hurried], return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                await asyncio.wait([leaving], timeout=self._last)
        finally:
            self._heartbeat.stop()
            if self._minding is not None:
                self._minding.cancel()
            hurried.cancel()
            if not leaving.done():
                await self._abandon(leaving)
        if not leaving.cancelled():
            leaving.result()

    async def _leave(self, grace: float) -> None:
        """End what runs, hand in what came of it, say good-bye."""
        telling = asyncio.create_task(self._tell_ending()) if self._active or self._exchanges else None
        try:
            await self._end_what_runs(grace)
        finally:
            if telling is not None:
                telling.cancel()
        if self._reports:
            text = "The store stayed away: %d attempts that have ended will be found lost by who works next"
            _log.error(text, len(self._reports))
            return
        try:
            await self._queue.leave(())
        except Unavailable as error:
            _log.warning("The store could not be told that this worker leaves: %s", error)

    async def _tell_ending(self) -> None:
        """Let others see that this worker ends; where the store is away they see that it is silent."""
        with suppress(Unavailable):
            await self._queue.ending()

    async def _end_what_runs(self, grace: float) -> None:
        """Let what runs end, stop what does not, and hand in what came of it."""
        if self._exchanges:
            await asyncio.wait(self._exchanges)  # what was being taken has arrived, and no more will
        if self._active and not self._hurried.is_set():
            await asyncio.wait([task for _, _, task in self._active.values()], timeout=grace)
        self._stop_all("drain")
        while self._active:
            await asyncio.wait([task for _, _, task in self._active.values()])
        if self._loop_task is not None:
            self._wake.set()
            await asyncio.wait([self._loop_task], timeout=self._parting)
            self._last_try.set()
            self._wake.set()
            await self._loop_task

    async def _abandon(self, leaving: asyncio.Task[None]) -> None:
        """Let go of everything, whatever it waits for."""
        _log.error("Not all of the work could be ended in time; what is left will be found lost by who works next")
        left = [leaving, *self._exchanges, *(task for _, _, task in self._active.values())]
        if self._loop_task is not None:
            left.append(self._loop_task)
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=self._last)

    def _stop_all(self, why: str) -> None:
        for _, stop, _ in self._active.values():
            stop.set(why)

    async def _run_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._mind_again()
        while not self._done or self._exchanges:
            timer = loop.call_later(self._poll(), self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            self._mind_the_lease()
            if len(self._exchanges) >= (LANES if self._plenty and self._reports else 1):
                self._missed = True
            elif not self._done:
                self._begin_exchange()

    def _mind_again(self) -> None:
        """Look at the lease now and every second, however seldom the queue is looked at."""
        self._minding = asyncio.get_running_loop().call_later(POLL, self._mind_again)
        self._mind_the_lease()

    def _mind_the_lease(self) -> None:
        """Stop what may start elsewhere while the lease cannot be renewed: it must have ended before others take it.

        What may not start anywhere else goes on, and its end is reported if it still counts then.
        """
        if not self._heartbeat.expiring:
            return
        for claim, stop, _ in self._active.values():
            if claim.started_at is not None and claim.step.on_worker_lost == "retry" and stop.why is None:
                _log.error(
                    "The store cannot be reached and the lease ends: %s is stopped, for it may start elsewhere",
                    claim.step.name,
                )
                stop.set("lease")

    @property
    def _done(self) -> bool:
        """True where no more work is taken and none is left to be handed in."""
        return self._draining and not self._active and (self._gave_up or not self._reports)

    def _capacity(self) -> int:
        """Return how many tasks to ask for: all free slots, half of the slots where two exchanges take turns."""
        if self._losing and not self._active and not self._exchanges:
            self._losing = False
        if self._draining or self._losing or self._held_up():
            return 0
        free = self.slots - len(self._active) - sum(self._exchanges.values())
        return max(0, min(free, (self.slots + 1) // 2) if self._plenty else free)

    def _begin_exchange(self) -> None:
        capacity = self._capacity()
        reports, self._reports = self._reports, []
        task = asyncio.create_task(self._exchange(reports, capacity))
        self._exchanges[task] = capacity
        task.add_done_callback(self._exchanged)

    def _exchanged(self, task: asyncio.Task[None]) -> None:
        del self._exchanges[task]
        if self._plenty and self._capacity():
            self._begin_exchange()  # at once: the store writes it while the tasks that just came run
        elif self._missed or self._done:
            self._missed = False
            self._wake.set()

    async def _exchange(self, reports: list[Report], capacity: int) -> None:
        """Hand in ends of attempts and take what there is, at most `capacity`."""
        if self._losing or self._draining:  # since this was called for
            capacity = 0
        try:
            exchange = await self._queue.exchange(reports, capacity)
        except LeaseLost:
            _log.error("This worker was found gone: what it runs is lost, and is stopped before it takes work again")
            self._losing = self._missed = True
            self._plenty = False
            self._stop_all("lost")
        except Exception as error:  # noqa: BLE001 - a worker that ends here would leave its tasks running for ever
            self._reports = reports + self._reports
            self._plenty = False
            self._missed = True
            first = self._backoff == 0.0
            # No two workers come back at the same moment to a store that was away.
            self._backoff = min(max(self._backoff * 2, 0.1), MAX_BACKOFF) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads, keeps no secret
            known = isinstance(error, Unavailable)
            text = "The store cannot be reached, tried again until it can be: %s"
            level = logging.WARNING if first or not known else logging.DEBUG
            _log.log(level, text, error, exc_info=None if known else error)
            await self._pause()
        else:
            if self._backoff:
                _log.info("The store can be reached again")
            self._backoff = 0.0
            if capacity:
                self._plenty = len(exchange.claims) == capacity
            if self._plenty and len(self._exchanges) <= LANES and self._capacity():
                self._begin_exchange()  # before the tasks that came: the store is to work while they run
            self._apply(exchange)

    async def _pause(self) -> None:
        """Wait until the next try after one that failed; see that a last one is the last."""
        if self._last_try.is_set():
            self._gave_up = self._draining and not self._active
            await asyncio.sleep(0 if self._gave_up else 0.1)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._backoff):
                await self._last_try.wait()

    def _apply(self, exchange: Exchange) -> None:
        if exchange.slots is not None:
            self.slots = exchange.slots
        if exchange.again is not None:
            if self._again is not None:
                self._again.cancel()
            self._again = asyncio.get_running_loop().call_later(exchange.again, self._wake.set)
        for claim in exchange.claims:
            self._begin(claim)
        for queue_id, fence, why in exchange.stops:
            active = self._active.get((queue_id, fence))
            if active is not None:
                active[1].set(why)

    def _begin(self, claim: Claim) -> None:
        stop = StopSignal()
        key = (claim.queue_id, claim.fence)
        # The loop itself, given a name, writes none for each: a percent of what a short task costs.
        task = asyncio.get_running_loop().create_task(self._attempt(key, claim, stop), name="windlass-attempt")
        self._active[key] = (claim, stop, task)

    async def _attempt(self, key: tuple[int, int], claim: Claim, stop: StopSignal) -> None:
        try:
            report = await self._runner.run(claim, stop)
            if report is not None:
                self._reports.append(report)
        finally:
            self._active.pop(key, None)
            self._wake.set()
