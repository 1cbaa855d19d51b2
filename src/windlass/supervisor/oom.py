"""The supervisor's standing with the kernel when memory runs out: spared where we may ask for it, its children not."""

from __future__ import annotations

import os

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
