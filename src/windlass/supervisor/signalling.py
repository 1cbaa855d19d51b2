"""Signal whole trees of processes without hitting a stranger that was given a dead one's number."""

from __future__ import annotations

import os
import signal

from windlass.supervisor import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from windlass.supervisor.procfs import Process


def send(one: Process, number: int) -> bool:
    """Send a signal to the very process that was seen; return whether it was still there."""
    try:
        fd = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return False
    except OSError:  # an old kernel, or no descriptor to be had: a window of microseconds is left
        return _same(one) and _kill(one.pid, number)
    try:
        # The descriptor holds the process, so that the second look says for good which one it is.
        if not _same(one):
            return False
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def ask_to_end(roots: Iterable[int], table: Mapping[int, Process]) -> list[Process]:
    """Send SIGTERM to the trees below `roots`, waking what is stopped; return whom it reached."""
    reached = [one for one in procfs.descendants(roots, table) if send(one, signal.SIGTERM)]
    for one in reached:
        if one.state in "Tt":
            send(one, signal.SIGCONT)
    return reached


def kill(roots: Iterable[int], table: Mapping[int, Process]) -> list[Process]:
    """Send SIGKILL to the trees below `roots`; return whom it reached."""
    return [one for one in procfs.descendants(roots, table) if send(one, signal.SIGKILL)]


def _same(one: Process) -> bool:
    """Tell whether the number still belongs to the process that was seen."""
    now = procfs.process(one.pid)
    return now is not None and now.start == one.start


def _kill(pid: int, number: int) -> bool:
    """Signal by number; return whether there was a process to take it."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
