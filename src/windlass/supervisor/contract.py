"""What a worker asks of the process supervisor."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from windlass.errors import Unavailable

#: Errors of a start that say something of the machine and nothing of the command: the same may work in a moment.
SHORTAGES: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of one process tree member (setrlimit(2)); None leaves a limit as it is.

    They are soft and hard at once and never above what the worker itself may have.
    """

    #: Reaching it is SIGXCPU, a second later SIGKILL.
    cpu_seconds: int | None = None
    #: Of address space, which is more than what is in use.
    memory_bytes: int | None = None
    open_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start."""

    argv: Sequence[str]
    #: The complete environment; nothing is inherited.
    env: Mapping[str, str]
    cwd: Path
    #: Names the attempt: everything started with the same mark ends together. It stands in the environment as
    #: WINDLASS_ATTEMPT_MARK, behind the supervisor's instance and a colon.
    mark: str
    limits: Limits = Limits()
    #: User name or uid to run as; None keeps the worker's.
    run_as: str | None = None
    #: File descriptors of the worker for standard output and error. The worker closes its copies itself.
    stdout: int
    stderr: int
    #: File descriptor for standard input; None is the null device.
    stdin: int | None = None
    #: Further descriptors to pass on, by the number that the child sees: 3 or above.
    pass_fds: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended and what its tree used."""

    #: Exit status, or minus the number of the signal that ended it.
    status: int
    #: Of the process and those it has waited for.
    cpu_seconds: float
    #: The largest of them; never less than the supervisor's own 11 MB or so, which the kernel counts in.
    max_rss_bytes: int
    #: True where it was killed by SIGKILL, not by us, while the kernel counted a killing for want of memory.
    out_of_memory: bool = False


class Child(Protocol):
    """A started process and everything that it starts."""

    pid: int

    async def wait(self) -> Exit:
        """Return when the process itself has ended; what it left behind may still run.

        Raises SupervisorLost where that can no longer be known.
        """
        ...

    async def stop(self, grace: float) -> None:
        """Ask the whole tree to end (SIGTERM), kill what is left after `grace` seconds, return when nothing is left."""
        ...

    async def sweep(self) -> int:
        """Kill everything that still runs with this child's mark; return how many processes that were.

        One that has become another user's, so that it cannot be killed, is neither waited for nor counted.
        """
        ...


class ProcessHost(Protocol):
    """Starts processes for steps."""

    async def spawn(self, command: Command) -> Child:
        """Start a process. Raises OSError as exec would: a missing program, no permission, too long a list."""
        ...


class SupervisorLost(Unavailable):
    """The supervisor ended unexpectedly: everything that it had started is ended, nobody knows how."""


class NotStarted(SupervisorLost):
    """The supervisor ended, or could not be started, before it was asked for a process: nothing was started."""
