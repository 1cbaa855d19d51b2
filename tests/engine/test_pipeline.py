"""The way of one task through a worker, with a queue that is away at times."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.world import World
from windlass.clock import SystemClock
from windlass.engine import attempt as engine_attempt
from windlass.engine import pipeline as engine_pipeline
from windlass.engine.claim import Claim, Exchange
from windlass.engine.pipeline import Pipeline, Workshop
from windlass.engine.report import Report
from windlass.engine.secret import Secrets
from windlass.engine.worker import StopSignal
from windlass.errors import ExpressionError, NotFound, Unavailable
from windlass.model.outcome import NO_RESOURCES, Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.steptypes.local import SPECS
from windlass.steps.contract import StepContext
from windlass.store.logs import NewChunk
from windlass.supervisor.contract import Child, Command

_PATIENCE = 20
SHELL = next(spec for spec in SPECS if spec.name == "shell")
WHEN = {"when": "${{ 1 < 2 }}"}
Script = Callable[[StepContext], Any]


@dataclass
class Queue:
    """A queue that answers after some failures."""

    trouble: list[Exception] = field(default_factory=list)
    starts: list[bool] = field(default_factory=lambda: [True])
    asked: int = 0
    said: list[tuple[float | None, str | None]] = field(default_factory=list)
    log: bytes = b""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def fail(self) -> None:
        self.asked += 1
        self.waiting.set()
        if self.trouble:
            raise self.trouble.pop(0)

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        raise AssertionError(f"a pipeline exchanges nothing: {reports}, {capacity}")

    async def start(self, claim: Claim) -> bool:
        self.fail()
        claim.started_at = 1
        return self.starts.pop(0)

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        self.fail()
        self.log += b"".join(chunk.data for chunk in chunks)
        return 0

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        del claim
        self.fail()
        self.said.append((percent, message))

    async def ending(self) -> None:
        raise AssertionError("a pipeline does not end")

    async def leave(self, unstarted: Sequence[tuple[int, int]]) -> None:
        raise AssertionError(f"a pipeline gives nothing back: {unstarted}")


@dataclass
class Types:
    """One step type that does what a test says; unknown where it says nothing."""

    script: Script | None = None
    spec = SHELL

    def get(self, name: str) -> Any:
        if self.script is None:
            raise NotFound(f'there is no step type "{name}"')
        return self

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        del config
        assert self.script is not None
        outcome: Outcome = await self.script(context)
        return outcome


class NoProcesses:
    """A process host of which nothing may be asked here."""

    async def spawn(self, command: Command) -> Child:
        raise AssertionError(f"no step here starts a process: {command.argv}")


@dataclass
class Bench:
    """A pipeline with everything around it."""

    world: World
    queue: Queue
    types: Types
    pipeline: Pipeline
    shop: Workshop

    async def claim(self, **step: Any) -> Claim:
        job = await self.world.define(steps={"a": {"type": "shell", "config": {"run": "true"}, **step}})
        await self.world.submit(job)
        return await (await self.world.worker()).take_one()

    async def run(self, script: Script | None, stop: StopSignal | None = None, **step: Any) -> Outcome | None:
        self.types.script = script
        claim = await self.claim(**step)
        async with asyncio.timeout(_PATIENCE):
            report = await self.pipeline.run(claim, stop or StopSignal())
        return None if report is None else report.outcome


@pytest.fixture
async def bench(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(engine_pipeline, "FIRST_PAUSE", 0.001)
    folders = tmp_path / "attempts", tmp_path / "artifacts"
    for folder in folders:
        folder.mkdir()
    queue, types = Queue(), Types()
    shop = Workshop(
        types=types,
        processes=NoProcesses(),
        secrets=Secrets({}),
        clock=SystemClock(),
        workspaces=folders[0],
        artifacts=folders[1],
    )
    return Bench(world, queue, types, Pipeline(world.engine, queue, shop, worker="w"), shop)


async def done(_: StepContext) -> Outcome:
    return Completed({"n": 1})


async def test_a_started_claim_is_run_and_reported(bench: Bench) -> None:
    assert await bench.run(done) == Completed({"n": 1})
    assert bench.queue.asked == 0


async def test_a_claim_is_started_before_its_effect(bench: Bench) -> None:
    started: list[int] = []

    async def look(_: StepContext) -> Outcome:
        started.append(bench.queue.asked)
        return Completed()

    assert await bench.run(look, **WHEN) == Completed()
    assert started == [1]


async def test_a_claim_that_no_longer_stands_has_no_effect_and_no_report(bench: Bench) -> None:
    bench.queue.starts = [False]

    async def never(_: StepContext) -> Outcome:
        raise AssertionError

    assert await bench.run(never, **WHEN) is None


async def test_a_start_waits_for_the_store(bench: Bench) -> None:
    bench.queue.trouble = [Unavailable("away"), Unavailable("still away")]
    assert await bench.run(done, **WHEN) == Completed({"n": 1})
    assert bench.queue.asked == 3


async def test_a_start_that_waits_is_given_up_when_the_worker_goes_away(bench: Bench) -> None:
    bench.queue.trouble = [Unavailable("away")] * 1000
    stop = StopSignal()

    async def go() -> None:
        await bench.queue.waiting.wait()
        stop.set("drain")

    going = asyncio.create_task(go())
    assert await bench.run(done, stop, **WHEN) is None
    await going


@pytest.mark.fault("F41")
async def test_an_attempt_that_cannot_begin_for_want_of_resources_tries_again(bench: Bench) -> None:
    tries: list[Path] = []

    async def short(context: StepContext) -> Outcome:
        tries.append(context.workdir)
        assert bench.shop.shortage.lasts == (len(tries) > 1)
        if len(tries) < 3:
            return Failed("error", "too many open files", reason=NO_RESOURCES)
        return Completed({"n": 1})

    assert await bench.run(short) == Completed({"n": 1})
    assert len(set(tries)) == 3
    assert not any(tries[-1].parent.parent.iterdir()), "a folder of a try is left"
    assert not bench.shop.shortage.lasts


@pytest.mark.fault("F41")
async def test_folders_that_cannot_be_made_for_want_of_descriptors_are_made_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, left = engine_attempt.make_workspace, [OSError(errno.EMFILE, "Too many open files")] * 2

    def failing(*args: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return make(*args, **more)

    monkeypatch.setattr(engine_attempt, "make_workspace", failing)
    assert await bench.run(done) == Completed({"n": 1})


async def test_folders_that_cannot_be_made_at_all_fail_the_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(engine_attempt, "make_workspace", failing)
    assert await bench.run(done) == Failed("error", "The folders of the attempt cannot be made: Read-only file system.")


async def test_a_condition_that_is_false_asks_nobody(bench: Bench) -> None:
    outcome = await bench.run(done, when="${{ 1 > 2 }}")
    assert outcome == Skipped("when: ${{ 1 > 2 }} is false")
    assert bench.queue.asked == 0


@pytest.mark.promise("H06")
@pytest.mark.parametrize(
    ("asked", "highest", "seconds"), [({"timeout": 0.02}, 60, 0.02), ({"timeout": 60}, 0.02, 0.02), ({}, 60, 0.05)]
)
async def test_an_attempt_has_a_default_and_a_highest_time(
    bench: Bench, asked: dict[str, Any], highest: float, seconds: float
) -> None:
    async def endless(_: StepContext) -> Outcome:
        await asyncio.Event().wait()
        return Completed()

    claim = await bench.claim(**asked)
    engine = bench.world.engine
    engine.settings = replace(engine.settings, default_timeout=0.05, max_timeout=highest)
    bench.types.script = endless
    async with asyncio.timeout(_PATIENCE):
        report = await bench.pipeline.run(claim, StopSignal())
    assert report is not None
    assert report.outcome == TimedOut(seconds)


async def test_progress_that_cannot_be_kept_fails_no_step(bench: Bench) -> None:
    async def tell(context: StepContext) -> Outcome:
        await context.progress(10, "begun")
        await context.progress(90, "almost")
        return Completed()

    bench.queue.trouble = [Unavailable("away")]
    assert await bench.run(tell) == Completed()
    assert bench.queue.said == [(90, "almost")]


async def test_an_attempt_does_not_end_before_its_last_progress_is_kept(bench: Bench) -> None:
    begun, free = asyncio.Event(), asyncio.Event()
    keep = bench.queue.progress

    async def slowly(claim: Claim, percent: float | None, message: str | None) -> None:
        begun.set()
        await free.wait()
        await keep(claim, percent, message)

    bench.queue.progress = slowly  # type: ignore[method-assign]
    reports: list[asyncio.Task[None]] = []

    async def tell(context: StepContext) -> Outcome:
        reports.append(asyncio.ensure_future(context.progress(99, "last")))
        await begun.wait()
        return Completed()

    running = asyncio.ensure_future(bench.run(tell))
    await begun.wait()
    await bench.world.tick()  # something that the store does meanwhile, and that ends
    assert not running.done()
    free.set()
    assert await running == Completed()
    assert bench.queue.said == [(99, "last")]


async def test_a_log_that_cannot_be_kept_fails_no_step(bench: Bench) -> None:
    async def write(context: StepContext) -> Outcome:
        await context.log.write(b"lost")
        return Completed()

    bench.queue.trouble = [Unavailable("away")]
    assert await bench.run(write) == Completed()


async def test_a_step_type_that_is_not_there_fails_the_attempt(bench: Bench) -> None:
    outcome = await bench.run(None)
    assert outcome == Failed("error", 'there is no step type "shell"')


@pytest.mark.parametrize(
    ("why", "outcome", "expected"),
    [
        ("cancel", Cancelled(), Cancelled()),
        ("timeout", Cancelled(), Cancelled()),
        ("drain", Completed(), Completed()),
        ("drain", Failed("exit", "no", 1), Failed("exit", "no", 1)),
        (None, Failed("exit", "no", 1), Failed("exit", "no", 1)),
    ],
)
async def test_what_a_stopped_attempt_says_is_reported(
    bench: Bench, why: str | None, outcome: Outcome, expected: Outcome
) -> None:
    stop = StopSignal()

    async def end(context: StepContext) -> Outcome:
        if why is not None:
            stop.set(why)
            assert context.cancelled.is_set()
        return outcome

    assert await bench.run(end, stop) == expected


async def test_what_its_own_worker_stopped_is_lost(bench: Bench) -> None:
    stop = StopSignal()

    async def end(context: StepContext) -> Outcome:
        stop.set("drain")
        await context.cancelled.wait()
        return Cancelled()

    outcome = await bench.run(end, stop)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "lost"


SECRET = "hunter2 and more"  # noqa: S105 - it opens nothing
QUOTING = "${{ {'a': true}[parameters.token] }}"


async def with_a_secret(bench: Bench, script: Script | None, **step: Any) -> Outcome:
    """Run a step of a job with a secret parameter."""
    steps = {"a": {"type": "shell", "config": {"run": "true"}, **step}}
    job = await bench.world.define(steps=steps, parameters={"token": {"type": "string", "secret": True}})
    await bench.world.submit(job, parameters={"token": SECRET})
    bench.types.script = script
    report = await bench.pipeline.run(await (await bench.world.worker()).take_one(), StopSignal())
    assert report is not None
    return report.outcome


@pytest.mark.parametrize("step", [{"when": QUOTING}, {"env": {"A": QUOTING}}])
async def test_an_expression_that_fails_quotes_no_secret(bench: Bench, step: dict[str, Any]) -> None:
    outcome = await with_a_secret(bench, done, **step)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "expression_error"
    assert "***" in outcome.message
    assert "hunter2" not in outcome.message


@pytest.mark.parametrize(
    "said",
    [
        Skipped(f"not with {SECRET}"),
        Waiting(until=1, reason=SECRET, at_end="completed"),
        Failed("error", SECRET, reason=SECRET),
    ],
)
async def test_no_outcome_carries_a_secret(bench: Bench, said: Outcome) -> None:
    async def say(_: StepContext) -> Outcome:
        return said

    outcome = await with_a_secret(bench, say)
    assert type(outcome) is type(said)
    assert "***" in repr(outcome)
    assert "hunter2" not in repr(outcome)


async def test_an_attempt_that_cannot_be_opened_leaves_no_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExpressionError("a value does not fit")

    monkeypatch.setattr(engine_attempt, "step_environment", fail)
    outcome = await bench.run(done)
    assert outcome == Failed("expression", "a value does not fit", reason="expression_error")
    assert list(bench.shop.workspaces.iterdir()) == []


async def test_an_attempt_without_room_for_its_folders_fails_plainly(bench: Bench) -> None:
    bench.shop.workspaces.rmdir()
    outcome = await bench.run(done)
    assert outcome == Failed("error", "The folders of the attempt cannot be made: No such file or directory.")


def full_disk(monkeypatch: pytest.MonkeyPatch, times: int, again: asyncio.Event | None = None) -> list[int]:
    """Let the first folders of attempts find no room; return how often room was asked for, `again` at the second."""
    asked: list[int] = []
    make = engine_attempt.make_workspace

    def tried(*args: Any, **more: Any) -> Any:
        asked.append(1)
        if again is not None and len(asked) > 1:
            again.set()
        if len(asked) <= times:
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(*args, **more)

    monkeypatch.setattr(engine_attempt, "make_workspace", tried)
    return asked


@pytest.mark.promise("K06")
async def test_an_attempt_waits_for_room_on_the_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = full_disk(monkeypatch, 3)
    assert await bench.run(done) == Completed({"n": 1})
    assert len(asked) == 4


async def test_what_waits_for_room_can_be_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    again, stop = asyncio.Event(), StopSignal()
    full_disk(monkeypatch, 10**9, again)
    running = asyncio.create_task(bench.run(done, stop))
    async with asyncio.timeout(_PATIENCE):
        await again.wait()
        stop.set("cancel")
        assert await running == Cancelled()


async def test_it_waits_for_room_no_longer_than_it_may_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch, 10**9)
    found = await bench.run(done, timeout=0.01)
    assert found == Failed("error", "The folders of the attempt cannot be made: No space left on device.")


async def test_a_disk_that_fills_while_the_folders_are_made_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, []

    def once(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", once)
    assert await bench.run(done) == Completed({"n": 1})
    assert len(written) == 2
    assert list(bench.shop.workspaces.iterdir()) == []
