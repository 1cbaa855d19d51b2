"""One warm Python process as its worker sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from windlass.errors import WindlassError
from windlass.supervisor.contract import Command, Limits

if TYPE_CHECKING:
    from windlass.supervisor.contract import Child, ProcessHost

_PROGRAM: Final = Path(__file__).with_name("runner_program.py")
_HEADER: Final = struct.Struct(">I")
#: More than a runner ever sends; whoever sends more has broken into its channel.
_LARGEST: Final = 2 * 1024 * 1024
#: Seconds for a runner to end by itself once it is hung up on.
_FAREWELL: Final = 1.0


class RunnerGone(Exception):
    """The process has ended, or says what no runner says."""


class RunnerLink:
    """A runner and the channel to it; one call at a time."""

    def __init__(self, child: Child, channel: socket.socket) -> None:
        """Speak to `child` over `channel`."""
        self.child = child
        self._channel = channel
        #: CPU seconds of the calls so far.
        self.cpu_seconds = 0.0

    @classmethod
    async def start(
        cls,
        processes: ProcessHost,
        *,
        python: str | None,
        env: Mapping[str, str],
        cwd: Path,
        mark: str,
        limits: Limits,
        streams: tuple[int, int],
    ) -> Self:
        """Start an interpreter; what it says before its first call goes to `streams`. Raises OSError as exec would."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)  # noqa: FBT003 - the standard library has no other form
            child = await processes.spawn(
                Command(
                    argv=[python or sys.executable, str(_PROGRAM)],
                    env=env,
                    cwd=cwd,
                    mark=mark,
                    limits=limits,
                    stdout=streams[0],
                    stderr=streams[1],
                    pass_fds={3: theirs.fileno()},
                )
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(child, ours)

    async def begin(self, call: Mapping[str, Any], streams: Sequence[int]) -> bool:
        """Send a call with its two descriptors; return False where the runner has old code and ends instead.

        Raises RunnerGone where it has ended: in both cases nothing of the call was done.
        """
        body = json.dumps(call).encode()
        try:
            socket.send_fds(self._channel, [_HEADER.pack(len(body))], streams)
            await asyncio.get_running_loop().sock_sendall(self._channel, body)
        except OSError as error:
            raise RunnerGone(str(error)) from None
        return (await self._receive()).get("started") is True

    async def answer(self, progress: Callable[[float | None, str | None], Awaitable[None]]) -> dict[str, Any]:
        """Return what the call came to, passing on its progress until then. Raises RunnerGone."""
        while True:
            message = await self._receive()
            match message:
                case {"progress": [percent, text]} if _is_progress(percent, text):
                    await progress(percent, text)
                case {"done": True, "cpu": int() | float() as cpu, "rss": int(), "reusable": bool()}:
                    self.cpu_seconds += cpu
                    return message
                case _:
                    raise RunnerGone("it sent a message that no runner sends")

    async def end(self) -> None:
        """Hang up, and end what does not end by itself soon."""
        self.hang_up()
        with contextlib.suppress(TimeoutError, WindlassError):
            await asyncio.wait_for(self.child.wait(), _FAREWELL)
        with contextlib.suppress(WindlassError):
            await self.child.stop(0.0)

    def hang_up(self) -> None:
        """Close the channel; a runner that waits for a call ends by itself."""
        self._channel.close()

    async def _receive(self) -> dict[str, Any]:
        (size,) = _HEADER.unpack(await self._exactly(_HEADER.size))
        if size > _LARGEST:
            raise RunnerGone("it sent a message that no runner sends")
        try:
            message = json.loads(await self._exactly(size))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise RunnerGone("it sent a message that no runner sends")
        return message

    async def _exactly(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < size:
            try:
                part = await loop.sock_recv(self._channel, size - len(parts))
            except OSError as error:
                raise RunnerGone(str(error)) from None
            if not part:
                raise RunnerGone("it has ended")
            parts += part
        return bytes(parts)


def new_mark() -> str:
    """Return a mark for a runner: it outlives an attempt, so it is named after none."""
    return f"python.{os.urandom(8).hex()}"


def _is_progress(percent: object, text: object) -> bool:
    return (percent is None or isinstance(percent, (int, float))) and (text is None or isinstance(text, str))
