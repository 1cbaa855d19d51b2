"""Who holds an embedded store, how others find that process, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.begun import begun
from windlass.clock import ManualClock
from windlass.errors import Refused, Unavailable
from windlass.store.lockfile import Note, Owner, find_owner, lock_path, steps_lock_path
from windlass.store.owner import SOCKET_PATH_LIMIT, Ownership, own, own_or_find, socket_place

HOLDER = """
import asyncio, socket, sys
from pathlib import Path
from windlass.store.owner import own

async def hold():
    ownership = await own(Path(sys.argv[1]), version="9")
    if len(sys.argv) > 2:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(sys.argv[2])
        listening.listen()
        ownership.announce(Path(sys.argv[2]))
    print("held", flush=True)
    sys.stdin.read()
    ownership.release()

asyncio.run(hold())
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "home" / "jobs.db"


class Holder:
    """Another process that owns a database until it is told to go, or killed."""

    def __init__(self, database: Path, *more: Path) -> None:
        """Start it and return once it holds the lock; with one more path it listens there."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, database, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def leave(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    started: list[Holder] = []
    yield started
    for holder in started:
        holder.kill()


def note_of(database: Path) -> dict[str, object]:
    note: dict[str, object] = json.loads(lock_path(database).read_text().splitlines()[0])
    return note


async def test_an_owner_is_named_in_the_lock_file(database: Path) -> None:
    clock = ManualClock()
    assert find_owner(database) is None
    ownership = await own(database, version="1.2", clock=clock)
    assert find_owner(database) == Owner(pid=os.getpid(), socket=None, started=clock.now(), version="1.2")
    ownership.announce(database.with_name("jobs.db.sock"))
    owner = find_owner(database)
    assert owner is not None
    assert owner.socket == database.with_name("jobs.db.sock")
    ownership.release()
    ownership.release()
    assert find_owner(database) is None
    assert lock_path(database).exists()


async def test_files_and_folder_are_for_their_user_alone(database: Path) -> None:
    ownership = await own(database, version="1")
    assert database.parent.stat().st_mode & 0o777 == 0o700
    assert lock_path(database).stat().st_mode & 0o777 == 0o600
    ownership.release()


async def test_a_second_owner_is_refused_with_the_first_ones_name(database: Path, holders: list[Holder]) -> None:
    holders.append(Holder(database))
    with pytest.raises(Unavailable) as refused:
        await own(database, version="1", wait=0.05)
    assert f"{database} is in use by process {holders[0].process.pid} since 20" in str(refused.value)


async def test_two_in_one_process_exclude_each_other(database: Path) -> None:
    first = await own(database, version="1")
    with pytest.raises(Unavailable, match=f"in use by process {os.getpid()}"):
        await own(database, version="1", wait=0)
    first.release()
    (await own(database, version="1", wait=0)).release()


@pytest.mark.promise("H07")
async def test_who_waits_gets_the_store_when_its_owner_leaves(database: Path, holders: list[Holder]) -> None:
    holders.append(Holder(database))
    waiting = await begun(own(database, version="1", wait=60))
    assert not waiting.done()
    holders[0].leave()
    (await waiting).release()


@pytest.mark.promise("H07")
async def test_who_waits_gets_the_store_when_its_owner_is_killed(database: Path, holders: list[Holder]) -> None:
    holders.append(Holder(database, database.with_name("jobs.db.sock")))
    waiting = await begun(own(database, version="1", wait=60))
    holders[0].kill()
    ownership = await waiting
    assert not database.with_name("jobs.db.sock").exists()
    ownership.release()


async def test_many_that_want_it_at_once_get_it_one_after_the_other(database: Path) -> None:
    holding = 0

    async def once() -> None:
        nonlocal holding
        ownership = await own(database, version="1", wait=60)
        holding += 1
        assert holding == 1
        await asyncio.sleep(0)
        holding -= 1
        ownership.release()

    await asyncio.gather(*(once() for _ in range(10)))


async def test_who_would_join_finds_an_owner_that_listens(database: Path, holders: list[Holder]) -> None:
    place = database.with_name("jobs.db.sock")
    database.parent.mkdir(mode=0o700)
    holders.append(Holder(database, place))
    found = await own_or_find(database, version="1", wait=60)
    assert isinstance(found, Owner)
    assert (found.pid, found.socket, found.version) == (holders[0].process.pid, place, "9")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(place))


async def test_who_would_join_waits_for_an_owner_that_does_not_listen(database: Path, holders: list[Holder]) -> None:
    holders.append(Holder(database))
    with pytest.raises(Unavailable, match="in use by process"):
        await own_or_find(database, version="1", wait=0.05)
    waiting = await begun(own_or_find(database, version="1", wait=60))
    holders[0].leave()
    found = await waiting
    assert isinstance(found, Ownership)
    found.release()


async def test_a_socket_that_a_killed_owner_left_is_not_taken_for_an_owner(
    database: Path, holders: list[Holder]
) -> None:
    place = database.with_name("jobs.db.sock")
    database.parent.mkdir(mode=0o700)
    holders.append(Holder(database, place))
    holders[0].kill()
    assert place.is_socket()
    assert find_owner(database) is None
    found = await own_or_find(database, version="1")
    assert isinstance(found, Ownership)
    assert not place.exists()
    found.release()


async def test_only_sockets_are_removed(database: Path) -> None:
    place = database.with_name("jobs.db.sock")
    database.parent.mkdir(mode=0o700)
    place.write_text("mine")
    (await own(database, version="1")).release()
    assert place.read_text() == "mine"


async def test_what_an_owner_leaves_behind_is_carried_on_by_the_next(database: Path) -> None:
    first = await own(database, version="1")
    first.opened("the-store")
    assert first.note.wal
    first.release()  # as a process does that could not close the database
    second = await own(database, version="1")
    assert (second.note.store, second.note.wal) == ("the-store", True)
    second.closing()
    second.release()
    assert note_of(database) == {
        "pid": None,
        "socket": None,
        "started": None,
        "version": None,
        "store": "the-store",
        "wal": False,
    }


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{", '{"pid": 1, "unknown": 2}', "\xff\x00", "9" * 50_000])
async def test_a_lock_file_without_sense_says_nothing_and_hinders_nobody(database: Path, text: str) -> None:
    database.parent.mkdir(mode=0o700)
    lock_path(database).write_text(text, encoding="latin-1")
    ownership = await own(database, version="1")
    assert ownership.note.store is None
    ownership.release()


async def test_a_lock_file_that_is_a_link_is_refused(database: Path, tmp_path: Path) -> None:
    database.parent.mkdir(mode=0o700)
    lock_path(database).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match=r"lock file .* cannot be opened"):
        await own(database, version="1")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_lock_file_that_was_replaced_is_not_taken_for_the_lock(database: Path) -> None:
    first = await own(database, version="1")
    lock_path(database).unlink()
    second = await own(database, version="1")  # nobody can tell: the first one's file is gone
    assert find_owner(database) is not None
    first.release()
    assert find_owner(database) is not None
    second.release()


async def test_a_lock_file_of_another_user_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database.parent.mkdir(mode=0o700)
    lock_path(database).touch()
    if os.geteuid() == 0:  # root's own would be fine
        os.chown(lock_path(database), 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(Refused, match="belongs to another user"):
        await own(database, version="1")


async def test_a_forked_child_does_not_own_the_store(database: Path) -> None:
    ownership = await own(database, version="1")
    child = os.fork()
    if child == 0:
        ownership.release()
        signal.pause()
    ownership.release()
    try:
        (await own(database, version="1", wait=10)).release()
    finally:
        end(child)


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


async def test_a_started_program_does_not_inherit_the_lock(database: Path) -> None:
    ownership = await own(database, version="1")
    child = sleeper()
    ownership.release()
    (await own(database, version="1", wait=10)).release()
    child.kill()
    child.communicate()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "1000"], close_fds=False)


async def test_work_waits_until_steps_of_an_earlier_owner_are_gone(database: Path, holders: list[Holder]) -> None:
    ownership = await own(database, version="1")
    await ownership.steps_ended()
    assert ownership.steps_lock == steps_lock_path(database)
    # the lock of steps is a lock like the other: a holder of "jobs.db.steps" holds "jobs.db.steps.lock"
    holders.append(Holder(database.with_name("jobs.db.steps")))
    with pytest.raises(Unavailable, match=r"still run after 0\.05 s"):
        await ownership.steps_ended(wait=0.05)
    waiting = await begun(ownership.steps_ended())
    assert not waiting.done()
    holders[0].kill()
    await waiting
    ownership.release()


def test_the_socket_lies_beside_the_database(database: Path) -> None:
    assert socket_place(database) == database.with_name("jobs.db.sock")


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Return a database whose path is too long for a socket beside it."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir(mode=0o700)
    return folder / "jobs.db"


def test_a_path_too_long_for_a_socket_leads_to_the_runtime_folder(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Path(f"/tmp/windlass-test-{os.getpid()}")  # noqa: S108 - a short path is the point
    runtime.mkdir(mode=0o700)
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        place = socket_place(deep)
        assert place.parent == runtime
        assert place == socket_place(deep)
        assert place != socket_place(deep.with_name("other.db"))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
        place.unlink()
        runtime.chmod(0o755)  # others could look in: not private
        assert socket_place(deep).parent != runtime
    finally:
        runtime.rmdir()


def test_without_a_runtime_folder_there_is_a_private_one(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    place = socket_place(deep)
    assert len(os.fsencode(place)) <= SOCKET_PATH_LIMIT
    status = place.parent.lstat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o700, os.geteuid())


def test_a_private_folder_that_another_user_made_is_refused(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    socket_place(deep)
    folder = socket_place(deep).parent
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    theirs = folder.with_name("windlass-54321")
    theirs.mkdir(mode=0o700, exist_ok=True)
    try:
        with pytest.raises(Unavailable, match="set XDG_RUNTIME_DIR"):
            socket_place(deep)
    finally:
        theirs.rmdir()


def test_a_note_is_empty_unless_it_says_something() -> None:
    assert Note() == Note(pid=None, socket=None, started=None, version=None, store=None, wal=False)
