"""The worker's process supervisor: starts children through a small process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
from typing import TYPE_CHECKING, Final, Literal, Self

from windlass.supervisor import cgroup, procfs, wire
from windlass.supervisor.contract import NotStarted, SupervisorLost
from windlass.supervisor.holding import is_held
from windlass.supervisor.link import Link

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from windlass.supervisor.child import SupervisedChild
    from windlass.supervisor.contract import Command

_RESERVED: Final = 3
#: How often a start is asked for where a supervisor ends before it was.
_TRIES: Final = 3
_INSTANCE: Final = re.compile("[A-Za-z0-9_-]{1,64}")


class Supervisor:
    """Starts processes for steps and answers for their end; one for each worker, used from one event loop.

    Everything it starts is ended with it, whether it is closed or the worker is killed. If the supervisor process
    itself is lost, those who wait for a child get SupervisorLost and the next start brings up a new one.
    """

    def __init__(
        self, *, instance: str, lock: Path | None = None, groups: Literal["auto", "v1", "off"] = "auto"
    ) -> None:
        """Start nothing yet.

        `instance` (up to 64 letters, digits, `-`, `_`) stands before every mark, for people to read. `lock` is the
        path of the steps' lock: whoever holds it owns all processes that were started under that very file, and kills
        at the start what an earlier holder left; without a lock there is no such search. `groups` says which control
        groups to use where the kernel lets us: version 2 before version 1, version 1 only, or none. Raises ValueError
        for another instance.
        """
        if not _INSTANCE.fullmatch(instance):
            raise ValueError(f"instance {instance!r} is not 1 to 64 letters, digits, - and _")
        self._instance = instance if lock else f"{instance}.{secrets.token_hex(8)}"
        self._groups = groups
        self._lock = lock.absolute() if lock else None
        self._link: Link | None = None
        #: True from the loss of a supervisor until the next one has ended what was left.
        self._unsure = False
        self._again: asyncio.Future[None] | None = None
        #: Processes that were started.
        self.started = 0
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

    @property
    def pid(self) -> int:
        """The supervisor's pid; 0 while there is none. Every process of a step is below it."""
        return 0 if self._link is None or self._link.lost else self._link.pid

    @property
    def trouble(self) -> str | None:
        """What is wrong with it; None where nothing is. Its process begins with the first one that it is to start."""
        lost = self._link is not None and self._link.lost
        return "its process was lost; the next step starts another one" if lost else None

    def owns(self, pid: int) -> bool:
        """Tell whether `pid` was started by this supervisor or by an earlier one of its instance, however far down.

        Raises ProcessLookupError where there is no such process, and SupervisorLost while nobody can tell: from the
        loss of a supervisor to the end of what it had started.
        """
        chain = procfs.lineage(pid)
        if not chain:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        if any(self._has_sign(one.pid) for one in chain):
            return True
        link = self._link
        if link and not link.lost and link.processes.intersection(one.pid for one in chain[1:]):
            return True
        # Whoever lives below a supervisor stays there as long as that one lives: hence the look at it comes last.
        if (link and not link.works) or self._unsure:
            self._clean_up_again()
            raise SupervisorLost("what a lost process supervisor has left is being ended; try again in a moment")
        return False

    def _has_sign(self, pid: int) -> bool:
        """Tell whether a process bears a mark of this instance or is in one of its control groups."""
        mark = os.fsdecode(procfs.variable(pid, wire.MARK_VARIABLE.encode()) or b"")
        ours = mark.startswith((f"{self._instance}.", f"{self._instance}:"))
        return ours or procfs.in_group(pid, f"{cgroup.PREFIX}{self._instance}.")

    def _clean_up_again(self) -> None:
        """See to it that a new supervisor comes, where the attempt to start one has failed."""
        if self._again is None or self._again.done():
            self._again = asyncio.ensure_future(self._try_to_connect())

    async def _try_to_connect(self) -> None:
        with contextlib.suppress(SupervisorLost, OSError):
            if self._link is None or self._link.lost:  # else its end is not yet known here: that starts another
                await self._connect()

    async def start(self) -> int:
        """Start the supervisor process; return how many processes of an earlier one it had to kill.

        Waits for the lock, hence while an earlier supervisor still ends its children.
        """
        return (await self._connect()).leftovers

    async def spawn(self, command: Command) -> SupervisedChild:
        """Start a process that leads its own session.

        Raises OSError as chdir, setrlimit and exec would, with the name that it is about (ENOENT, EACCES, ENOEXEC,
        E2BIG, EMFILE, EAGAIN; EINVAL for a NUL in a text, an empty argv or an unknown user), SupervisorLost where the
        supervisor ends meanwhile. One that had not been asked yet has a successor, who is asked then; NotStarted where
        there is none, or those are lost as well.
        """
        try:
            launch, fds = self._request(command)
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error), command.argv[0]) from None
        for tries_left in reversed(range(_TRIES)):
            link = self._link
            if link is None or link.lost:
                link = await self._connect()
            try:
                child = await link.spawn(launch, fds)
            except ValueError as error:
                raise OSError(errno.EINVAL, str(error), command.argv[0]) from None
            except NotStarted:
                if not tries_left:
                    raise
            else:
                self.started += 1
                return child
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        """End every child and the supervisor; return when nothing is left. A second call does nothing."""
        async with self._opening:
            self._closed = True
            if self._link and self._link.lost:
                await self._link.gone()
                # Whoever else holds the lock by now has killed what was left; else the next supervisor does it.
                self._link = None if self._lock and is_held(self._lock) else await self._open()
            if self._link:
                await self._link.close()

    async def _connect(self) -> Link:
        """Return a running supervisor's link, starting one where there is none."""
        async with self._opening:
            if self._closed:
                raise NotStarted("the process supervisor is closed")
            if self._link and self._link.lost:
                self._unsure = True
                await self._link.gone()
                self._link = None
            if self._link is None:
                self._link = await self._open()
                self._unsure = False
            return self._link

    async def _open(self) -> Link:
        """Start the supervisor process."""
        return await Link.open(instance=self._instance, groups=self._groups, lock=self._lock, clean_up=self._replace)

    async def _replace(self, lost: Link) -> None:
        """Start the next supervisor in the place of a lost one; it kills first what that one left."""
        await lost.gone()
        with contextlib.suppress(SupervisorLost):  # closed meanwhile: the end of everything is under way
            await self._connect()

    def _request(self, command: Command) -> tuple[wire.Launch, list[int]]:
        """Return what goes over the wire for a command, and the descriptors with it."""
        if not command.argv:
            raise OSError(errno.EINVAL, "empty command")
        targets = tuple(command.pass_fds)
        if any(target < _RESERVED for target in targets):
            raise ValueError("pass_fds are for 3 and above; 0, 1 and 2 have fields of their own")
        if any(not name or "=" in name for name in command.env):
            raise ValueError("illegal name of a variable")
        fds = [command.stdout, command.stderr]
        if command.stdin is not None:
            fds.append(command.stdin)
        fds.extend(command.pass_fds.values())
        limits = command.limits
        launch = wire.Launch(
            number=0,
            argv=[os.fsencode(text) for text in command.argv],
            env=[os.fsencode(f"{name}={value}") for name, value in command.env.items()],
            cwd=os.fsencode(command.cwd),
            mark=os.fsencode(command.mark),
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
