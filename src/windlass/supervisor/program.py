"""The supervisor as a program of its own: `python -I -S -E program.py CHANNEL [LOCK]`.

Two small processes: the guard only waits; its child, the supervisor, serves the worker. Both are subreapers, so that
what daemonises stays theirs: the supervisor's while it lives, the guard's if somebody kills the supervisor, and the
guard then kills all of it. Both hold the lock, which therefore stays taken until nothing is left.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import time


def _import_without_the_package() -> None:
    """Let this program's modules be imported alone: the packages around them hold what it has no use for."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs memory
    for name, folder in (("windlass", os.path.dirname(here)), ("windlass.supervisor", here)):  # noqa: PTH120 - as above
        package = type(sys)(name)
        package.__path__ = [folder]
        sys.modules[name] = package


if __name__ == "__main__":
    _import_without_the_package()

from windlass.supervisor import procfs, signalling, wire  # noqa: E402 - the line above makes it possible
from windlass.supervisor.oom import Standing  # noqa: E402 - as above
from windlass.supervisor.serve import Service  # noqa: E402 - as above

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_ROUND = 0.02
#: What a terminal or a service's stop sends to everybody: the worker decides, and the channel tells.
_NOT_FOR_US = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


def main(arguments: list[str]) -> int:
    """Run guard and supervisor until nothing is left; return the exit status."""
    channel = socket.socket(fileno=int(arguments[0]))
    channel.set_inheritable(False)
    os.chdir("/")
    for number in _NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    if len(arguments) > 1 and not _take(arguments[1], channel):
        return 0
    worker = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    _become_subreaper()
    supervisor = os.fork()
    if supervisor:
        channel.close()
        Standing()
        return _guard(supervisor)
    _become_subreaper()  # not inherited
    service = Service(channel, worker)
    service.say(wire.READY, 0, os.getpid())
    service.run()
    return 0


def _guard(supervisor: int) -> int:
    """Wait for the supervisor and kill what it leaves; return when nothing is left."""
    status = 0
    while True:
        pid, ended = os.waitpid(-1, 0)
        if pid == supervisor:
            status = os.waitstatus_to_exitcode(ended)
            break
    children = procfs.Children()
    while left := children.pids():
        signalling.kill(left, procfs.processes())
        time.sleep(_ROUND)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
    return 0 if status == 0 else 1


def _become_subreaper() -> None:
    """Be the one that orphans below this process are given to."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _take(path: str, channel: socket.socket) -> bool:
    """Hold the lock at `path` for as long as this process or its child lives.

    Waits while the supervisor of an earlier worker still ends its children. Returns False where our own worker went
    away meanwhile.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    poll = select.poll()
    poll.register(channel, 0)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if poll.poll(_ROUND * 1000):
                return False
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
