"""Waiting without a slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from windlass.clock import SECOND, ManualClock, to_text
from windlass.model.outcome import Completed, Failed, Waiting
from windlass.steps.wait import Wait
from windlass.steps.workbench import step_context
from windlass.supervisor.client import Supervisor

NOW = 1_750_000_000 * SECOND


@pytest.fixture
def wait(tmp_path: Path, processes: Supervisor) -> Any:
    return lambda config: Wait().run(step_context(tmp_path, processes, clock=ManualClock(NOW)), config)


async def test_a_duration_becomes_an_instant(wait: Any) -> None:
    until = NOW + 90 * SECOND
    assert await wait({"duration": 90}) == Waiting(until, f"until {to_text(until)}")
    assert await wait({"duration": "1m30s"}) == Waiting(until, f"until {to_text(until)}")


async def test_an_instant_that_is_past_ends_the_wait(wait: Any) -> None:
    assert await wait({"until": "2020-01-01T00:00:00Z"}) == Completed()
    assert await wait({"duration": 0}) == Completed()


async def test_a_timeout_that_comes_first_fails_it(wait: Any) -> None:
    until = to_text(NOW + 1000 * SECOND)
    outcome = await wait({"until": until, "timeout": 60})
    assert outcome == Waiting(
        NOW + 60 * SECOND, f"until {until}, but no longer than {to_text(NOW + 60 * SECOND)}", "failed"
    )


async def test_an_event_is_waited_for_for_seven_days_unless_said(wait: Any) -> None:
    said = {"type": "deploy.*", "filter": {"env": "prod", "n": 3}}
    outcome = await wait({"event": said})
    assert outcome == Waiting(
        NOW + 7 * 24 * 3600 * SECOND,
        "for event deploy.* with env=prod, n=3",
        "failed",
        event={"type": "deploy.*", "filter": {"env": "prod", "n": "3"}},
    )
    assert (await wait({"event": said, "timeout": "1h"})).until == NOW + 3600 * SECOND


@pytest.mark.parametrize("config", [{"duration": "soon"}, {"until": "tomorrow"}, {"duration": 5, "timeout": "later"}])
async def test_what_an_expression_gave_may_be_no_time(wait: Any, config: dict[str, Any]) -> None:
    outcome = await wait(config)
    assert isinstance(outcome, Failed)
    assert "` must be a " in outcome.message
