"""The supervisor as a program of its own: `python -I -S -E program.py CHANNEL INSTANCE GROUPS LOCK`.

Two small processes: the guard only waits; its child, the supervisor, serves the worker. Both are subreapers, so that
what daemonises stays theirs: the supervisor's while it lives, the guard's if somebody kills the supervisor, and the
guard then kills all of it. Both hold the lock, which therefore stays taken until nothing is left.
"""

from __future__ import annotations

import ctypes
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

from windlass.supervisor import cgroup, holding, procfs, signalling, wire  # noqa: E402 - the line above makes it possible
from windlass.supervisor.leftovers import kill_leftovers  # noqa: E402 - as above
from windlass.supervisor.oom import Standing  # noqa: E402 - as above
from windlass.supervisor.serve import Service  # noqa: E402 - as above

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_ROUND = 0.02
#: What a terminal or a service's stop sends to everybody: the worker decides, and the channel tells.
_NOT_FOR_US = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


def main(arguments: list[str]) -> int:
    """Run guard and supervisor until nothing is left; return the exit status.

    The arguments are: the number of our end of the channel; the instance that begins every mark; which control
    groups to use ("auto", "v1" or "off"); the path of the lock, which may be empty.
    """
    number, instance, wanted, path = arguments
    channel = socket.socket(fileno=int(number))
    channel.set_inheritable(False)
    worker = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    os.chdir("/")
    for signal_number in _NOT_FOR_US:
        signal.signal(signal_number, signal.SIG_IGN)
    lock = holding.take(path, lambda: _has_hung_up(channel)) if path else None
    if path and lock is None:
        return 0
    owner = lock.owner(instance) if lock else instance
    killed = kill_leftovers(owner, [lock.record] if lock else [])
    groups = cgroup.make(owner, wanted)
    if lock:
        lock.write(groups.folder if groups else "")
    _become_subreaper()
    supervisor = os.fork()
    if supervisor:
        channel.close()
        return _guard(supervisor, groups)
    _become_subreaper()  # not inherited
    if groups:
        groups.settle()
    service = Service(channel, worker, groups, f"{owner}:".encode())
    service.say(wire.READY, killed, os.getpid())
    service.run()
    if groups:
        groups.abolish()
    return 0


def _guard(supervisor: int, groups: cgroup.Groups | None) -> int:
    """Wait for the supervisor and kill what it leaves; return when nothing is left."""
    Standing()
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == supervisor:
            break
    children = procfs.Children()
    untouchable: set[int] = set()
    while left := children.pids() - untouchable:
        if groups:
            cgroup.kill_all_in(groups.folder)
        for pid in left:
            signalling.stop_own_child(pid)  # who forks and ends at once cannot be caught otherwise
        signalling.send_all(left, signal.SIGKILL, procfs.processes(), untouchable)
        time.sleep(_ROUND)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
    if groups:
        cgroup.remove(groups.folder)
    return 0 if status == 0 else 1


def _has_hung_up(channel: socket.socket) -> bool:
    """Tell whether the worker has gone; waits a moment for it."""
    poll = select.poll()
    poll.register(channel, select.POLLRDHUP)
    return bool(poll.poll(_ROUND * 1000))


def _become_subreaper() -> None:
    """Be the one that orphans below this process are given to."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
