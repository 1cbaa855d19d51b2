"""Signal whole trees of processes without hitting a stranger that was given a dead one's number."""

from __future__ import annotations

import contextlib
import os
import signal

from windlass.supervisor import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from windlass.supervisor.procfs import Process


def send(one: Process, number: int) -> bool:
    """Send a signal to the very process that was seen; return whether it was still there.

    Raises PermissionError where it has become somebody else's.
    """
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
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def send_all(roots: Iterable[int], number: int, table: Mapping[int, Process], refused: set[int]) -> list[Process]:
    """Send a signal to the trees below `roots`, parents first; return whom it reached.

    Who may not be signalled is added to `refused`.
    """
    reached: list[Process] = []
    for one in procfs.descendants(roots, table):
        if one.pid in (os.getpid(), os.getppid()):  # a step may have moved us into its control group
            continue
        try:
            if send(one, number):
                reached.append(one)
            if number == signal.SIGTERM:
                send(one, signal.SIGCONT)  # a stopped process takes it only when it goes on
        except PermissionError:
            refused.add(one.pid)
    return reached


def stop_own_child(pid: int) -> bool:
    """Stop a child that nobody but this thread reaps, so that its number cannot be another's; False if we may not."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def continue_own_child(pid: int) -> None:
    """Let a child go on that `stop_own_child` has stopped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGCONT)


def _same(one: Process) -> bool:
    """Tell whether the number still belongs to the process that was seen."""
    now = procfs.process(one.pid)
    return now is not None and now.start == one.start


def _kill(pid: int, number: int) -> bool:
    """Signal by number; return whether there was a process to take it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
