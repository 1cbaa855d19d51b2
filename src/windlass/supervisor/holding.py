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

    def owner(self, instance: str) -> str:
        """Return a name for whoever holds this lock, with `instance` in front.

        It follows from the file itself and not from its path or content, for those can be copied: two that hold
        different locks never take the other's processes for their own.
        """
        status = os.fstat(self._fd)
        return f"{instance}.{status.st_dev:x}-{status.st_ino:x}"

    def write(self, record: str) -> None:
        """Leave one line for who holds the lock next, should we be killed."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{record}\n".encode(), 0)


def take(path: str, gives_up: Callable[[], bool]) -> Lock | None:
    """Return the lock at `path` once it is free, None as soon as `gives_up` says so, which also sets the pace."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(path), os.fstat(fd)):  # noqa: PTH116 - pathlib costs memory
                return Lock(fd)
        except BlockingIOError:
            if gives_up():
                os.close(fd)
                return None
        except FileNotFoundError:
            pass
        os.close(fd)  # held by somebody, or no longer the file of that name: try again


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
