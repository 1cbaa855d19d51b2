"""Whatever happens in whatever order, no window of a limited resource holds more starts than it may, and all start."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.world import ScriptedWorker, World
from windlass.engine.claim import Claim
from windlass.engine.rating import Known, open_gate
from windlass.engine.submission import Prepared
from windlass.model.outcome import Completed, Failed, Skipped
from windlass.store.transaction import Transaction

#: Where a flush costs nothing: this is about order, not about disks.
MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made there
#: Limit and window in seconds of each resource; two jobs do not agree about the last one.
RATES: Final = {"a": [(1, 10)], "b": [(3, 10)], "c": [(5, 7), (6, 20)]}
QUEUES: Final = ("default", "other", "*")
#: What may happen, the usual more often than the rest; each with a number that says more.
HAPPENS: Final = (
    *["take"] * 5, *["begin"] * 3, *["end"] * 3, *["pass_time"] * 4, *["submit"] * 3, "set_clock", "restart", "leave",
    "join",
)  # fmt: skip
PAUSES: Final = (0.001, 0.5, 1, 5, 6.999, 7, 10, 20)


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Return the fields of a manifest whose steps take of the resources."""
    names = draw(st.lists(st.sampled_from(sorted(RATES)), min_size=1, unique=True))
    steps: dict[str, dict[str, Any]] = {}
    for name in "xyz"[: draw(st.integers(1, 3))]:
        step: dict[str, Any] = {"dependsOn": [], "retry": {"attempts": 2, "delay": 1}, "onWorkerLost": "retry"}
        if draw(st.booleans()):
            step["when"] = "${{ 1 < 2 }}"
        takes = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        step["rateLimits"] = [{"resource": one, "units": draw(st.integers(1, RATES[one][0][0]))} for one in takes]
        steps[name] = step
    rates = []
    for name in names:
        limit, window = draw(st.sampled_from(RATES[name]))
        rates.append({"resource": name, "limit": limit, "window": window})
    return {"steps": steps, "rateLimits": rates, "queue": draw(st.sampled_from(QUEUES[:2]))}


class Play:
    """Users, workers that serve different queues, crashes, and clocks that are set."""

    def __init__(self, folder: str) -> None:
        """Open a store."""
        self.world = World(str(Path(folder) / "windlass.db"), Path(folder))
        self.jobs: list[Prepared] = []
        self.workers: list[ScriptedWorker] = []
        #: Tasks that workers hold, started or not.
        self.held: list[tuple[ScriptedWorker, Claim]] = []
        #: Seconds that have passed in truth.
        self.passed = 0.0
        #: When tasks were started in truth, and what each took.
        self.starts: list[tuple[float, dict[str, int]]] = []

    async def begin_with(self, defined: list[dict[str, Any]]) -> None:
        for number, (name, rates) in enumerate(RATES.items()):
            for limit, window in rates:
                entry = {"resource": name, "limit": limit, "window": window}
                await self.world.define(f"says-{number}-{limit}", steps={"n": {}}, rateLimits=[entry])
        for number, fields in enumerate(defined):
            self.jobs.append(await self.world.define(f"job-{number}", **fields))
            await self.submit(number)
        await self.join(2)

    async def join(self, number: int) -> None:
        queue = QUEUES[number % len(QUEUES)]
        self.workers.append(await self.world.worker(f"w{len(self.workers)}", slots=4, queues=(queue,)))

    async def submit(self, number: int) -> None:
        for priority in (5, 1, 15)[: 1 + number % 3]:
            await self.world.submit(self.jobs[number % len(self.jobs)], priority=priority)

    async def take(self, number: int) -> None:
        worker = self.workers[number % len(self.workers)]
        for claim in await worker.take(1 + number % 3):
            self.held.append((worker, claim))
            if claim.started_at is not None:
                self.starts.append((self.passed, dict(claim.takes)))

    async def begin(self, number: int) -> None:
        for worker, claim in self.held[: 1 + number]:
            if claim.started_at is None and await worker.queue.start(claim):
                self.starts.append((self.passed, dict(claim.takes)))

    async def end(self, number: int) -> None:
        ending, self.held = self.held[: 1 + number], self.held[1 + number :]
        for worker, claim in ending:
            outcome = Failed("exit", "no", 1) if number % 2 else Completed()
            await worker.exchange([worker.report(claim, Skipped("when") if claim.started_at is None else outcome)])

    async def pass_time(self, number: int) -> None:
        seconds = PAUSES[number % len(PAUSES)]
        self.passed += seconds
        await self.world.tick(seconds)
        self.renew()

    async def set_clock(self, number: int) -> None:
        self.world.clock.set_by((-1000, -5, 5, 1000)[number % 4])
        self.renew()
        await self.world.tick()

    def renew(self) -> None:
        for worker in self.workers:
            worker.queue.renew()

    async def leave(self, number: int) -> None:
        await self.workers[number % len(self.workers)].queue.leave(())

    async def restart(self, number: int) -> None:
        if number % 2:
            await self.world.engine.store.run(_look, self.world)  # after a boot only the clock can tell what passed
            self.world.clock.reboot()
        await self.world.reopen()
        await self.join(2)

    async def finish(self) -> None:
        """Let everything end: whatever waits is let in."""
        await self.world.lose(2000)
        self.passed += 2000
        worker = await self.world.worker("last", slots=100)
        for _ in range(1000):
            exchange = await worker.exchange((), 100)
            for claim in exchange.claims:
                if claim.started_at is None:
                    assert await worker.queue.start(claim)
                self.starts.append((self.passed, dict(claim.takes)))
                await worker.end(claim)
            if not await self.world.engine.store.read(_open):
                return
            pause = 1.0 if exchange.again is None else max(exchange.again, 0.000_001)
            self.passed += pause
            worker.queue.renew()
            await self.world.tick(pause)
        raise AssertionError("something waits for ever")

    def check(self) -> None:
        for name, rates in RATES.items():
            times = [(at, takes[name]) for at, takes in self.starts if name in takes]
            for limit, window in rates:
                for first, _ in times:
                    within = sum(units for at, units in times if first <= at < first + window - 1e-6)
                    assert within <= limit, f"{within} of {name} within {window} s from {first}: {times}"


def _open(tx: Transaction) -> int:
    return int(tx.cursor.execute("SELECT count(*) FROM queue").fetchone()[0])


def _look(tx: Transaction, world: World) -> None:
    open_gate(tx, world.engine, Known({}, {}))


async def play(defined: list[dict[str, Any]], moves: list[tuple[str, int]]) -> None:
    """Let all of it happen."""
    with tempfile.TemporaryDirectory(prefix="windlass-rates-", dir=MEMORY) as folder:
        found = Play(folder)
        try:
            await found.begin_with(defined)
            for what, number in moves:
                await getattr(found, what)(number)
            await found.finish()
            found.check()
        finally:
            await found.world.close()


@pytest.mark.promise("C19")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(jobs(), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(HAPPENS), st.integers(0, 9)), min_size=15, max_size=60),
)
def test_no_window_holds_more_and_nothing_waits_for_ever(
    defined: list[dict[str, Any]], moves: list[tuple[str, int]]
) -> None:
    asyncio.run(play(defined, moves))
