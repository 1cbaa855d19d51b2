"""Real processes for the tests of step types."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from windlass.steps.workbench import RecordedLog
from windlass.supervisor.client import Supervisor


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """Give a supervisor that ends with the test."""
    async with Supervisor(instance=f"test-{tmp_path.name}") as supervisor:
        yield supervisor


@pytest.fixture
def log() -> RecordedLog:
    """Give a log that keeps everything."""
    return RecordedLog()
