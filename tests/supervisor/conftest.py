"""A running supervisor, and short ways to start things with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from windlass.supervisor.child import SupervisedChild
from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import Command

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Bench:
    """Starts commands under one supervisor and reads what they print."""

    def __init__(self, supervisor: Supervisor, folder: Path) -> None:
        """Start everything in `folder`."""
        self.supervisor = supervisor
        self.folder = folder

    async def start(self, *argv: str, **changes: Any) -> tuple[SupervisedChild, asyncio.StreamReader]:
        """Start a command; return it and what it prints on both outputs."""
        reading, writing = os.pipe()
        stream = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb"))
        try:
            child = await self.supervisor.spawn(self.command(*argv, output=writing, **changes))
        finally:
            os.close(writing)
        return child, stream

    async def shell(self, script: str, **changes: Any) -> tuple[SupervisedChild, asyncio.StreamReader]:
        """Start a script of sh."""
        return await self.start("sh", "-c", script, **changes)

    def command(self, *argv: str, output: int, **changes: Any) -> Command:
        """Return a command that prints to `output`."""
        fields: dict[str, Any] = {
            "argv": argv,
            "env": {"PATH": PATH},
            "cwd": self.folder,
            "mark": "attempt",
            "stdout": output,
            "stderr": output,
        }
        return Command(**(fields | changes))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a running supervisor, closed afterwards."""
    async with Supervisor(instance="test", lock=tmp_path / "steps.lock") as supervisor:
        yield Bench(supervisor, tmp_path)
