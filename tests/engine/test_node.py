"""A whole node: a store, its loops and a worker with the real pipeline, on the machine's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.history import check_history
from tests.oracle.world import manifest
from windlass.clock import SystemClock
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.cancellation import cancel
from windlass.engine.compiled import JobCache
from windlass.engine.ends import RunEnds
from windlass.engine.engine import Engine
from windlass.engine.manifests import ManifestText
from windlass.engine.node import Node, prepare_folders, start_node
from windlass.engine.pipeline import Workshop
from windlass.engine.reading import get_run, list_attempts, list_tasks
from windlass.engine.secret import Secrets
from windlass.engine.starting import prepare
from windlass.engine.submission import Submission, submit
from windlass.engine.watching import events
from windlass.ids import Uuid7Source
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.canonical import to_job
from windlass.model.outcome import Completed, Outcome
from windlass.model.steptypes.control import FAKE
from windlass.settings import Settings
from windlass.steps.contract import StepContext
from windlass.steps.fake import Fake
from windlass.steps.wait import Wait
from windlass.store.open import open_store
from windlass.store.sqlite import SqliteStore
from windlass.supervisor.contract import Child, Command

_PATIENCE = 30
_SLOTS = 4


class NoProcesses:
    """A process host of which nothing is asked here."""

    async def spawn(self, command: Command) -> Child:
        raise OSError(f"no processes here: {command.argv}")


@dataclass
class Scripted:
    """The step type `fake`, or what a test puts in its place."""

    spec = FAKE
    script: Callable[[StepContext, Mapping[str, Any]], Any] | None = None

    async def run(self, context: StepContext, config: Mapping[str, Any]) -> Outcome:
        if self.script is None:
            return await Fake().run(context, config)
        outcome: Outcome = await self.script(context, config)
        return outcome


@dataclass
class Types:
    """Two step types, one of them in the hands of the test."""

    fake: Scripted = field(default_factory=Scripted)

    def get(self, name: str) -> Any:
        return self.fake if name == "fake" else Wait()


@dataclass
class Place:
    """A store and the node that works on it."""

    store: SqliteStore
    home: Path
    types: Types = field(default_factory=Types)
    accepted: list[bytes] = field(default_factory=list)
    node: Node | None = None
    engine: Engine = field(init=False)
    ends: RunEnds = field(init=False)

    def __post_init__(self) -> None:
        """Make the engine, and the reader of ends over it."""
        self.engine = Engine(
            store=self.store,
            ids=Uuid7Source(),
            settings=Settings(home=self.home, worker_slots=_SLOTS, default_timeout=20.0),
            jobs=JobCache(to_job),
            catalog=StepCatalog(),
        )
        self.ends = RunEnds(self.engine)

    async def start(self) -> Node:
        workspaces, artifacts = prepare_folders(self.home)
        workshop = Workshop(
            types=self.types,
            processes=NoProcesses(),
            secrets=Secrets({}),
            clock=SystemClock(),
            workspaces=workspaces,
            artifacts=artifacts,
        )
        self.node = await start_node(self.engine, workshop)
        return self.node

    async def submit(
        self, count: int = 1, *, parameters: Mapping[str, Any] | None = None, **fields: Any
    ) -> list[bytes]:
        await apply(self.engine, [ManifestText("job.yaml", manifest(**fields).encode())], ApplyOptions())
        job = await self.engine.store.run(prepare, self.engine, "default", "job", None)
        asked = [Submission(parameters=parameters or {})] * count
        run_ids = [one.run_id for one in await submit(self.engine, job, asked)]
        self.accepted += run_ids
        return run_ids

    async def end(self, run_id: bytes) -> dict[str, Any]:
        async with asyncio.timeout(_PATIENCE):
            await self.ends.wait(run_id)
        return await get_run(self.engine, run_id)

    async def tasks(self, run_id: bytes) -> dict[str, dict[str, Any]]:
        return {task["step"]: task for task in await list_tasks(self.engine, run_id)}

    async def until_told(self, run_id: bytes, kind: str) -> None:
        async with asyncio.timeout(_PATIENCE):
            async for event in events(self.engine, run_id=run_id):
                if event.type == kind:
                    return

    async def close(self) -> None:
        await self.ends.close()
        if self.node is not None:
            await self.node.stop(0)


@pytest.fixture(params=["sqlite", "memory"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    request.node.user_properties.append(("store", request.param))
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store/windlass.db"
    async with await open_store(url, version="0") as opened:
        found = Place(opened.store, tmp_path / "home")
        yield found
        await found.close()
        problems = await check_history(found.engine, accepted=found.accepted)
        assert not problems, "\n".join(problems)


@pytest.mark.promise("C12")
async def test_runs_go_through_by_hints_alone(place: Place) -> None:
    await place.start()
    steps: dict[str, Any] = {
        "a": {"config": {"outputs": {"n": 5}}},
        "b": {"when": "${{ steps.a.outputs.n > 1 }}", "config": {"outputs": {"m": "${{ steps.a.outputs.n }}"}}},
        "c": {"when": "${{ steps.a.outputs.n > 9 }}"},
    }
    (run_id,) = await place.submit(steps=steps)
    run = await place.end(run_id)
    assert run["state"] == "completed"
    tasks = await place.tasks(run_id)
    assert [(tasks[name]["state"], tasks[name]["outputs"]) for name in "abc"] == [
        ("completed", {"n": 5}), ("completed", {"m": 5}), ("skipped", {}),
    ]  # fmt: skip
    assert tasks["c"]["reason"] == "when: ${{ steps.a.outputs.n > 9 }} is false"


async def test_many_runs_at_once_share_the_slots(place: Place) -> None:
    running = most = 0
    full = asyncio.Event()

    async def count(context: StepContext, config: Mapping[str, Any]) -> Outcome:
        nonlocal running, most
        del context, config
        running += 1
        most = max(most, running)
        if running == _SLOTS:
            full.set()
        await full.wait()
        running -= 1
        return Completed()

    place.types.fake.script = count
    run_ids = await place.submit(60, steps={"a": {}, "b": {}})
    await place.start()
    assert {(await place.end(run_id))["state"] for run_id in run_ids} == {"completed"}
    assert most == _SLOTS


@pytest.mark.promise("H05")
async def test_a_retry_comes_by_itself(place: Place) -> None:
    await place.start()
    retry = {"attempts": 3, "strategy": "fixed", "delay": 0.05, "jitter": False}
    (run_id,) = await place.submit(steps={"a": {"config": {"fail_times": 2}, "retry": retry}})
    assert (await place.end(run_id))["state"] == "completed"
    attempts = await list_attempts(place.engine, run_id)
    assert [one["outcome"] for one in attempts] == ["failed", "failed", "completed"]


async def test_a_wait_ends_by_itself(place: Place) -> None:
    await place.start()
    (run_id,) = await place.submit(steps={"a": {"type": "wait", "config": {"duration": "100ms"}}, "b": {}})
    assert (await place.end(run_id))["state"] == "completed"


@pytest.mark.promise("H11")
async def test_a_cancel_reaches_what_runs(place: Place) -> None:
    await place.start()
    steps: dict[str, Any] = {"a": {"config": {"duration": "1h"}}, "sweep": {"triggerRule": "always"}}
    (run_id,) = await place.submit(steps=steps)
    await place.until_told(run_id, "task.started")
    await cancel(place.engine, run_id)
    assert (await place.end(run_id))["state"] == "cancelled"
    tasks = await place.tasks(run_id)
    assert (tasks["a"]["state"], tasks["sweep"]["state"]) == ("cancelled", "completed")


@pytest.mark.promise("H06")
async def test_a_run_and_an_attempt_end_at_their_deadlines(place: Place) -> None:
    await place.start()
    (run_id,) = await place.submit(timeout=0.2, steps={"a": {"config": {"duration": "1h"}}})
    run = await place.end(run_id)
    assert (run["state"], (await place.tasks(run_id))["a"]["state"]) == ("timeout", "timeout")
    (run_id,) = await place.submit(steps={"a": {"config": {"duration": "1h"}, "timeout": 0.1}})
    run = await place.end(run_id)
    assert (run["state"], run["error"]["reason"]) == ("failed", "timeout")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"config": {"message": "${{ steps.a.outputs.missing }}"}}, "expression_error"),
        ({"when": "${{ steps.a.outputs.missing }}"}, "expression_error"),
        ({"when": "${{ steps.a.outputs.n }}"}, "expression_error"),
        ({"env": {"X": "secret://env/NOPE"}}, "secret_unavailable"),
    ],
)
async def test_what_cannot_be_prepared_fails_with_its_reason(place: Place, step: dict[str, Any], reason: str) -> None:
    await place.start()
    steps: dict[str, Any] = {"a": {"config": {"outputs": {"n": 5}}}, "b": step, "sweep": {"triggerRule": "all_done"}}
    (run_id,) = await place.submit(steps=steps)
    run = await place.end(run_id)
    assert (run["state"], run["error"]["step"], run["error"]["reason"]) == ("failed", "b", reason)
    assert (await place.tasks(run_id))["sweep"]["state"] == "completed"


@pytest.mark.parametrize(
    "error",
    [
        OSError("no such file: \udcff"),
        ValueError("x" * 10**7),
        KeyError(),
        TimeoutError(),
        ExceptionGroup("all", [OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_step_raises_is_its_failure(place: Place, error: Exception) -> None:
    async def fail(context: StepContext, config: Mapping[str, Any]) -> Outcome:
        del context, config
        raise error

    await place.start()
    place.types.fake.script = fail
    (run_id,) = await place.submit(steps={"a": {}})
    run = await place.end(run_id)
    assert (run["state"], run["error"]["reason"]) == ("failed", "error")
    place.types.fake.script = None
    (run_id,) = await place.submit(steps={"a": {}})
    assert (await place.end(run_id))["state"] == "completed"


async def test_outputs_that_are_no_json_fail_their_step_alone(place: Place) -> None:
    async def odd(context: StepContext, config: Mapping[str, Any]) -> Outcome:
        del config
        return Completed({"n": object()} if context.identity.step == "a" else {})

    await place.start()
    place.types.fake.script = odd
    (run_id,) = await place.submit(steps={"a": {}, "b": {"triggerRule": "all_done"}})
    run = await place.end(run_id)
    assert (run["state"], run["error"]["reason"]) == ("failed", "outputs")
    assert (await place.tasks(run_id))["b"]["state"] == "completed"


@pytest.mark.promise("C13")
async def test_a_node_that_stops_gives_back_and_the_next_one_goes_on(place: Place) -> None:
    node = await place.start()
    steps: dict[str, Any] = {"a": {"config": {"duration": "1h"}, "onWorkerLost": "retry"}, "b": {}}
    (run_id,) = await place.submit(steps=steps)
    await place.until_told(run_id, "task.started")
    async with asyncio.timeout(_PATIENCE):
        await node.stop(0)
    (lost,) = await list_attempts(place.engine, run_id)
    assert (lost["step"], lost["outcome"]) == ("a", "lost")

    async def at_once(context: StepContext, config: Mapping[str, Any]) -> Outcome:
        del context, config
        return Completed()

    place.types.fake.script = at_once
    await place.start()
    assert (await place.end(run_id))["state"] == "completed"
    attempts = await list_attempts(place.engine, run_id)
    assert [(one["step"], one["outcome"]) for one in attempts] == [
        ("a", "lost"),
        ("a", "completed"),
        ("b", "completed"),
    ]


async def test_nothing_of_an_attempt_is_left_in_its_folder(place: Place) -> None:
    await place.start()
    run_ids = await place.submit(5, steps={"a": {"config": {"log": "hello"}}, "b": {"config": {"outcome": "failed"}}})
    for run_id in run_ids:
        await place.end(run_id)
    await place.close()
    assert list((place.home / "attempts").iterdir()) == []
