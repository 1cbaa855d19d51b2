"""Processes that play a script instead of running: a ProcessHost for the tests of step types."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from windlass.supervisor.contract import Exit

if TYPE_CHECKING:
    from windlass.supervisor.contract import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one process does."""

    stdout: bytes = b""
    stderr: bytes = b""
    #: Exit status, or minus the number of a signal.
    status: int = 0
    #: True for a process that ends only when it is stopped.
    hangs: bool = False
    out_of_memory: bool = False
    #: Raised instead of starting.
    error: Exception | None = None


@dataclass(slots=True)
class FakeProcesses:
    """Gives each started process the next of its scripts, and remembers every command."""

    scripts: list[Script] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    children: list[FakeChild] = field(default_factory=list)

    @classmethod
    def playing(cls, scripts: Iterable[Script]) -> FakeProcesses:
        """Return a host that plays `scripts` in their order."""
        return cls(list(scripts))

    async def spawn(self, command: Command) -> FakeChild:
        """Start the next script. Raises its error, and IndexError where there is none left."""
        self.commands.append(command)
        script = self.scripts.pop(0)
        if script.error is not None:
            raise script.error
        child = FakeChild(script, os.dup(command.stdout), os.dup(command.stderr), pid=len(self.commands))
        self.children.append(child)
        return child


class FakeChild:
    """A scripted process; its output is written from a thread, as that of a real one comes from elsewhere."""

    def __init__(self, script: Script, stdout: int, stderr: int, *, pid: int) -> None:
        """Start to write the output of `script`; the descriptors are the child's own."""
        self.pid = pid
        self.script = script
        #: True once somebody asked for the end.
        self.stopped = False
        self._stop = asyncio.Event()
        self._run = asyncio.ensure_future(self._play(stdout, stderr))

    async def _play(self, stdout: int, stderr: int) -> Exit:
        for target, data in ((stdout, self.script.stdout), (stderr, self.script.stderr)):
            await asyncio.to_thread(_write_and_close, target, data)
        if self.script.hangs:
            await self._stop.wait()
        status = -signal.SIGTERM if self.script.hangs else self.script.status
        return Exit(status=status, cpu_seconds=0.0, max_rss_bytes=0, out_of_memory=self.script.out_of_memory)

    async def wait(self) -> Exit:
        """Return when the script has ended."""
        return await asyncio.shield(self._run)

    async def stop(self, grace: float) -> None:  # noqa: ARG002 - a script needs no time to end
        """End a script that hangs."""
        self.stopped = True
        self._stop.set()
        await asyncio.wait([self._run])

    async def sweep(self) -> int:
        """Find nothing: a script leaves nothing behind."""
        return 0


def _write_and_close(target: int, data: bytes) -> None:
    with os.fdopen(target, "wb", buffering=0) as pipe:
        view = memoryview(data)
        try:
            while view:
                view = view[pipe.write(view) or 0 :]
        except BrokenPipeError:
            return
