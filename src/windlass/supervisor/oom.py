"""When memory runs out: steps go before those who look after them, and whom the kernel killed is counted."""

from __future__ import annotations

import os

from windlass.supervisor import cgroup

_SPARED = b"-900"
#: By how much a step's score is above that of the worker: as if it held a tenth of all memory more.
_STEP = 100
_MOST = 1000


class Standing:
    """This process's score, which what it forks inherits."""

    __slots__ = ("_fd", "_ours", "_theirs")

    def __init__(self) -> None:
        """Find out whether we may lower the score at all: it takes CAP_SYS_RESOURCE. Raising it needs nothing."""
        self._fd = -1
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        self._fd = fd
        self._ours = os.read(fd, 16).strip()
        self._theirs = b"%d" % min(int(self._ours) + _STEP, _MOST)
        try:
            os.write(fd, _SPARED)
            self._ours = _SPARED
        except OSError:
            return

    def protect(self) -> None:
        """Stand as one whom the kernel spares, as far as it lets us."""
        if self._fd >= 0:
            os.write(self._fd, self._ours)

    def expose(self) -> None:
        """Stand as what is started now is to stand."""
        if self._fd >= 0:
            os.write(self._fd, self._theirs)


class Killings:
    """How many processes the kernel has killed for want of memory in the control group that we were started in."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        """Find the count; without a memory controller there is none."""
        self._fd = -1
        folders = cgroup.folders_here()
        for hierarchy, name in (("", "memory.events"), ("memory", "memory.oom_control")):
            try:
                self._fd = os.open(f"{folders[hierarchy]}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except (KeyError, OSError):
                continue
            return

    def count(self) -> int:
        """Return the number so far; always 0 where it is not known."""
        if self._fd < 0:
            return 0
        for line in os.pread(self._fd, 4096, 0).splitlines():
            name, _, value = line.partition(b" ")
            if name == b"oom_kill":
                return int(value)
        return 0
