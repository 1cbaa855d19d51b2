"""Whatever happens in whatever order, the oracle finds nothing, and in the end everything ends."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from tests.oracle.world import ScriptedWorker, World
from windlass.clock import SECOND
from windlass.engine.claim import Claim
from windlass.engine.submission import Prepared
from windlass.errors import Conflict
from windlass.model.definition import TriggerRule
from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.store import project_limits
from windlass.store.transaction import Transaction

RULES = get_args(TriggerRule)
NAMES = "abcde"
#: Where a flush costs nothing: this is about order, not about disks.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made there


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Return the fields of a manifest with a small random graph."""
    size = draw(st.integers(1, len(NAMES)))
    steps: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(NAMES[:size]):
        before = draw(st.lists(st.sampled_from(NAMES[:place]), unique=True, max_size=3)) if place else []
        step: dict[str, Any] = {"dependsOn": before, "triggerRule": draw(st.sampled_from(RULES))}
        if draw(st.integers(0, 3)) == 0:
            step["matrix"] = {"n": list(range(draw(st.integers(1, 3))))}
        if draw(st.integers(0, 3)) == 0:
            step["when"] = "${{ 1 < 2 }}"
        if draw(st.integers(0, 2)) == 0:
            step["retry"] = {"attempts": draw(st.integers(2, 3)), "delay": 5, "on": ["exit", "timeout"]}
        step["allowFailure"] = draw(st.integers(0, 3)) == 0
        step["onWorkerLost"] = draw(st.sampled_from(["fail", "retry"]))
        steps[name] = step
    followed = {other for step in steps.values() for other in step["dependsOn"]}
    for name in sorted(followed):
        steps[name]["branch"] = draw(st.integers(0, 4)) == 0
    fields: dict[str, Any] = {"failFast": draw(st.booleans()), "timeout": draw(st.sampled_from([100, 86_400]))}
    if draw(st.booleans()):
        strategy = draw(st.sampled_from(["queue", "skip", "replace", "fail"]))
        fields["concurrency"] = {"limit": draw(st.integers(1, 2)), "strategy": strategy}
        if draw(st.booleans()):
            fields["concurrency"]["key"] = "${{ default(parameters.of, 1) }}"
    if draw(st.booleans()):
        fields["maxParallelTasks"] = draw(st.integers(1, 3))
    return {"steps": steps, **fields}


class EngineMachine(RuleBasedStateMachine):
    """Users, workers and the clock, in any order."""

    claims: ClassVar[Bundle[tuple[ScriptedWorker, Claim]]] = Bundle("claims")

    @initialize(most=st.sampled_from([None, None, 1, 3]))
    def open(self, most: int | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="windlass-engine-", dir=MEMORY)
        settings = {} if most is None else {"max_runs": most}
        self.world = World(str(Path(self.folder.name) / "windlass.db"), Path(self.folder.name), settings=settings)
        self.most = most
        self.jobs: list[Prepared] = []
        self.workers: list[ScriptedWorker] = []
        self.join()

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule()
    def join(self) -> None:
        number = len(self.workers)
        self.workers.append(self.do(self.world.worker(f"w{number}", slots=100)))

    @rule(fields=jobs())
    def define(self, fields: dict[str, Any]) -> None:
        self.jobs.append(self.do(self.world.define(f"job-{len(self.jobs)}", **fields)))

    @precondition(lambda self: self.jobs)
    @rule(
        which=st.integers(0, 9),
        delay=st.sampled_from([0, 0, 7]),
        key=st.sampled_from([None, None, "k"]),
        of=st.integers(1, 2),
        priority=st.sampled_from([1, 5, 15]),
    )
    def submit(self, which: int, delay: int, key: str | None, of: int, priority: int) -> None:
        job = self.jobs[which % len(self.jobs)]
        at = self.world.clock.now() + delay * SECOND if delay else None
        name = f"{key}-{job.job.alias}-{delay}-{of}-{priority}" if key and not delay else None
        given = {"parameters": {"of": of}, "priority": priority}
        try:
            self.do(self.world.submit(job, scheduled_at=at, idempotency_key=name, **given))
        except Conflict:
            assert (job.job.job.concurrency or {})["strategy"] == "fail"

    @rule(target=claims, which=st.integers(0, 9))
    def take(self, which: int) -> Any:
        worker = self.workers[which % len(self.workers)]
        found = [(worker, claim) for claim in self.do(worker.take(1))]
        return found[0] if found else (worker, None)

    @rule(held=claims)
    def begin(self, held: tuple[ScriptedWorker, Claim | None]) -> None:
        worker, claim = held
        if claim is not None and claim.started_at is None:
            self.do(worker.queue.start(claim))

    @rule(held=consumes(claims), kind=st.integers(0, 9), twice=st.booleans(), number=st.integers(0, 3))
    def end(self, held: tuple[ScriptedWorker, Claim | None], kind: int, number: int, *, twice: bool) -> None:
        worker, claim = held
        if claim is None:
            return
        report = worker.report(claim, self.outcome(claim, kind, number))
        self.do(worker.exchange([report] * (1 + twice)))

    def outcome(self, claim: Claim, kind: int, number: int) -> Outcome:
        if claim.started_at is None:
            return (Skipped("when"), Failed("expression", "no", reason="expression_error"))[kind % 2]
        after = [claim.job.graph.names[step] for step in claim.job.graph.successors[claim.step_number]]
        branches = tuple(after[:number]) if claim.step.branch else None
        outcomes: list[Outcome] = [
            Failed("exit", "no", 1),
            Failed("error", "no"),
            TimedOut(5),
            Cancelled(),
            Skipped("nothing to do"),
            Waiting(self.world.clock.now() + 9 * SECOND, "a while", "completed" if number else "failed"),
        ]
        return outcomes[kind] if kind < len(outcomes) else Completed({"n": number}, 0, branches)

    @precondition(lambda self: self.world.accepted)
    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        try:
            self.do(self.world.cancel(self.world.accepted[which % len(self.world.accepted)]))
        except Conflict:
            return

    @rule(seconds=st.sampled_from([0, 1, 5, 9, 20, 60, 400]), renew=st.booleans())
    def pass_time(self, seconds: float, *, renew: bool) -> None:
        self.do(self.world.tick(seconds))
        for worker in self.workers if renew else ():
            worker.queue.renew()
        self.do(self.world.lose(0))

    @rule()
    def restart(self) -> None:
        self.do(self.world.reopen())
        self.join()

    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        self.do(self.workers[which % len(self.workers)].queue.leave(()))

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "world"):
            self.do(self.world.assert_sound())
            if self.most is not None:
                going, waiting = self.do(self.world.engine.store.read(_of_project))
                assert going <= self.most
                assert going == self.most or not waiting

    def teardown(self) -> None:
        """Let everything end: in the end nothing is left over."""
        if not hasattr(self, "world"):
            return
        try:
            self.do(self.finish())
        finally:
            self.do(self.world.close())
            self.loop.close()
            self.folder.cleanup()

    async def finish(self) -> None:
        await self.world.lose(1000)
        for _ in range(30):
            worker = await self.world.worker("last")
            while claims := await worker.take(50):
                for claim in claims:
                    if claim.started_at is not None or await worker.queue.start(claim):
                        await worker.end(claim, Completed(branches=() if claim.step.branch else None))
            if await self.world.tick(10) is None:
                break
        await self.world.assert_sound(at_rest=True)


def _of_project(tx: Transaction) -> tuple[int, int]:
    """Count the runs that go on, and those that wait although only so many do."""
    return (
        len(project_limits.who_goes_on(tx, "default", 1000)),
        len(project_limits.LINE.first(tx, "default", 1000)),
    )


TestEngine = pytest.mark.promise("H07")(pytest.mark.promise("C13")(EngineMachine.TestCase))
TestEngine.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
