"""One running supervisor as its worker sees it: requests out, replies in, without blocking the event loop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import itertools
import os
import socket
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from windlass.supervisor import procfs, wire
from windlass.supervisor.child import SupervisedChild
from windlass.supervisor.contract import Exit, NotStarted, SupervisorLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_PROGRAM = Path(__file__).with_name("program.py")
#: The dynamic loader's variables may be needed to start Python at all; nothing else is passed on.
_PASSED_ON = ("LD_LIBRARY_PATH",)
#: Replies are taken this many packets at a time, to let others have the event loop.
_BATCH = 16
#: Seconds to wait where too many descriptors are on their way and no event will tell when there are fewer.
_CROWDED = 0.005


class Link:
    """One running supervisor; it ends when the supervisor does and is never revived."""

    def __init__(
        self, channel: socket.socket, process: asyncio.subprocess.Process, clean_up: Callable[[Link], Awaitable[None]]
    ) -> None:
        """Speak over `channel` to the supervisor below `process`.

        `clean_up` is called when the supervisor ends without having been asked to; it ends what is left.
        """
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._process = process
        self._numbers = itertools.count(1)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._starting: dict[int, asyncio.Future[SupervisedChild]] = {}
        self._children: dict[int, SupervisedChild] = {}
        self._abandoned: set[asyncio.Future[None]] = set()
        self._outgoing: deque[tuple[int, bytes, Sequence[int]]] = deque()
        self._writing = False
        self._clean_up = clean_up
        self._aftermath: asyncio.Future[None] | None = None
        self._closing = False
        self.lost = False
        #: How many processes of an earlier supervisor had to be killed first.
        self.leftovers = 0
        #: The supervisor's pid.
        self.pid = 0
        self._since = -1
        self._loop.add_reader(channel.fileno(), self._receive)

    @classmethod
    async def open(
        cls, *, instance: str, groups: str, lock: Path | None, clean_up: Callable[[Link], Awaitable[None]]
    ) -> Self:
        """Start a supervisor and return when it serves; it waits for the lock first, then kills leftovers."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)  # noqa: FBT003 - the standard library's own call
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", "-E", str(_PROGRAM), str(theirs.fileno())),
                *(instance, groups, str(lock or "")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        link = cls(ours, process, clean_up)
        try:
            await link._ready
        except BaseException:
            await link.close()
            raise
        return link

    async def spawn(self, launch: wire.Launch, fds: Sequence[int]) -> SupervisedChild:
        """Start a child. Raises OSError as exec would, ValueError for a NUL in a text, SupervisorLost."""
        launch.number = next(self._numbers)
        packet = launch.pack()
        started: asyncio.Future[SupervisedChild] = self._loop.create_future()
        self._starting[launch.number] = started
        try:
            self._send(launch.number, packet, fds)
            return await asyncio.shield(started)
        except asyncio.CancelledError:
            if not self._withdraw(launch.number):
                abandoned = asyncio.ensure_future(self._abandon(started))
                self._abandoned.add(abandoned)
                abandoned.add_done_callback(self._abandoned.discard)
                await asyncio.shield(abandoned)
            raise
        except SupervisorLost:
            self._starting.pop(launch.number, None)
            raise

    def end(self, child: SupervisedChild, grace: float) -> None:
        """Ask for the end of a child's whole tree; `child.ended` gets the answer."""
        self._send(0, wire.pack_end(child.number, grace), ())

    async def close(self) -> None:
        """Hang up, which ends every child; return when the supervisor and its guard have ended, and they end last."""
        self._closing = True
        if not self.lost:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_WR)
        await self._process.wait()
        self._receive()
        self._lose()

    async def aftermath(self) -> None:
        """Return when nothing is left of a supervisor that was lost. Raises what was in the way of that."""
        if self._aftermath:
            await asyncio.shield(self._aftermath)
        else:
            await self._process.wait()

    @property
    def processes(self) -> set[int]:
        """The pids of the supervisor and its guard: every process of a step is below one of them."""
        return {self.pid} | ({self._process.pid} if self._process.returncode is None else set())

    @property
    def works(self) -> bool:
        """False once the supervisor has ended, even where its end was not yet heard of here."""
        one = procfs.process(self.pid)
        return not self.lost and one is not None and one.start == self._since and one.state not in "ZX"

    async def gone(self) -> None:
        """Return when the supervisor and its guard have ended."""
        await self._process.wait()

    def _withdraw(self, number: int) -> bool:
        """Take back a start that the supervisor has not been sent; return whether there was time."""
        for request in self._outgoing:
            if request[0] == number:
                self._outgoing.remove(request)
                del self._starting[number]
                return True
        return False

    async def _abandon(self, started: asyncio.Future[SupervisedChild]) -> None:
        """Leave nothing of a child whose start was cancelled."""
        with contextlib.suppress(OSError, SupervisorLost):
            await (await started).sweep()

    # Requests

    def _send(self, number: int, packet: bytes, fds: Sequence[int]) -> None:
        """Send a request now, or in its turn when the supervisor has taken others; `number` is a start's."""
        if self.lost:
            raise NotStarted("the process supervisor has ended")
        self._outgoing.append((number, packet, fds))
        if len(self._outgoing) == 1:
            self._write()

    def _write(self) -> None:
        """Send as many requests as the supervisor takes."""
        self._stop_writing()
        while self._outgoing and not self.lost:
            number, packet, fds = self._outgoing[0]
            try:
                _transmit(self._channel, packet, fds)
            except BlockingIOError:
                self._writing = True
                self._loop.add_writer(self._channel.fileno(), self._write)
                return
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:
                    self._loop.call_later(_CROWDED, self._write)
                    return
                if error.errno in (errno.EPIPE, errno.ECONNRESET):
                    self._lose()
                    return
                started = self._starting.pop(number, None)
                if started and not started.done():
                    started.set_exception(error)
            self._outgoing.popleft()

    def _stop_writing(self) -> None:
        """Ask no longer to be told when the channel takes more."""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._channel.fileno())

    # Replies

    def _receive(self) -> None:
        """Take some of the replies that have arrived."""
        for _ in range(_BATCH):
            if self.lost:
                return
            try:
                packet = self._channel.recv(2 * wire.PACKET_LIMIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lose()
                return
            for op, number, values, name in wire.unpack_replies(packet):
                self._take(op, number, values, name)

    def _take(self, op: int, number: int, values: tuple[float, ...], name: bytes) -> None:
        """Hand one reply to whom it is for."""
        if op == wire.EXITED:
            status, cpu, rss, out_of_memory, nothing_left = values
            child = self._children[number]
            child.exited(
                Exit(status=int(status), cpu_seconds=cpu, max_rss_bytes=int(rss), out_of_memory=bool(out_of_memory))
            )
            if nothing_left:
                child.ended(0)
                del self._children[number]
        elif op == wire.SPAWNED:
            child = SupervisedChild(self, number, int(values[0]))
            self._children[number] = child
            self._starting.pop(number).set_result(child)
        elif op == wire.ENDED and number in self._children:
            self._children.pop(number).ended(int(values[0]))
        elif op == wire.FAILED:
            code = int(values[0])
            self._starting.pop(number).set_exception(OSError(code, os.strerror(code), os.fsdecode(name)))
        elif op == wire.READY and not self._ready.done():
            self.leftovers, self.pid = number, int(values[0])
            born = procfs.process(self.pid)
            self._since = born.start if born else -1
            self._ready.set_result(None)

    def _lose(self) -> None:
        """Note that the supervisor is gone, and tell everybody who waits for it."""
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._channel.fileno())
        self._stop_writing()
        self._channel.close()
        error = SupervisorLost("the process supervisor has ended; everything it had started is ended with it")
        unsent = NotStarted(
            "the process supervisor has ended"
            if self.pid
            else "the process supervisor could not be started; its error output says why"
        )
        never_left = {number for number, _, _ in self._outgoing}
        self._outgoing.clear()
        for number, started in self._starting.items():
            _fail(started, unsent if number in never_left else error)
        _fail(self._ready, unsent)
        children = list(self._children.values())
        self._children.clear()
        for child in children:
            child.orphaned(error)
        if self.pid and not self._closing:
            self._aftermath = asyncio.ensure_future(self._clean_up(self))
            self._aftermath.add_done_callback(_note)


def _fail(future: asyncio.Future[Any], error: SupervisorLost) -> None:
    """Let a future raise; that nobody waits for it is no mistake."""
    if not future.done():
        future.set_exception(error)
        future.exception()


def _note(future: asyncio.Future[None]) -> None:
    """Look at how a future ended, so that it is no mistake if nobody else does."""
    if not future.cancelled():
        future.exception()


def _transmit(channel: socket.socket, packet: bytes, fds: Sequence[int]) -> None:
    """Send one request with its descriptors; a large one goes in a memory file."""
    if len(packet) <= wire.PACKET_LIMIT:
        _pass(channel, packet, fds)
        return
    memory = os.memfd_create("windlass-spawn", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(packet)
        _pass(channel, wire.pack_large(), (memory, *fds))
    finally:
        os.close(memory)


def _pass(channel: socket.socket, packet: bytes, fds: Sequence[int]) -> None:
    """Send a packet and descriptors."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    channel.sendmsg([packet], ancillary)
