"""Owning an embedded store: one process at a time, named in the lock file, reached by its socket."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from windlass.clock import Clock, SystemClock, to_text
from windlass.errors import Unavailable
from windlass.store.lockfile import LockFile, Note, Owner, find_owner, lock_path, steps_lock_path
from windlass.store.place import prepare_folder
from windlass.supervisor.steps_lock import wait_released

_log = logging.getLogger(__name__)

#: Seconds that a process waits for a store that another one holds.
WAIT: Final = 10.0
#: Processes that work in one home on one database in a server.
_NODES: Final = 64
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1
#: Bytes that fit into the address of a Unix socket (unix(7)), its end mark aside.
SOCKET_PATH_LIMIT: Final = 107


class Ownership:
    """The right to open a database, held until it is released or the process ends."""

    def __init__(self, database: Path, lock: LockFile, note: Note) -> None:
        """Hold `lock`, in which `note` stands. Ownerships are made by `own`."""
        self.database = database
        self._lock = lock
        self._note = note
        self._released = False

    @property
    def note(self) -> Note:
        """What the lock file says; of the last owner it carries on `store` and `wal`."""
        return self._note

    @property
    def steps_lock(self) -> Path:
        """The file that a supervisor locks for as long as a process of a step may run."""
        return steps_lock_path(self.database)

    def announce(self, socket: Path) -> None:
        """Name the socket on which this process now listens."""
        self._write(replace(self._note, socket=str(socket)))

    def opened(self, store: str) -> None:
        """Note that the database is open and holds the store with this id."""
        self._write(replace(self._note, store=store, wal=True))

    def closing(self) -> None:
        """Note, durably, that the write-ahead log may now go, because the database is about to be closed in order.

        Where that cannot be written, as on a full disk, the release writes it.
        """
        note = replace(self._note, wal=False)
        with suppress(Unavailable):
            self._write(note, durable=True)
        self._note = note

    def restored(self, store: str) -> None:
        """Note, durably, that another database stands in the place of the one before, whole and without a log."""
        self._write(replace(self._note, store=store, wal=False), durable=True)

    async def steps_ended(self, *, wait: float | None = None) -> None:
        """Return once no process of an earlier owner's steps is left.

        Raises Unavailable where that takes longer than `wait` seconds; None waits for as long as it takes.
        """
        try:
            await asyncio.wait_for(wait_released(self.steps_lock), wait)
        except TimeoutError:
            raise Unavailable(
                f"Steps that an earlier process started still run after {wait:g} s: their lock is {self.steps_lock}."
            ) from None

    def release(self) -> None:
        """Let go, and remove the socket; releasing twice is fine."""
        if self._released:
            return
        self._released = True
        if self._note.socket:
            _remove_socket(Path(self._note.socket))
        with suppress(OSError):  # a full disk must not keep the lock from going
            self._lock.write(Note(store=self._note.store, wal=self._note.wal))
        self._lock.close()

    def _write(self, note: Note, *, durable: bool = False) -> None:
        if self._released:
            return
        try:
            self._lock.write(note, durable=durable)
        except OSError as error:
            raise Unavailable(f"The lock file {self._lock.path} cannot be written: {error.strerror}.") from error
        self._note = note


async def own(
    database: Path,
    *,
    version: str,
    wait: float = WAIT,
    clock: Clock | None = None,
    alone: bool = False,
    home: bool = False,
) -> Ownership:
    """Take the lock of `database`, and make its folder where it is missing.

    `alone` is for what has to wait until no server is there: the sentence then says to stop it. With `home` it is no
    database but a place in the home of a server (`store.place.node_path`): the sentence then asks for another home.
    Raises Unavailable where another process holds it for longer than `wait` seconds, Refused where the folder or the
    lock file is open to others.
    """
    prepare_folder(database)
    taking = _Taking(database, version, clock or SystemClock())
    if wait and not taking.take():
        _log.warning("The store at %s is in use by %s; waiting up to %g s for it", database, taking.holder(), wait)
    if not taking.taken:
        await _until(taking.take, wait)
    return taking.ownership(alone=alone, home=home)


async def own_a_node(path: Path, *, version: str, clock: Clock | None = None) -> Ownership:
    """Take the first place in a home that no other process has, of those that are called as `path` says.

    Raises Unavailable where there is none, Refused as `own` does.
    """
    prepare_folder(path)
    for number in range(1, _NODES + 1):
        place = path if number == 1 else path.with_name(f"{path.name}-{number}")
        taking = _Taking(place, version, clock or SystemClock())
        if taking.take():
            return taking.ownership()
    raise Unavailable(f"{_NODES} processes work in the home {path.parent}: give this one another WINDLASS_HOME.")


async def own_or_find(
    database: Path, *, version: str, wait: float = WAIT, clock: Clock | None = None
) -> Ownership | Owner:
    """Take the lock of `database`, or return the owner as soon as it listens on a socket.

    An owner that does not listen is waited for, up to `wait` seconds. Raises as `own` does.
    """
    prepare_folder(database)
    taking = _Taking(database, version, clock or SystemClock())
    await _until(lambda: taking.take() or taking.find(), wait)
    return taking.found or taking.ownership()


class _Taking:
    """Tries to take a lock, and what came of it."""

    def __init__(self, database: Path, version: str, clock: Clock) -> None:
        self._database = database
        self._version = version
        self._clock = clock
        self._taken: Ownership | None = None
        #: An owner that listens.
        self.found: Owner | None = None

    def ownership(self, *, alone: bool = False, home: bool = False) -> Ownership:
        """Return what was taken; raises Unavailable, with the owner's name, where nothing was."""
        if self._taken is not None:
            return self._taken
        if home:
            raise Unavailable(
                f"The home {self._database.parent} is in use by {self.holder()}: give this server another "
                "WINDLASS_HOME; each server on a machine has one of its own."
            )
        if alone:
            raise Unavailable(f"The store at {self._database} is in use by {self.holder()}: stop the server first.")
        owner = find_owner(self._database)
        beside = ""
        if owner is not None and owner.socket is not None:
            beside = "; other commands work through it, and a second server is of no use beside it"
        raise Unavailable(
            f"The store at {self._database} is in use by {self.holder()}: try again, or stop that process{beside}."
        )

    @property
    def taken(self) -> bool:
        """True once the lock is ours."""
        return self._taken is not None

    def holder(self) -> str:
        """Say who holds the lock, and since when."""
        owner = find_owner(self._database)
        who = "another process" if owner is None or owner.pid is None else f"process {owner.pid}"
        since = "" if owner is None or owner.started is None else f" since {to_text(owner.started)[:19]}Z"
        return f"{who}{since}"

    def take(self) -> bool:
        """Try once to take the lock."""
        lock = LockFile(lock_path(self._database))
        try:
            if lock.take() and lock.is_current():
                self._taken = self._own(lock)
        except OSError as error:
            raise Unavailable(f"The lock file {lock.path} cannot be used: {error.strerror}.") from error
        finally:
            if self._taken is None:
                lock.close()
        return self._taken is not None

    def find(self) -> bool:
        """Look once for an owner that listens."""
        owner = find_owner(self._database)
        if owner is not None and owner.socket is not None and owner.socket.is_socket():
            self.found = owner
        return self.found is not None

    def _own(self, lock: LockFile) -> Ownership:
        last = lock.read()
        _remove_socket(_beside(self._database))
        if last.socket:
            _remove_socket(Path(last.socket))
        note = Note(pid=os.getpid(), started=self._clock.now(), version=self._version, store=last.store, wal=last.wal)
        lock.write(note)
        return Ownership(self._database, lock, note)


def socket_place(database: Path) -> Path:
    """Return where the owner of `database` listens, in a folder that is made if need be.

    That is beside the database; where that path is too long for a socket, in `$XDG_RUNTIME_DIR`, or in a private folder
    of this user in `/tmp`. Raises Unavailable where there is no such place.
    """
    beside = _beside(database)
    if _fits(beside):
        return beside
    name = hashlib.sha256(os.fsencode(database)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and _is_private(Path(runtime)):
        place = Path(runtime) / f"windlass-{name}.sock"
        if _fits(place):
            return place
    folder = Path(f"/tmp/windlass-{os.geteuid()}")  # noqa: S108 - checked to be a folder of this user alone
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_private(folder):
        raise Unavailable(
            f"The path {beside} is too long for a socket, and {folder} is no private folder of this user: "
            "set XDG_RUNTIME_DIR, or keep the database under a shorter path."
        )
    return folder / f"{name}.sock"


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.sock")


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT


def _is_private(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _remove_socket(path: Path) -> None:
    with suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


async def _until(condition: Callable[[], bool], wait: float) -> None:
    """Ask `condition` at growing intervals until it is true, for up to `wait` seconds."""
    end = time.monotonic() + wait
    pause = _FIRST_PAUSE
    while not condition():
        left = end - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
