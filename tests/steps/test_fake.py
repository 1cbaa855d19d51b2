"""The scripted step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.begun import begun
from windlass.model.outcome import Cancelled, Completed, Failed, Skipped, TimedOut
from windlass.steps.fake import Fake
from windlass.steps.workbench import RecordedLog, step_context
from windlass.supervisor.client import Supervisor


@pytest.fixture
def fake(tmp_path: Path, processes: Supervisor, log: RecordedLog) -> Any:
    return lambda config, **given: Fake().run(step_context(tmp_path, processes, log=log, **given), config)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Completed()),
        ({"outputs": {"a": 1}, "exit_code": 0}, Completed({"a": 1}, 0)),
        ({"outcome": "failed"}, Failed("error", "it fails as it was told")),
        ({"outcome": "failed", "exit_code": 75, "message": "busy"}, Failed("exit", "busy", 75)),
        ({"outcome": "timeout"}, TimedOut(0)),
        ({"outcome": "cancelled"}, Cancelled()),
        ({"outcome": "skipped", "message": "no"}, Skipped("no")),
        ({"outcome": "lost"}, Failed("lost", "it was told to be lost", reason="worker_lost")),
    ],
)
async def test_it_ends_as_it_is_told(fake: Any, config: dict[str, Any], expected: Any) -> None:
    assert await fake(config) == expected


async def test_the_first_attempts_fail(fake: Any) -> None:
    assert isinstance(await fake({"fail_times": 2}, attempt=2), Failed)
    assert await fake({"fail_times": 2}, attempt=3) == Completed()


async def test_it_writes_and_chooses(fake: Any, log: RecordedLog) -> None:
    outcome = await fake({"log": "hello\n", "branches": ["b"]}, choices=("a", "b"))
    assert outcome == Completed({}, branches=("b",))
    assert log.text() == "hello\n"
    assert (await fake({"branches": ["c"]}, choices=("a", "b"))).reason == "unknown_branch"


async def test_it_takes_its_time_until_it_is_cancelled(tmp_path: Path, processes: Supervisor) -> None:
    context = step_context(tmp_path, processes)
    running = await begun(Fake().run(context, {"duration": "1h"}))
    context.cancelled.set()
    assert await running == Cancelled()
    assert await Fake().run(step_context(tmp_path, processes), {"duration": "1ms"}) == Completed()
