"""The lock that says that steps of a store may be running; whoever holds it answers for them."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Lock:
    """The lock, held by this process and those it forks until the last of them has ended."""

    __slots__ = ("_fd", "record")

    def __init__(self, fd: int) -> None:
        """Take over the descriptor of the locked file."""
        self._fd = fd
        #: What the holder before us wrote; whole or not at all, as it is one line.
        first, end, _ = os.pread(fd, 65536, 0).decode(errors="replace").partition("\n")
        self.record = first if end else ""

    def write(self, record: str) -> None:
        """Leave one line for who holds the lock next, should we be killed."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{record}\n".encode(), 0)


def take(path: str, gives_up: Callable[[], bool]) -> Lock | None:
    """Return the lock at `path` once it is free, None as soon as `gives_up` says so, which also sets the pace."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if gives_up():
                os.close(fd)
                return None
        else:
            return Lock(fd)


def is_held(path: str | os.PathLike[str]) -> bool:
    """Tell whether somebody holds the lock at `path`; a file that does not exist is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
