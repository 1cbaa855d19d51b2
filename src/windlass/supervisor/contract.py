"""What a worker asks of the process supervisor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from windlass.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of one process tree member (setrlimit(2)); None leaves a limit as it is."""

    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    open_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start."""

    argv: Sequence[str]
    #: The complete environment; nothing is inherited.
    env: Mapping[str, str]
    cwd: Path
    #: Names the attempt: everything started with the same mark ends together.
    mark: str
    limits: Limits = Limits()
    #: User name or uid to run as; None keeps the worker's.
    run_as: str | None = None
    #: File descriptors of the worker for standard output and error. The worker closes its copies itself.
    stdout: int
    stderr: int
    #: File descriptor for standard input; None is the null device.
    stdin: int | None = None
    #: Further descriptors to pass on, by the number that the child sees.
    pass_fds: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended and what its tree used."""

    #: Exit status, or minus the number of the signal that ended it.
    status: int
    cpu_seconds: float
    max_rss_bytes: int
    #: True where the kernel killed it for want of memory.
    out_of_memory: bool = False


class Child(Protocol):
    """A started process and everything that it starts."""

    pid: int

    async def wait(self) -> Exit:
        """Return when the process itself has ended; what it left behind may still run."""
        ...

    async def stop(self, grace: float) -> None:
        """Ask the whole tree to end (SIGTERM), kill what is left after `grace` seconds, return when nothing is left."""
        ...

    async def sweep(self) -> int:
        """Kill everything that still runs with this child's mark; return how many processes that were."""
        ...


class ProcessHost(Protocol):
    """Starts processes for steps."""

    async def spawn(self, command: Command) -> Child:
        """Start a process. Raises OSError as exec would: a missing program, no permission, too long a list."""
        ...


class SupervisorLost(Unavailable):
    """The supervisor ended unexpectedly: everything that it had started is ended, nobody knows how."""
