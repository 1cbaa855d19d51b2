"""A store with its engine on a clock that stands still, and workers that do what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.oracle.history import check_history
from tests.oracle.transitions import watch_states, watch_states_there, wrong_moves
from tests.oracle.wire import WiredQueue, wired_queue
from windlass.clock import ManualClock
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.cancellation import cancel
from windlass.engine.claim import Claim, Exchange
from windlass.engine.compiled import JobCache
from windlass.engine.engine import Engine
from windlass.engine.manifests import ManifestText
from windlass.engine.queue import LeaseLost, WorkerFace
from windlass.engine.queues.store import StoreQueue
from windlass.engine.reading import get_run, list_attempts, list_tasks
from windlass.engine.recovery import settle_all, settle_gone
from windlass.engine.report import Ended, Report, report_on
from windlass.engine.starting import prepare
from windlass.engine.submission import Prepared, Submission, submit
from windlass.engine.timing import wake_due
from windlass.ids import SequentialIds
from windlass.model.catalog import StepCatalog
from windlass.model.event import Event
from windlass.model.manifest.canonical import to_job
from windlass.model.outcome import Completed, Outcome
from windlass.settings import Settings
from windlass.store.event_cursor import BEGINNING
from windlass.store.events import events_after
from windlass.store.place import store_place
from windlass.store.postgres.store import PostgresStore
from windlass.store.sqlite import SqliteStore
from windlass.store.store import Store
from windlass.store.upgrade import upgrade

CATALOG = StepCatalog()
#: How an attempt ends, by its claim.
Script = Callable[[Claim], Outcome]


def manifest(alias: str = "job", /, *, steps: Mapping[str, Mapping[str, Any]], **top: Any) -> str:
    """Return a manifest of steps of type `fake`, by name."""
    written = [{"name": name, "type": "fake", **fields} for name, fields in steps.items()]
    return json.dumps({"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, **top, "steps": written})


@dataclass
class World:
    """One store and everything that works on it."""

    #: A file, `:memory:`, or the URL of a database on PostgreSQL that has an empty store.
    path: str
    home: Path
    clock: ManualClock = field(default_factory=ManualClock)
    ids: SequentialIds = field(default_factory=SequentialIds)
    settings: Mapping[str, Any] = field(default_factory=dict)
    accepted: list[bytes] = field(default_factory=list)
    #: How workers reach the queue.
    over: Literal["store", "http"] = "store"
    joined: int = 0
    threads: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 4))
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        """Open the store."""
        self.engine = Engine(
            store=self._store(),
            ids=self.ids,
            settings=Settings(home=self.home, **self.settings),
            jobs=JobCache(to_job),
            catalog=CATALOG,
            chance=lambda: 0.0,
            clocks=self.clock.readings,
        )

    def _store(self) -> Store:
        server = store_place(self.path).server if self.path.startswith("postgresql:") else None
        if server is not None:
            shared = PostgresStore(server, clock=self.clock)
            self.ids.new()  # what a new store of the other kinds is called
            shared.run_blocking(watch_states_there)
            return shared
        store = SqliteStore(self.path, clock=self.clock)
        upgrade(store, ids=self.ids)
        watch_states(store)
        return store

    async def reopen(self) -> None:
        """Let go of the store in the middle of everything, and open it as the next owner does.

        Workers from before go on as ghosts: they still reach the store and must not change anything.
        """
        await self.engine.store.close()
        self.engine.store, self.engine.jobs = self._store(), JobCache(to_job)
        await self.engine.store.run(settle_all, self.engine)

    async def close(self) -> None:
        """Let go of the store."""
        self.threads.shutdown(wait=False)
        await self.engine.store.close()

    async def define(self, *args: str, **manifest_fields: Any) -> Prepared:
        """Apply a manifest, see `manifest`, and return the job ready for submissions."""
        text = manifest(*args, **manifest_fields)
        applied = await apply(self.engine, [ManifestText("job.yaml", text.encode())], ApplyOptions())
        return await self.prepare(next(iter(applied.revisions)))

    async def prepare(self, alias: str) -> Prepared:
        """Return the newest revision of a job ready for submissions."""
        return await self.engine.store.run(prepare, self.engine, "default", alias, None)

    async def submit(self, job: Prepared, **fields: Any) -> bytes:
        """Submit one run and return its id."""
        return (await self.submit_all(job, [Submission(**fields)]))[0]

    async def submit_all(self, job: Prepared, submissions: Sequence[Submission]) -> list[bytes]:
        """Submit runs together and return their ids."""
        run_ids = [one.run_id for one in await submit(self.engine, job, submissions)]
        self.accepted += run_ids
        return run_ids

    async def worker(self, name: str = "w1", *, slots: int = 100, **face: Any) -> ScriptedWorker:
        """Let a worker join."""
        found = WorkerFace(name=name, host="host", pid=1, slots=slots, **face)
        if self.over == "http":
            self.joined += 1
            instance = f"{self.joined:032x}"
            wired = await wired_queue(self.engine, found, self.home, self.threads, instance=instance)
            worker = ScriptedWorker(self, name, slots, wired)
            wired.held = worker.held
            return worker
        return ScriptedWorker(self, name, slots, await StoreQueue.join(self.engine, found))

    async def cancel(self, run_id: bytes) -> None:
        """Ask a run to stop."""
        await cancel(self.engine, run_id, by="test")

    async def tick(self, seconds: float = 0) -> int | None:
        """Move the clock, and do what is due then; return when to look again."""
        self.clock.advance(seconds)
        return await self.engine.store.run(wake_due, self.engine)

    async def lose(self, seconds: float = 60) -> int:
        """Let every worker that says nothing for this long be found gone; return how many attempts were lost."""
        self.clock.advance(seconds)
        return await self.engine.store.run(settle_gone, self.engine)

    async def run(self, run_id: bytes) -> dict[str, Any]:
        """Return a run as readers see it."""
        return await get_run(self.engine, run_id)

    async def states(self, run_id: bytes) -> dict[str, str]:
        """Return the state of each task by the name of its step, with its key in brackets where it has one."""
        return {_name(task): task["state"] for task in await list_tasks(self.engine, run_id)}

    async def task(self, run_id: bytes, name: str) -> dict[str, Any]:
        """Return one task by the name that `states` gives it."""
        return next(task for task in await list_tasks(self.engine, run_id) if _name(task) == name)

    async def attempts(self, run_id: bytes) -> list[tuple[str, int, str | None]]:
        """Return `(step, number, outcome)` of every attempt of a run."""
        return [(one["step"], one["number"], one["outcome"]) for one in await list_attempts(self.engine, run_id)]

    async def events(self, run_id: bytes | None = None, after: str = BEGINNING) -> list[Event]:
        """Return the events of one run, or of all."""
        found: list[Event] = []
        while more := await self.engine.store.read(events_after, after, run_id=run_id):
            found += more
            after = more[-1].cursor
        return found

    async def told(self, run_id: bytes) -> list[str]:
        """Return the types of the events of a run in order, those of tasks with the number of the task."""
        events = await self.events(run_id)
        return [event.type if event.task is None else f"{event.type} {event.task}" for event in events]

    async def assert_sound(self, *, at_rest: bool = False) -> None:
        """Fail where the oracle finds anything."""
        found = await check_history(self.engine, accepted=self.accepted, at_rest=at_rest)
        found += await wrong_moves(self.engine.store)
        assert not found, "\n".join(found)


def _name(task: Mapping[str, Any]) -> str:
    return f"{task['step']}[{task['key']}]" if task["key"] else str(task["step"])


def always(outcome: Outcome) -> Script:
    """Return a script in which every attempt ends alike."""
    return lambda _: outcome


def by_step(**outcomes: Outcome | Sequence[Outcome]) -> Script:
    """Return a script by the names of steps (`_` for `-`); a list is for attempts in order; others complete."""

    def script(claim: Claim) -> Outcome:
        found = outcomes.get(claim.step.name.replace("-", "_"), Completed())
        return found[claim.attempt - 1] if isinstance(found, Sequence) else found

    return script


@dataclass
class ScriptedWorker:
    """A worker in the hands of a test: it takes, starts and reports when it is told to."""

    world: World
    name: str
    slots: int
    queue: StoreQueue | WiredQueue
    #: Claims that it has taken and not reported, by queue row and fence.
    taken: set[tuple[int, int]] = field(default_factory=set)

    def held(self) -> set[tuple[int, int]]:
        """Return the claims that it knows of."""
        return self.taken

    async def exchange(self, reports: Iterable[Report] = (), capacity: int = 0) -> Exchange:
        """Hand in reports and take tasks; one that was found gone hears nothing, and joins anew."""
        told = list(reports)
        try:
            found = await self.queue.exchange(told, capacity)
        except LeaseLost:
            self.taken.clear()
            return Exchange([], [])
        self.taken.difference_update((one.queue_id, one.fence) for one in told)
        self.taken.update((claim.queue_id, claim.fence) for claim in found.claims)
        return found

    async def take(self, capacity: int | None = None) -> list[Claim]:
        """Take tasks, as many as there are slots unless said otherwise."""
        return (await self.exchange((), self.slots if capacity is None else capacity)).claims

    async def take_one(self) -> Claim:
        """Take the one next task."""
        (claim,) = await self.take(1)
        return claim

    def report(self, claim: Claim, outcome: Outcome) -> Report:
        """Return the report on an attempt that ends now."""
        return report_on(claim, Ended(outcome), worker=self.name, finished_at=self.world.clock.now())

    async def end(self, claim: Claim, outcome: Outcome | None = None) -> Exchange:
        """Report the end of one attempt."""
        return await self.exchange([self.report(claim, outcome or Completed())])

    async def work(self, script: Script = always(Completed()), *, most: int = 10_000) -> list[str]:  # noqa: B008 - a pure value
        """Take and end tasks, one at a time, until none is left; return the names of their steps in order."""
        worked: list[str] = []
        while len(worked) < most and (claims := await self.take(1)):
            for claim in claims:
                if claim.started_at is None:
                    assert await self.queue.start(claim)
                worked.append(claim.step.name)
                await self.end(claim, script(claim))
        return worked
