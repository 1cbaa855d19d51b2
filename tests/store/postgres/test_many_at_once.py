"""Several servers, workers and submitters on one PostgreSQL, disturbed: nothing is lost, double or miscounted."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from tests.fixtures.postgres import PostgresServer
from tests.oracle.history import check_history
from tests.oracle.wire import wired_queue
from tests.oracle.world import CATALOG, manifest
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.compiled import JobCache
from windlass.engine.engine import Engine
from windlass.engine.manifests import ManifestText
from windlass.engine.queue import LeaseLost, Queue, WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.starting import prepare
from windlass.engine.submission import Prepared, Submission, submit
from windlass.engine.timing import wake_due
from windlass.ids import Uuid7Source
from windlass.model.manifest.canonical import to_job
from windlass.model.outcome import Completed, Failed, Outcome, Skipped
from windlass.settings import Settings
from windlass.store.open import open_store

#: Servers, and of each the workers and submitters; how often each of those submits.
_SERVERS: Final = 3
_WORKERS: Final = 2
_SUBMITTERS: Final = 2
_TIMES: Final = 12
#: Seconds for all of it.
_PATIENCE: Final = 240

_TOP: Final[dict[str, Any]] = {"dependsOn": []}
_JOBS: Final = (
    manifest("single", steps={"a": {}}),
    manifest("flow", steps={"a": {}, "b": {}, "c": {"dependsOn": ["a"]}, "d": {"dependsOn": ["b", "c"]}}),
    manifest("wide", steps={"a": {"matrix": {"n": [1, 2, 3, 4, 5, 6]}}, "b": {}}),
    manifest("fast", failFast=True, steps={"a": {}, "b": _TOP, "c": _TOP, "d": {"dependsOn": ["a", "b"]}}),
    manifest("few", maxParallelTasks=2, steps={"a": {}, "b": _TOP, "c": _TOP, "d": {"dependsOn": ["c"]}}),
    manifest("again", steps={"a": {"retry": {"attempts": 3, "delay": 0.01, "jitter": False}}}),
    manifest("limited", concurrency={"limit": 2}, steps={"a": {}, "b": {}}),
    manifest(
        "keyed",
        concurrency={"limit": 1, "key": "${{ parameters.k }}"},
        parameters={"k": {"type": "string", "default": "x"}},
        steps={"a": {}},
    ),
)


@dataclass
class Fleet:
    """Everybody who works on one database."""

    seed: int
    engines: list[Engine]
    accepted: set[bytes] = field(default_factory=set)
    #: The runs that were answered for each idempotency key.
    answers: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    wrong: list[str] = field(default_factory=list)
    submitted: bool = False
    over: bool = False
    #: Set, and made anew, whenever somebody has changed anything that others may wait for.
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, engine: Engine) -> None:
        """Hear of what is done through an engine's store, and of what is done elsewhere."""
        for name in ("ready", "wake", "events"):
            engine.store.on_hint(name, self._move)

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def move(self, patience: float = 0.5) -> None:
        """Wait for something to be changed; hints may be lost, so not for longer than `patience` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), patience)

    async def submitter(self, engine: Engine, jobs: dict[str, Prepared], number: int) -> None:
        """Submit runs one by one, many at a time, and under keys that others use as well."""
        dice = random.Random(f"{self.seed} submitter {number}")  # noqa: S311 - a story that can be told again
        for time in range(_TIMES):
            alias = dice.choice(sorted(jobs))
            parameters = {"k": dice.choice("xyz")} if alias == "keyed" else {}
            how = dice.choice(("one", "many", "key"))
            key = f"{alias} {time}" if how == "key" else None
            one = Submission(parameters={} if key and not parameters else parameters, idempotency_key=key)
            if key and parameters:
                one = Submission(parameters={"k": "x"}, idempotency_key=key)
            found = await submit(engine, jobs[alias], [one] * (5 if how == "many" else 1))
            self.accepted.update(each.run_id for each in found)
            if key is not None:
                self.answers[key].update(each.run_id for each in found)

    async def worker(self, engine: Engine, number: int, threads: ThreadPoolExecutor) -> None:
        """Take, start and end tasks in all ways until everything has ended; every second one does so over HTTP."""
        dice = random.Random(f"{self.seed} worker {number}")  # noqa: S311 - as above
        name = f"w{number}"
        face = WorkerFace(name=name, host="host", pid=number, slots=20)
        queue: Queue
        if number % 2:
            queue = await wired_queue(engine, face, engine.settings.home, threads, instance=f"{number:032x}")
        else:
            queue = await StoreQueue.join(engine, face)
        reports: list[Report] = []
        while not self.over:
            try:
                exchange = await queue.exchange(reports, 20)
            except LeaseLost:
                self.wrong.append(f"{name} was found gone")
                return
            reports = []
            for claim in exchange.claims:
                outcome: Outcome = _outcome(dice, claim.step.name)
                if claim.started_at is None and not await queue.start(claim):
                    continue
                if dice.random() < 0.1:
                    await queue.progress(claim, 50.0, "half")
                finished_at = (claim.started_at or 0) + 1
                reports.append(report_on(claim, Ended(outcome), worker=name, finished_at=finished_at))
            if not exchange.claims:
                await self.move()

    async def timer(self, engine: Engine) -> None:
        """Do what is due."""
        while not self.over:
            await engine.store.run(wake_due, engine)
            await self.move(0.1)

    async def disturber(self, connect: Callable[[], Awaitable[Any]], number: int) -> None:
        """Lock rows in an order that nobody else does, and end connections of others, in whatever they are."""
        dice = random.Random(f"{self.seed} disturber {number}")  # noqa: S311 - as above
        connection = await connect()
        while not self.over:
            with suppress(asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = '200ms'")
                    await connection.execute("SELECT 1 FROM runs WHERE finished_at IS NULL ORDER BY id DESC FOR UPDATE")
                    await connection.execute("SELECT 1 FROM queue ORDER BY random() LIMIT 20 FOR UPDATE")
            if dice.random() < 0.1:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'windlass' AND state <> 'idle' AND pid <> pg_backend_pid() "
                    "ORDER BY random() LIMIT 1"
                )
            await self.move(dice.random() * 0.05)
        await connection.close()

    async def watcher(self) -> None:
        """Look at everything in between; then see that it comes to its end."""
        while not self.over:
            self.wrong += await check_history(self.engines[0], at_rest=False)
            left = await self.engines[0].store.read(_open_runs)
            self.over = bool(self.wrong) or (self.submitted and not left)
            await self.move()


def _outcome(dice: random.Random, step: str) -> Outcome:
    chance = dice.random()
    if chance < 0.1:
        return Failed("error", f"{step} failed")
    return Skipped("nothing to do") if chance < 0.15 else Completed({"n": 1} if chance < 0.3 else {})


def _open_runs(tx: Any) -> int:
    return int(tx.cursor.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()[0])


@pytest.mark.timeout(2 * _PATIENCE)
@pytest.mark.parametrize("disturbed", [False, True], ids=["among themselves", "disturbed"])
async def test_many_at_once_lose_nothing_and_count_right(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path, *, disturbed: bool
) -> None:
    """Each story is told again by its seed, the order in which its parts meet is not."""
    name = postgres_url.partition("@/")[2].partition("?")[0]
    await postgres.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    async with AsyncExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(_SERVERS * _WORKERS))
        engines = []
        for _ in range(_SERVERS):
            opened = await stack.enter_async_context(await open_store(postgres_url, version="0"))
            engines.append(
                Engine(
                    store=opened.store,
                    ids=Uuid7Source(),
                    settings=Settings(home=tmp_path),
                    jobs=JobCache(to_job),
                    catalog=CATALOG,
                )
            )
        fleet = Fleet(random.randrange(2**32), engines)  # noqa: S311 - as above
        for engine in engines:
            fleet.listen(engine)
        for number, text in enumerate(_JOBS):
            await apply(engines[0], [ManifestText(f"job{number}.yaml", text.encode())], ApplyOptions())
        async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
            if disturbed:
                group.create_task(fleet.disturber(lambda: postgres.connect(name), 0))
            group.create_task(fleet.watcher())
            submitters = []
            for server, engine in enumerate(engines):
                aliases = ("single", "flow", "wide", "fast", "few", "again", "limited", "keyed")
                jobs = {one: await engine.store.run(prepare, engine, "default", one, None) for one in aliases}
                for each in range(_WORKERS):
                    group.create_task(fleet.worker(engine, server * _WORKERS + each, threads))
                group.create_task(fleet.timer(engine))
                submitters += [
                    group.create_task(fleet.submitter(engine, jobs, server * _SUBMITTERS + each))
                    for each in range(_SUBMITTERS)
                ]
            await asyncio.wait(submitters)
            fleet.submitted = True
        found = fleet.wrong + await check_history(engines[0], accepted=sorted(fleet.accepted), at_rest=True)
    assert not found, f"seed {fleet.seed}: " + "\n".join(found)
    assert all(len(runs) == 1 for runs in fleet.answers.values()), f"seed {fleet.seed}: {fleet.answers}"
