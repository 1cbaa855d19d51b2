"""Whatever is done to a store in whatever order, its rows are those of a model in plain Python."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.machine.model import CONFLICT, OTHER_CONTENT, UNKNOWN, Held, Model, Refused, Worker
from tests.machine.reading import read
from tests.machine.rows import Wait
from tests.machine.shapes import SHAPES, Shape
from tests.oracle.world import ScriptedWorker, World
from windlass.clock import SECOND
from windlass.engine.archiving import sweep
from windlass.engine.claim import Claim
from windlass.engine.deleting import delete_marked, delete_run
from windlass.engine.dependencies import Dependency
from windlass.engine.dispatching import limit_queue, pause_queue, resume_queue, set_maintenance
from windlass.engine.recovery import settle_all, settle_gone
from windlass.engine.restoring import restore
from windlass.engine.submission import Prepared
from windlass.errors import Conflict, NotFound, UserError
from windlass.ids import id_text
from windlass.model.event import Event
from windlass.model.outcome import Cancelled, ChildRun, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.store.event_cursor import BEGINNING
from windlass.store.transaction import Transaction

#: Where a flush costs nothing: this is about order, not about disks.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made there
#: How many stories are told of each kind of store, and how long each is at most: `make machine STORIES=5000`.
STORIES = int(os.environ.get("MACHINE_STORIES", "20"))
STEPS = int(os.environ.get("MACHINE_STEPS", "15"))
_SETTINGS: dict[str, Any] = {"run_deadline": 3000.0, "retention": 7200.0, "archive_retention": 14_400.0}
_REFUSALS = {CONFLICT: Conflict, OTHER_CONTENT: UserError, UNKNOWN: NotFound}
_OUTCOMES: dict[str, Outcome] = {
    "completed": Completed(),
    "exit": Failed("exit", "no", 1),
    "error": Failed("error", "no"),
    "timeout": TimedOut(5),
    "cancelled": Cancelled(),
    "skipped": Skipped("when"),
}
#: What is said of queues, and of all.
SAYINGS = ("pause", "resume", "resume", "limit", "free", "maintain", "go on", "go on")
CONDITIONS = ("success", "always", "failure")
#: How often each thing is done where many are, and how often something is done once more.
_OFTEN = {
    "submit": 5, "take": 8, "start": 3, "end": 8, "wait": 1, "child": 2, "cancel": 2, "delete": 1, "workers": 2,
    "queues": 2, "time": 4,
}  # fmt: skip
_AGAIN = 0.25
#: Jobs that steps start runs of.
CHILDREN = ("chain", "limited", "refusing", "single", "skipping")
KINDS = st.sampled_from(["completed"] * 5 + sorted(_OUTCOMES))
NUMBERS = st.integers(0, 99)


class StoreMachine(RuleBasedStateMachine):
    """Users, workers, operators and the clock, in any order."""

    kind = "sqlite"

    @initialize(seed=st.integers(0, 2**32), many=st.sampled_from([0, 20, 40, 60, 60]))
    def open(self, seed: int, many: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="windlass-machine-", dir=MEMORY)
        home = Path(self.folder.name)
        path = ":memory:" if self.kind == "memory" else str(home / "windlass.db")
        self.world = World(path, home, settings=_SETTINGS)
        self.model = Model(self.world.clock.now())
        self.jobs: dict[str, Prepared] = {}
        self.workers: list[ScriptedWorker] = []
        #: Every run that there was, the last one first.
        self.known: list[bytes] = []
        #: What workers believe that they hold, the last first.
        self.claims: list[tuple[ScriptedWorker, Claim]] = []
        self.seq = 0
        self.cursor = BEGINNING
        self.join(2)
        self.bustle(seed, many)

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def job(self, shape: Shape) -> Prepared:
        """Return a job, applied at its first use."""
        if shape.alias not in self.jobs:
            self.jobs[shape.alias] = self.do(self.world.define(shape.alias, **shape.manifest()))
        return self.jobs[shape.alias]

    def both(self, work: Any, expected: Any) -> Any:
        """Do something to the store and to the model; both refuse it, or neither does. Return what the store says."""
        refusal: str | None = None
        try:
            expected()
        except Refused as error:
            refusal = str(error)
        if refusal is None:
            return self.do(work)
        with pytest.raises(_REFUSALS[refusal]):
            self.do(work)
        return None

    # Users

    @rule(
        alias=st.sampled_from(sorted(SHAPES)),
        of=st.integers(1, 2),
        priority=st.sampled_from([1, 5, 5, 15]),
        later=st.sampled_from([None, None, None, -5, 7, 500]),
        key=st.sampled_from([None, None, None, "k", "l"]),
        on=st.lists(st.tuples(NUMBERS, st.sampled_from(CONDITIONS)), max_size=2),
    )
    def submit(
        self, alias: str, of: int, priority: int, later: int | None, key: str | None, on: list[tuple[int, str]]
    ) -> None:
        shape, model = SHAPES[alias], self.model
        job = self.job(shape)
        at = None if later is None else model.now + later * SECOND
        waits = {self.known[which % len(self.known)]: condition for which, condition in on if self.known}
        asked = (shape.alias, of, priority, at, sorted(waits.items()))
        before: bytes | None = None

        def expected() -> None:
            nonlocal before
            before = model.under_key(key, asked)
            if before is None:
                model.may_submit(shape, of, at, waits)

        work = self.world.submit(
            job,
            parameters={"of": of},
            priority=priority,
            scheduled_at=at,
            idempotency_key=key,
            depends_on=[Dependency(run_id, condition) for run_id, condition in sorted(waits.items())],  # type: ignore[arg-type]
        )
        run_id = self.both(work, expected)
        if run_id is None:
            return
        assert before is None or run_id == before
        if before is None:
            self.known.insert(0, run_id)
            model.accept(shape, run_id, priority, of, at, dict(sorted(waits.items())))
            if key is not None:
                model.keep_key(key, asked, run_id)

    def some_run(self, which: int) -> bytes:
        """Return one of the runs that are there, the last one first, or one that has left."""
        there = [run_id for run_id in self.known if run_id in self.model.runs]
        left = [run_id for run_id in self.known if run_id not in self.model.runs]
        return (there + left[:1])[which % (len(there) + len(left[:1]))]

    @precondition(lambda self: self.known)
    @rule(which=NUMBERS)
    def cancel(self, which: int) -> None:
        run_id = self.some_run(which)
        self.both(self.world.cancel(run_id), lambda: self.model.cancel(run_id))

    @precondition(lambda self: self.known)
    @rule(which=NUMBERS)
    def delete(self, which: int) -> None:
        run_id = self.some_run(which)
        self.both(delete_run(self.world.engine, run_id, by="test"), lambda: self.model.delete(run_id))
        self.quiet()

    # Workers

    @rule(which=NUMBERS, most=st.integers(1, 3))
    def take(self, which: int, most: int) -> None:
        self.claimed(which, most)

    def claimed(self, which: int, most: int) -> bool:
        """Let a worker take what it has room for; return whether it got anything."""
        worker = self.workers[which % len(self.workers)]
        number = worker.queue.worker_id
        stops = sum(task.stop is not None for _, task in self.model.held(number))
        capacity = min(most, worker.slots - len(self.model.held(number)))
        expected = self.model.take(number, capacity)
        answer = self.do(worker.exchange((), capacity))
        assert [_held(claim) for claim in answer.claims] == expected
        if number == worker.queue.worker_id:
            assert len(answer.stops) == stops
        self.note(worker)
        self.claims[:0] = [(worker, claim) for claim in answer.claims]
        return bool(answer.claims)

    @precondition(lambda self: self.claims)
    @rule(which=NUMBERS)
    def start(self, which: int) -> None:
        worker, claim = self.claims[which % len(self.claims)]
        assert self.do(worker.queue.start(claim)) == self.model.start(_held(claim))

    @rule(which=NUMBERS, kinds=st.lists(KINDS, min_size=1, max_size=6))
    def work(self, which: int, kinds: list[str]) -> None:
        for kind in kinds:
            if not self.claimed(which, 1):
                break
            self.start(0)
            self.end(0, kind, again=False)

    @precondition(lambda self: self.claims)
    @rule(which=NUMBERS, kind=KINDS, again=st.booleans())
    def end(self, which: int, kind: str, *, again: bool) -> None:
        worker, claim = self.claim(which, again=again)
        self.do(worker.end(claim, _OUTCOMES[kind]))
        self.model.end(_held(claim), kind)
        self.note(worker)

    def claim(self, which: int, *, again: bool) -> tuple[ScriptedWorker, Claim]:
        """Return one claim; whoever holds it forgets about it, or does the same once more some time."""
        return self.claims[which % len(self.claims)] if again else self.claims.pop(which % len(self.claims))

    @precondition(lambda self: self.claims)
    @rule(
        which=NUMBERS,
        seconds=st.sampled_from([0, 9, 100]),
        at_end=st.sampled_from(["completed", "failed"]),
        again=st.booleans(),
    )
    def wait(self, which: int, seconds: int, at_end: Any, *, again: bool) -> None:
        worker, claim = self.claim(which, again=again)
        until = self.model.now + seconds * SECOND
        self.do(worker.end(claim, Waiting(until, "a while", at_end)))
        self.model.end(_held(claim), "waiting", Wait(at_end), until)
        self.note(worker)

    @precondition(lambda self: self.claims)
    @rule(which=NUMBERS, alias=st.sampled_from(CHILDREN), cascades=st.booleans(), again=st.booleans())
    def wait_for_a_child(self, which: int, alias: str, *, cascades: bool, again: bool) -> None:
        worker, claim = self.claim(which, again=again)
        self.job(SHAPES[alias])
        self.do(worker.end(claim, Waiting(0, "", child=ChildRun(alias, cascade=cascades))))
        new = self.do(self.world.engine.store.read(_run_ids)) - set(self.model.runs)
        assert len(new) <= 1
        self.model.end_with_child(_held(claim), SHAPES[alias], min(new, default=None), cascades=cascades)
        self.known[:0] = new
        self.note(worker)

    @rule(which=NUMBERS, what=st.sampled_from(["join", "leave", "leave", "restart"]), slots=st.integers(1, 3))
    def come_and_go(self, which: int, what: str, slots: int) -> None:
        model, worker = self.model, self.workers[which % len(self.workers)]
        number = worker.queue.worker_id
        if what == "join":
            self.join(slots)
        elif what == "leave":
            self.do(worker.queue.leave(()))
            model.settle(number)
        else:
            self.restart()

    def join(self, slots: int) -> None:
        """Let a worker join."""
        worker = self.do(self.world.worker(f"w{len(self.workers)}", slots=slots))
        self.workers.append(worker)
        self.note(worker)

    def note(self, worker: ScriptedWorker) -> None:
        """Note a worker that joined, or joined anew."""
        number = worker.queue.worker_id
        self.model.workers.setdefault(number, Worker(number, worker.slots, self.model.now))

    def restart(self) -> None:
        """Let another owner open the store; one in memory has another engine at least."""
        if self.kind == "memory":
            self.do(self.world.engine.store.run(settle_all, self.world.engine))
        else:
            self.do(self.world.reopen())
        for number in sorted(self.model.workers):
            self.model.settle(number)

    # Operators

    @rule(
        queue=st.sampled_from(["default", "side"]),
        what=st.sampled_from(SAYINGS),
    )
    def say(self, queue: str, what: str) -> None:
        engine, model = self.world.engine, self.model
        if what == "pause":
            self.do(pause_queue(engine, queue, by="test"))
            model.paused.add(queue)
        elif what == "resume":
            self.do(resume_queue(engine, queue))
            model.paused.discard(queue)
        elif what == "limit":
            self.do(limit_queue(engine, queue, 1))
            model.limits[queue] = 1
        elif what == "free":
            self.do(limit_queue(engine, queue, None))
            model.limits.pop(queue, None)
        else:
            model.maintenance = what == "maintain"
            self.do(set_maintenance(engine, on=model.maintenance, by="test"))

    # Time

    @rule(seconds=st.sampled_from([1, 5, 5, 9, 20, 60, 60, 400, 4000, 90_000]), renew=NUMBERS)
    def pass_time(self, seconds: int, renew: int) -> None:
        self.world.clock.advance(seconds)
        self.model.now = self.world.clock.now()
        spared = set()
        for place, worker in enumerate(self.workers):
            if (place + renew) % 3 and worker.queue.renew():
                spared.add(worker.queue.worker_id)
        self.do(self.world.engine.store.run(settle_gone, self.world.engine))
        self.model.lose(spared)
        self.quiet()

    def quiet(self) -> None:
        """Do what is due until nothing is."""
        for _ in range(3):  # what is deleted may let others go on, and be deleted in turn
            while (at := self.do(self.world.tick())) is not None and at <= self.model.now:
                continue
            self.do(delete_marked(self.world.engine))
        self.model.wake()
        while self.model.forget_deleted():
            self.model.wake()

    @precondition(lambda self: any(run.final for run in self.model.runs.values()))
    @rule(seconds=st.sampled_from([0, 3600, 7200, 15_000, 90_000]))
    def purge(self, seconds: int) -> None:
        if seconds:
            self.pass_time(seconds, 0)
        leaving = self.model.leaving(memory=self.kind == "memory")
        swept = self.do(sweep(self.world.engine))
        assert swept.archived + swept.deleted == len(leaving)
        assert swept.failed == swept.held == 0
        self.model.sweep(memory=self.kind == "memory")

    @precondition(lambda self: self.model.archived)
    @rule(which=NUMBERS)
    def bring_back(self, which: int) -> None:
        there = [*self.model.archived, self.known[-1]]
        run_id = there[which % len(there)]
        self.both(restore(self.world.engine, id_text(run_id)), lambda: self.model.restore(run_id))

    # All of it

    @rule(seed=st.integers(0, 2**32), many=st.integers(10, 30))
    def bustle(self, seed: int, many: int) -> None:
        """Do many things one after the other, drawn evenly: single rules seldom come to where several meet."""
        dice = random.Random(seed)  # noqa: S311 - to be drawn again
        for _ in range(many):
            self.something(dice)
            self.alike()

    def something(self, dice: random.Random) -> None:
        """Do one thing that can be done."""
        which, again = dice.randrange(100), dice.random() < _AGAIN
        things = {
            "submit": lambda: self.submit(**_submission(dice)),
            "take": lambda: self.take(which, 2),
            "queues": lambda: self.say(dice.choice(["default", "side"]), dice.choice(SAYINGS)),
            "time": lambda: self.pass_time(dice.choice([1, 5, 9, 9, 20, 60]), which),
            "workers": lambda: self.come_and_go(which, dice.choice(["join", "leave", "restart"]), dice.randint(1, 3)),
        }
        if self.known:
            things |= {
                "cancel": lambda: self.cancel(dice.randrange(4)),
                "delete": lambda: self.delete(dice.randrange(6)),
            }
        if self.claims:
            things |= {
                "start": lambda: self.start(which),
                "end": lambda: self.end(which, dice.choice(["completed"] * 5 + sorted(_OUTCOMES)), again=again),
                "wait": lambda: self.wait(
                    which, dice.choice([0, 9, 100]), dice.choice(["completed", "failed"]), again=again
                ),
                "child": lambda: self.wait_for_a_child(
                    which, dice.choice(CHILDREN), cascades=dice.random() > _AGAIN, again=again
                ),
            }
        (name,) = dice.choices(list(things), [_OFTEN[name] for name in things])
        things[name]()

    # What must hold

    @invariant()
    def alike(self) -> None:
        if not hasattr(self, "world"):
            return
        model = self.model
        found = self.do(self.world.engine.store.read(read, self.world.engine, self.cursor))
        assert found.runs == {run.id: run.seen() for run in model.runs.values()}
        tasks = [(run, task) for run in model.runs.values() for task in run.tasks]
        assert found.tasks == {(run.id, task.number): task.seen() for run, task in tasks}
        assert found.earlier == {(run.id, task.number): task.earlier for run, task in tasks if task.earlier}
        assert found.ready == [(run.id, task.number) for run, task in model.ready()]
        assert found.queues == model.depths()
        assert found.busy == {number: len(model.held(number)) for number in model.workers}
        assert found.archived == set(model.archived)
        assert found.orphans == []
        assert found.told == model.told
        self.in_order(found.events)
        model.told.clear()

    def in_order(self, events: list[Event]) -> None:
        """Events are numbered in the order in which they came about."""
        numbers = [event.seq for event in events]
        assert numbers == sorted(set(numbers))
        assert [event.at for event in events] == sorted(event.at for event in events)
        self.seq = max([self.seq, *numbers])
        self.cursor = events[-1].cursor if events else self.cursor

    def teardown(self) -> None:
        """In the end the oracle finds nothing in the history either."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.accepted = list(self.model.runs)
            self.do(self.world.assert_sound())
        finally:
            self.do(self.world.close())
            self.loop.close()
            self.folder.cleanup()


def _held(claim: Claim) -> Held:
    return Held(claim.run_id, claim.task, claim.fence, claim.attempt)


def _submission(dice: random.Random) -> dict[str, Any]:
    return {
        "alias": dice.choice(sorted(SHAPES)),
        "of": dice.randint(1, 2),
        "priority": dice.choice([1, 5, 5, 15]),
        "later": dice.choice([None] * 6 + [-5, 7, 500]),
        "key": dice.choice([None] * 6 + ["k", "l"]),
        "on": [(dice.randrange(5), dice.choice(CONDITIONS)) for _ in range(dice.choice([0, 0, 0, 1, 2]))],
    }


def _run_ids(tx: Transaction) -> set[bytes]:
    return {row[0] for row in tx.cursor.execute("SELECT id FROM runs")}


class MemoryMachine(StoreMachine):
    """The same in memory."""

    kind = "memory"


def _case(machine: type[StoreMachine]) -> Any:
    case = machine.TestCase
    case.settings = settings(
        max_examples=STORIES, stateful_step_count=STEPS, suppress_health_check=[HealthCheck.too_slow]
    )
    return pytest.mark.timeout(600)(pytest.mark.promise("C13")(case))


TestSqlite = _case(StoreMachine)
TestMemory = _case(MemoryMachine)
