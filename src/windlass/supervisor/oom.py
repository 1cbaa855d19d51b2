"""What happens when memory runs out: the supervisor asks to be spared, and counts whom the kernel killed."""

from __future__ import annotations

import os

from windlass.supervisor import cgroup

_SPARED = b"-900"


class Standing:
    """This process's score, which what it forks inherits."""

    __slots__ = ("_default", "_fd")

    def __init__(self) -> None:
        """Find out whether we may lower the score at all: it takes CAP_SYS_RESOURCE."""
        self._fd = -1
        self._default = b"0"
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        self._default = os.read(fd, 16).strip()
        try:
            os.write(fd, _SPARED)
            self._fd = fd
        except OSError:
            os.close(fd)

    def protect(self) -> None:
        """Ask the kernel to spare this process."""
        if self._fd >= 0:
            os.write(self._fd, _SPARED)

    def expose(self) -> None:
        """Stand again as this process was started."""
        if self._fd >= 0:
            os.write(self._fd, self._default)


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
