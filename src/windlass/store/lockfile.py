"""The lock file beside a database: who holds it, where that process listens, and how the last one left.

The lock is flock(2), which ends with its process; the text says what the kernel does not. The file is never removed: a
second process could lock a new one while the first still holds the old.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from windlass.errors import Refused, Unavailable

_SIZE_LIMIT = 16_384
#: What a home calls one of several processes that work on a database on a server.
_ONE_OF_SEVERAL = re.compile(r"(postgresql-[0-9a-f]+)-\d+")
#: Descriptors of the locks that this process holds: a forked child lets go of them, or it would own the store too.
_held: set[int] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the lock file says; its first line, as JSON."""

    #: The owner's process; None once it has left in good order.
    pid: int | None = None
    #: Where the owner listens; None until it does.
    socket: str | None = None
    #: When the owner took the lock, in microseconds.
    started: int | None = None
    #: The owner's version of Windlass.
    version: str | None = None
    #: Id of the store that the database held when it was last open; None where there was none yet.
    store: str | None = None
    #: Whether the database was left with a write-ahead log, without which it is not whole.
    wal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that holds a database."""

    #: None in the moment before the owner has written its name.
    pid: int | None
    #: Where it listens; None while it opens the store, and for a command that holds it only for a moment.
    socket: Path | None
    #: When it took the lock, in microseconds.
    started: int | None
    version: str | None


class LockFile:
    """An open lock file."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, made with mode 0600 where it is missing.

        Raises Refused where it is a link or another user's, Unavailable where it cannot be opened.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"The lock file {path} cannot be opened: {error.strerror}.") from error
        self._process = os.getpid()
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()}:
            os.close(self._descriptor)
            raise Refused(f"The lock file {path} belongs to another user or is no file: move it away and start again.")

    def take(self) -> bool:
        """Take the lock if nobody has it; say whether that went well."""
        if not _flock(self._descriptor, fcntl.LOCK_EX):
            return False
        _held.add(self._descriptor)
        return True

    def is_current(self) -> bool:
        """Say whether the path still leads to this file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def read(self) -> Note:
        """Return what the file says; an empty note where that makes no sense."""
        return _parse(os.pread(self._descriptor, _SIZE_LIMIT, 0))

    def write(self, note: Note, *, durable: bool = False) -> None:
        """Say `note`; `durable` flushes it to the disk."""
        line = json.dumps(asdict(note)).encode() + b"\n"
        os.pwrite(self._descriptor, line, 0)
        os.ftruncate(self._descriptor, len(line))
        if durable:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the lock; closing twice is fine, and so is closing in a forked child."""
        if self._descriptor >= 0 and self._process == os.getpid():
            _held.discard(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1


def find_owner(database: Path) -> Owner | None:
    """Return the process that holds `database`, or None where nobody does.

    In the first moment after a change of owner the answer may still carry the last one's name and socket: who cannot
    connect to that socket asks again.
    """
    path = lock_path(database)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"The lock file {path} cannot be read: {error.strerror}.") from error
    try:
        if _flock(descriptor, fcntl.LOCK_SH):
            return None
        note = _parse(os.pread(descriptor, _SIZE_LIMIT, 0))
    finally:
        os.close(descriptor)
    socket = Path(note.socket) if note.socket else None
    return Owner(pid=note.pid, socket=socket, started=note.started, version=note.version)


def databases_below(folder: Path) -> frozenset[tuple[str, str]]:
    """Return the databases that processes have worked on whose lock files lie in a folder: name, and id of the store.

    Those that several processes of one home have for one database on a server are one.
    """
    found: set[tuple[str, str]] = set()
    for path in folder.glob("*.lock"):
        try:
            store = _parse(path.read_bytes()[:_SIZE_LIMIT]).store
        except OSError:
            continue
        if store:
            found.add((_ONE_OF_SEVERAL.sub(r"\1", path.name.removesuffix(".lock")), store))
    return frozenset(found)


def lock_path(database: Path) -> Path:
    """Return where the lock of a database is."""
    return database.with_name(f"{database.name}.lock")


def steps_lock_path(database: Path) -> Path:
    """Return the file that is locked for as long as a process of a step may run."""
    return database.with_name(f"{database.name}.steps.lock")


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(data: bytes) -> Note:
    try:
        values = json.loads(data.partition(b"\n")[0])
        return Note(**values)
    except (ValueError, TypeError):
        return Note()


def _let_go_in_child() -> None:
    for descriptor in tuple(_held):
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
