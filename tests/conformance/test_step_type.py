"""What every step type that runs something must keep: its outcome, its end, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from windlass.model.outcome import Cancelled, Completed, Failed, Waiting
from windlass.steps.contract import StepContext
from windlass.steps.registry import StepTypes
from windlass.steps.workbench import RecordedLog, step_context
from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import Child, Command

OUTPUT = '##windlass::output {"rows": 42}'
MODULE = """
import time
def complete(): return {"rows": 42}
def fail(): raise ValueError("no")
def hang():
    print("begun")
    time.sleep(600)
"""


@dataclass(frozen=True)
class Sample:
    """Configs of one step type, by what they bring about; None where it cannot."""

    completes: dict[str, Any]
    fails: dict[str, Any]
    hangs: dict[str, Any] | None
    puts_out: dict[str, Any] | None


SAMPLES = {
    "shell": Sample(
        completes={"run": "true"},
        fails={"run": "exit 3"},
        hangs={"run": "echo begun; sleep 600"},
        puts_out={"run": f"echo '{OUTPUT}'"},
    ),
    "process": Sample(
        completes={"command": ["true"]},
        fails={"command": ["no-such-program"]},
        hangs={"command": ["sh", "-c", "echo begun; sleep 600"]},
        puts_out={"command": ["echo", OUTPUT]},
    ),
    "branch": Sample(
        completes={"run": "echo '##windlass::branch a'"},
        fails={"run": "echo '##windlass::branch x'"},
        hangs={"run": "echo begun; sleep 600"},
        puts_out={"command": ["echo", OUTPUT]},
    ),
    "python": Sample(
        completes={"function": "conforming:complete"},
        fails={"function": "conforming:fail"},
        hangs={"function": "conforming:hang"},
        puts_out={"function": "conforming:complete", "isolation": "process"},
    ),
    "wait": Sample(completes={"duration": 0}, fails={"until": "x"}, hangs=None, puts_out=None),
    "job": Sample(completes={"job": "other", "with": {"n": 1}}, fails={"job": "No Such"}, hangs=None, puts_out=None),
    "fake": Sample(
        completes={},
        fails={"outcome": "failed"},
        hangs={"log": "begun", "duration": "10m"},
        puts_out={"outputs": {"rows": 42}},
    ),
}

every_type = pytest.mark.parametrize("name", sorted(SAMPLES))
every_lasting_type = pytest.mark.parametrize("name", sorted(name for name in SAMPLES if SAMPLES[name].hangs))


@dataclass
class Watched:
    """A process host that remembers what it started."""

    inner: Supervisor
    children: list[Child] = field(default_factory=list)

    async def spawn(self, command: Command) -> Child:
        child = await self.inner.spawn(command)
        self.children.append(child)
        return child

    __hash__ = object.__hash__


class Begun(RecordedLog):
    """A log that tells when something was written."""

    def __init__(self) -> None:
        """Start with nothing written."""
        super().__init__()
        self.event = asyncio.Event()

    async def write(self, data: bytes, stream: Any = "stdout") -> None:
        await super().write(data, stream)
        self.event.set()


@pytest.fixture
async def types() -> AsyncIterator[StepTypes]:
    found = StepTypes()
    yield found
    await found.close()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Watched]:
    async with Supervisor(instance=f"conformance-{tmp_path.name}") as supervisor:
        yield Watched(supervisor)


@pytest.fixture
def context(tmp_path: Path, host: Watched) -> StepContext:
    (tmp_path / "conforming.py").write_text(MODULE)
    env = {"PYTHONPATH": str(tmp_path)}
    return step_context(tmp_path, host, log=Begun(), env=env, choices=("a", "b"), grace=0.2)


def begun(context: StepContext) -> asyncio.Event:
    assert isinstance(context.log, Begun)
    return context.log.event


async def gone(host: Watched) -> bool:
    """Say whether nothing runs of what was started."""
    for child in host.children:
        await child.wait()
        if is_alive(child.pid) or await child.sweep():
            return False
    return True


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def open_things() -> tuple[int, int]:
    """Return how many descriptors are open and how many tasks there are, once cancelled ones had their turn."""
    for _ in range(3):
        await asyncio.sleep(0)
    return count_descriptors(), len(asyncio.all_tasks())


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_installed_type_has_a_sample() -> None:
    assert set(StepTypes().names) == set(SAMPLES)


@every_type
def test_its_spec_takes_the_samples(name: str, types: StepTypes) -> None:
    spec = types.get(name).spec
    check = jsonschema_rs.validator_for(dict(spec.schema))
    sample = SAMPLES[name]
    for config in (sample.completes, sample.fails, sample.hangs, sample.puts_out):
        if config is not None:
            check.validate(config)
    assert not check.is_valid({"no_such_field": 1})


@every_type
async def test_it_completes(name: str, types: StepTypes, context: StepContext) -> None:
    assert isinstance(await types.get(name).run(context, SAMPLES[name].completes), Completed | Waiting)


@every_type
async def test_a_failure_is_one_plain_sentence(name: str, types: StepTypes, context: StepContext) -> None:
    outcome = await types.get(name).run(context, SAMPLES[name].fails)
    assert isinstance(outcome, Failed)
    assert outcome.message
    assert "\n" not in outcome.message


@pytest.mark.parametrize("name", sorted(name for name in SAMPLES if SAMPLES[name].puts_out))
async def test_its_outputs_are_passed_on(name: str, types: StepTypes, context: StepContext) -> None:
    outcome = await types.get(name).run(context, SAMPLES[name].puts_out or {})
    assert isinstance(outcome, Completed)
    assert outcome.outputs == {"rows": 42}


@pytest.mark.promise("H11")
@every_type
async def test_cancelled_before_it_began_it_does_nothing(
    name: str, types: StepTypes, context: StepContext, host: Watched
) -> None:
    context.cancelled.set()
    assert await types.get(name).run(context, SAMPLES[name].completes) == Cancelled()
    assert not host.children
    assert not begun(context).is_set()


@pytest.mark.promise("H11")
@every_lasting_type
async def test_cancelled_while_it_works_it_stops(
    name: str, types: StepTypes, context: StepContext, host: Watched
) -> None:
    running = asyncio.ensure_future(types.get(name).run(context, SAMPLES[name].hangs or {}))
    await begun(context).wait()
    context.cancelled.set()
    assert isinstance(await running, Cancelled)
    assert await gone(host)


@pytest.mark.promise("H06")
@every_lasting_type
async def test_at_its_deadline_it_stops_before_it_returns(
    name: str, types: StepTypes, context: StepContext, host: Watched
) -> None:
    running = asyncio.ensure_future(types.get(name).run(context, SAMPLES[name].hangs or {}))
    await begun(context).wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await gone(host)


@every_type
async def test_it_leaves_no_descriptor_and_no_task(name: str, types: StepTypes, context: StepContext) -> None:
    step_type = types.get(name)
    await step_type.run(context, SAMPLES[name].completes)
    before = await open_things()
    for config in (SAMPLES[name].completes, SAMPLES[name].fails):
        await step_type.run(context, config)
    assert await open_things() == before
