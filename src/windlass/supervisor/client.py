"""The worker's process supervisor: starts children through a small process of its own."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Self

from windlass.supervisor import wire
from windlass.supervisor.contract import SupervisorLost
from windlass.supervisor.link import Link

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from windlass.supervisor.child import SupervisedChild
    from windlass.supervisor.contract import Command

_RESERVED = 3


class Supervisor:
    """Starts processes for steps and answers for their end; one for each worker, used from one event loop.

    Everything it starts is ended with it, whether it is closed or the worker is killed. If the supervisor process
    itself is lost, those who wait for a child get SupervisorLost and the next start brings up a new one.
    """

    def __init__(self, *, instance: str, lock: Path | None = None) -> None:
        """Start nothing yet.

        `instance` stands before every mark and tells this supervisor's processes from others'; whoever holds `lock`
        (a path; the steps' lock) owns everything with that instance.
        """
        self._instance = instance
        self._lock = lock.absolute() if lock else None
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def start(self) -> None:
        """Start the supervisor process; return once it holds the lock. Waits while an earlier one ends its children."""
        await self._connect()

    async def spawn(self, command: Command) -> SupervisedChild:
        """Start a process that leads its own session.

        Raises OSError as chdir, setrlimit and exec would, with the name that it is about (ENOENT, EACCES, ENOEXEC,
        E2BIG, EMFILE, EAGAIN; EINVAL for a NUL in a text, an empty argv or an unknown user), SupervisorLost where the
        supervisor ends meanwhile.
        """
        launch, fds = self._request(command)
        link = self._link
        if link is None or link.lost:
            link = await self._connect()
        try:
            return await link.spawn(launch, fds)
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error), command.argv[0]) from None

    async def close(self) -> None:
        """End every child and the supervisor; return when nothing is left. A second call does nothing."""
        self._closed = True
        async with self._opening:
            if self._link:
                await self._link.close()

    async def _connect(self) -> Link:
        """Return a running supervisor's link, starting one where there is none."""
        async with self._opening:
            if self._closed:
                raise SupervisorLost("the process supervisor is closed")
            if self._link and self._link.lost:
                await self._link.close()
                self._link = None
            if self._link is None:
                self._link = await Link.open(self._lock)
            return self._link

    def _request(self, command: Command) -> tuple[wire.Launch, list[int]]:
        """Return what goes over the wire for a command, and the descriptors with it."""
        if not command.argv:
            raise OSError(errno.EINVAL, "empty command")
        targets = tuple(command.pass_fds)
        if any(target < _RESERVED for target in targets):
            raise OSError(errno.EINVAL, "pass_fds are for 3 and above; 0, 1 and 2 have fields of their own")
        fds = [command.stdout, command.stderr]
        if command.stdin is not None:
            fds.append(command.stdin)
        fds.extend(command.pass_fds.values())
        mark = f"{self._instance}:{command.mark}"
        limits = command.limits
        launch = wire.Launch(
            number=0,
            argv=[os.fsencode(text) for text in command.argv],
            env=[os.fsencode(f"{name}={value}") for name, value in {**command.env, wire.MARK_VARIABLE: mark}.items()],
            cwd=os.fsencode(command.cwd),
            mark=os.fsencode(mark),
            run_as=os.fsencode(command.run_as or ""),
            cpu=_or_none(limits.cpu_seconds),
            memory=_or_none(limits.memory_bytes),
            files=_or_none(limits.open_files),
            stdin=command.stdin is not None,
            targets=targets,
        )
        return launch, fds


def _or_none(limit: int | None) -> int:
    """Return a limit as the wire has it."""
    return -1 if limit is None else limit
