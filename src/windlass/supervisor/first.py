"""Being the first process of a container: somebody has to reap orphans and to hand signals on, and little else."""

from __future__ import annotations

import os
import signal
from typing import Final

#: Signals that are handed on.
_SIGNALS: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
#: Where a signal of a terminal comes from: it has reached the whole group of processes already.
_FROM_KERNEL: Final = 0x80


def step_aside() -> None:
    """Go on in a child where this is the first process of its namespace; else do nothing.

    The first process stays what it is: it hands signals on to the child, reaps every orphan, and ends as the child
    does, with 128 and the number of a signal that ended it. Call it before there are threads.
    """
    if os.getpid() != 1:
        return
    waited = _SIGNALS | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        found = signal.sigwaitinfo(waited)
        if found.si_signo != signal.SIGCHLD:
            if found.si_code != _FROM_KERNEL:
                os.kill(child, found.si_signo)
            continue
        code = _reap(child)
        if code is not None:
            os._exit(code)


def _reap(child: int) -> int | None:
    """Reap everything that has ended; return the exit code that stands for the end of `child`, None while it lives."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended
