"""The supervisor's loop: take requests, start children, report how they end, end what is unwanted."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct

from windlass.supervisor import launch, wire
from windlass.supervisor.endings import Endings
from windlass.supervisor.oom import Killings, Standing
from windlass.supervisor.trees import Forest, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from windlass.supervisor.cgroup import Groups

_ANCILLARY = socket.CMSG_SPACE(wire.MAX_FDS * 4)
_PACKET = 2 * wire.PACKET_LIMIT
#: Requests taken between two looks at who has ended.
_BATCH = 32
#: Seconds that the last replies may wait for a worker that has hung up.
_FAREWELL = 5.0
#: How a process ends that the kernel killed, and how a shell tells of one.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


class Service:
    """One supervisor at work for one worker."""

    def __init__(self, channel: socket.socket, worker: int, groups: Groups | None, owner: bytes) -> None:
        """Serve the worker at the other end of `channel`; `worker` is its pid, `owner` begins every mark."""
        self._owner = owner
        self._channel = channel
        channel.setblocking(False)  # noqa: FBT003 - the standard library's own call
        self._groups = groups
        self._forest = Forest(groups)
        self._endings = Endings(self._forest)
        self._standing = Standing()
        self._killings = Killings()
        self._outgoing: list[bytes] = []
        self._open = True
        self._poll = select.epoll()
        self._poll.register(channel.fileno(), select.EPOLLIN)
        self._interest = select.EPOLLIN
        self._bell, ringing = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(ringing, False)
        self._poll.register(self._bell, select.EPOLLIN)
        signal.set_wakeup_fd(ringing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            # The channel alone would not do: a fork of the worker may hold a copy of its end.
            self._worker = os.pidfd_open(worker)
            self._poll.register(self._worker, select.EPOLLIN)
        except OSError:
            self._worker = -1

    def run(self) -> None:
        """Serve until the worker is gone or hangs up, then end everything; return when nothing is left."""
        self._flush()
        while self._open or self._forest.by_number or self._forest.orphans():
            events = self._poll.poll(0)
            if not events:
                if self._groups:
                    self._groups.leave()  # only now: moving costs, and the next start would move us anyway
                events = self._poll.poll(self._endings.timeout())
            for fd, event in events:
                if fd == self._channel.fileno():
                    if event & (select.EPOLLIN | select.EPOLLHUP) and self._open:
                        self._receive()
                elif fd == self._bell:
                    while _drain(self._bell):
                        pass
                elif fd == self._worker:
                    self._poll.unregister(self._worker)
                    self._hang_up()
            self._reap()
            self._flush()
        self._channel.settimeout(_FAREWELL)
        self._flush()

    def say(self, op: int, number: int, *values: float, name: bytes = b"") -> None:
        """Queue a reply for the worker."""
        self._outgoing.append(wire.pack_reply(op, number, *values, name=name))

    # Requests

    def _receive(self) -> None:
        """Take some of the requests that have arrived."""
        for _ in range(_BATCH):
            try:
                packet, ancillary, flags, _ = self._channel.recvmsg(_PACKET, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._hang_up()
                return
            fds = _descriptors(ancillary)
            try:
                if packet[0] == wire.LARGE and fds:
                    packet = _contents(fds[0])
                    os.close(fds.pop(0))
                self._obey(packet, fds, lost=bool(flags & socket.MSG_CTRUNC))
            finally:
                for fd in fds:
                    os.close(fd)

    def _obey(self, packet: bytes, fds: Sequence[int], *, lost: bool) -> None:
        """Carry out one request; `lost` tells that descriptors did not arrive, for want of free numbers."""
        if packet[0] == wire.END:
            number, grace = wire.unpack_end(packet)
            tree = self._forest.by_number.get(number)
            if tree is None:
                self.say(wire.ENDED, number, 0)
            else:
                for one in self._forest.with_mark(tree.mark):
                    self._endings.reject(one, grace)
        elif packet[0] == wire.SPAWN:
            request = wire.Launch.unpack(packet)
            if lost:
                self.say(wire.FAILED, request.number, errno.EMFILE, name=request.argv[0])
            else:
                self._start(request, fds)

    def _start(self, request: wire.Launch, fds: Sequence[int]) -> None:
        """Start a child and say its pid, or why it could not be."""
        tree = Tree(request.number, self._owner + request.mark)
        request.env.append(wire.MARK_VARIABLE.encode() + b"=" + tree.mark)  # the last one of a name counts
        tree.out_of_memory = self._killings.count()
        tree.grouped = self._groups is not None and self._groups.enter(tree.number)
        try:
            tree.pid = launch.start(request, fds, self._standing)
        except (OSError, ValueError) as error:  # ValueError: what no program can be given, such as a NUL
            self._forest.vacated(tree)
            name = getattr(error, "filename", None)
            name = name if isinstance(name, bytes) else request.argv[0]
            self.say(wire.FAILED, request.number, getattr(error, "errno", None) or errno.EINVAL, name=name[:4096])
            return
        self._forest.add(tree)
        self.say(wire.SPAWNED, request.number, tree.pid)

    def _hang_up(self) -> None:
        """Take leave of the worker: nothing more will be asked, and nothing that was started may live on."""
        if self._open:
            self._open = False
            self._poll.unregister(self._channel.fileno())
            self._endings.reject_everything()

    # Ends

    def _reap(self) -> None:
        """Take in every child that has ended; report those that were asked for, and trees of which nothing is left."""
        exits: list[tuple[Tree, int, float, int]] = []
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            tree = self._forest.reaped(pid)
            if tree:
                cpu = used.ru_utime + used.ru_stime
                exits.append((tree, os.waitstatus_to_exitcode(status), cpu, used.ru_maxrss * 1024))
        if not (exits or self._endings.restless):
            return
        owners = self._forest.orphans(held=self._endings.laborious)
        held = {number for numbers in owners.values() for number in numbers}
        for tree, status, cpu, rss in exits:
            starved = status in _KILLED and not tree.unwanted and self._killings.count() > tree.out_of_memory
            nothing_left = not tree.unwanted and tree.number not in held and self._forest.vacated(tree)
            self.say(wire.EXITED, tree.number, status, cpu, rss, starved, nothing_left)
            if nothing_left:
                self._forest.forget(tree)
        for tree in self._endings.advance(owners):
            self.say(wire.ENDED, tree.number, len(tree.killed))
        self._forest.release()

    # Replies

    def _flush(self) -> None:
        """Send what there is to say, as far as the worker takes it."""
        while self._outgoing:
            size = count = 0
            for reply in self._outgoing:
                if size + len(reply) > wire.PACKET_LIMIT:
                    break
                size += len(reply)
                count += 1
            try:
                self._channel.send(b"".join(self._outgoing[:count]))
            except BlockingIOError:
                break
            except OSError:
                self._outgoing.clear()
                self._hang_up()
                break
            del self._outgoing[:count]
        interest = select.EPOLLIN | (select.EPOLLOUT if self._outgoing else 0)
        if self._open and interest != self._interest:
            self._poll.modify(self._channel.fileno(), interest)
            self._interest = interest


def _drain(fd: int) -> bool:
    """Empty a pipe that only wakes; return whether there may be more."""
    try:
        return len(os.read(fd, 4096)) == 4096  # noqa: PLR2004 - what was asked for
    except BlockingIOError:
        return False


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with a packet."""
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.extend(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
    return found


def _contents(fd: int) -> bytes:
    """Return what stands in a memory file."""
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return file.read()
