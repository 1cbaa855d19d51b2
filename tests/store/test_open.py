"""Opening stores: made, found again, and refused where they are damaged, incomplete, newer or not ours."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from windlass.errors import CorruptStore, Unavailable, WindlassError
from windlass.store.lockfile import lock_path
from windlass.store.migrations import HEAD
from windlass.store.open import OpenStore, open_store
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction
from windlass.store.upgrade import Upgrade

#: Makes a store, says so, and is killed while it is open.
KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import insert
from windlass.store.migrations import HEAD
from windlass.store.open import open_store
from windlass.store.tables import store_info

def put(tx, number):
    tx.connection.execute(insert(store_info), {"key": f"k{number}", "value": "x" * 3000})

async def main():
    opened = await open_store(sys.argv[1], version="0")
    for number in range(int(sys.argv[2])):
        await opened.store.run(put, number)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "home" / "jobs.db"


async def opened(database: Path, *, verify: bool = False) -> OpenStore:
    return await open_store(f"sqlite:///{database}", version="0", wait=0, verify=verify)


def put(tx: Transaction, key: str) -> None:
    tx.connection.execute(insert(store_info), {"key": key, "value": "x" * 3000})


def keys(tx: Transaction) -> list[str]:
    found = select(store_info.c.key).where(store_info.c.key.like("k%")).order_by(store_info.c.key)
    return list(tx.connection.execute(found).scalars())


async def filled(database: Path, rows: int = 200) -> None:
    """Make a store with some rows, and close it."""
    async with await opened(database) as open_:
        for number in range(rows):
            await open_.store.run(put, f"k{number}")


def killed(database: Path, rows: int = 5) -> None:
    """Make a store with some rows and kill its process while it is open."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, f"sqlite:///{database}", str(rows)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def fingerprint(database: Path) -> dict[str, str]:
    """Return a hash of each file of a database; of the index of the log only that it is there."""
    return {
        file.name: "" if file.name.endswith("-shm") else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in database.parent.iterdir()
        if not file.name.endswith(".lock")
    }


async def refused(database: Path, sentence: str, error: type[WindlassError] = CorruptStore) -> None:
    """Check that opening is refused twice in the same words, and that nothing changed."""
    before = fingerprint(database)
    for _ in range(2):
        with pytest.raises(error) as refusal:
            await opened(database)
        assert sentence in str(refusal.value)
        assert str(refusal.value).count("\n") == 0
        assert fingerprint(database) == before


def spoil(database: Path, change: Callable[[bytearray], None]) -> None:
    data = bytearray(database.read_bytes())
    change(data)
    database.write_bytes(data)


@pytest.mark.promise("H07")
async def test_what_was_kept_is_there_after_opening_again(database: Path) -> None:
    async with await opened(database) as first:
        assert first.upgrade == Upgrade(None, HEAD)
        await first.store.run(put, "k1")
    async with await opened(database) as second:
        assert second.upgrade == Upgrade(HEAD, HEAD)
        assert await second.store.read(keys) == ["k1"]
        assert second.id == first.id


@pytest.mark.promise("H07")
async def test_what_was_kept_is_there_after_its_process_was_killed(database: Path) -> None:
    killed(database)
    async with await opened(database) as after:
        assert await after.store.read(keys) == [f"k{number}" for number in range(5)]


async def test_files_are_for_their_user_alone_whatever_the_mask(database: Path) -> None:
    mask = os.umask(0)
    try:
        async with await opened(database) as open_:
            await open_.store.run(put, "k1")
            modes = {file.name: file.stat().st_mode & 0o777 for file in database.parent.iterdir()}
    finally:
        os.umask(mask)
    assert {"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_a_database_that_others_could_read_is_closed_to_them(database: Path) -> None:
    await filled(database, 1)
    database.chmod(0o644)
    async with await opened(database):
        assert database.stat().st_mode & 0o777 == 0o600


async def test_an_empty_file_becomes_a_store(database: Path) -> None:
    database.parent.mkdir(mode=0o700)
    database.touch()
    async with await opened(database) as open_:
        assert await open_.store.read(keys) == []


async def test_an_empty_database_of_sqlite_becomes_a_store(database: Path) -> None:
    database.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("VACUUM")
    connection.close()
    async with await opened(database) as open_:
        assert await open_.store.read(keys) == []


async def test_stores_in_memory_know_nothing_of_each_other() -> None:
    async with (
        await open_store("memory://", version="0") as first,
        await open_store("memory://", version="0") as second,
    ):
        await first.store.run(put, "k1")
        assert await second.store.read(keys) == []
        assert first.ownership is None
        assert first.id != second.id


async def test_a_store_is_free_again_after_it_was_closed_or_refused(database: Path) -> None:
    first = await opened(database)
    with pytest.raises(Unavailable, match="in use by process"):
        await opened(database)
    await first.close()
    await first.close()
    await (await opened(database)).close()
    spoil(database, lambda data: data.__setitem__(slice(0, 16), b"x" * 16))
    for _ in range(2):
        with pytest.raises(CorruptStore):
            await opened(database)


async def test_a_file_of_another_kind_is_refused(database: Path) -> None:
    database.parent.mkdir(mode=0o700)
    database.write_text("apiVersion: v1\nkind: Job\n" * 100)
    await refused(database, "is no SQLite database, or its beginning is damaged; nothing was changed")


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_another_programs_database_is_refused(database: Path, mode: str) -> None:
    database.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    await refused(database, "belongs to another program; nothing was changed")


async def test_a_database_of_a_newer_program_is_refused(database: Path) -> None:
    await filled(database, 1)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0042'")
    connection.close()
    await refused(database, "written by a newer Windlass (its schema is 0042", Unavailable)


async def test_a_database_of_a_newer_format_is_refused(database: Path) -> None:
    await filled(database, 1)
    spoil(database, lambda data: data.__setitem__(19, 3))
    await refused(database, "has a format that this SQLite cannot read")


async def test_a_database_that_lost_its_schema_version_is_refused(database: Path) -> None:
    await filled(database, 1)
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE alembic_version")
    connection.close()
    await refused(database, "does not say which version its schema has")


@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
async def test_a_database_that_was_cut_off_is_refused(database: Path, left: float) -> None:
    await filled(database)
    os.truncate(database, int(database.stat().st_size * left) // 4096 * 4096)
    await refused(database, "is cut off")


@pytest.mark.parametrize("size", [1, 50, 99])
async def test_a_database_of_which_hardly_anything_is_left_is_refused(database: Path, size: int) -> None:
    await filled(database, 1)
    os.truncate(database, size)
    await refused(database, "is no SQLite database, or its beginning is damaged")


async def test_a_database_that_was_cut_within_a_page_is_refused(database: Path) -> None:
    await filled(database)
    os.truncate(database, database.stat().st_size - 1)
    await refused(database, "is cut off")


async def test_a_database_that_was_emptied_is_refused(database: Path) -> None:
    await filled(database, 1)
    os.truncate(database, 0)
    await refused(database, "is empty, but held a store")
    database.unlink()
    await (await opened(database)).close()


async def test_a_log_without_its_database_is_refused(database: Path) -> None:
    killed(database)
    database.unlink()
    await refused(database, "is missing, but its write-ahead log is there")


async def test_a_log_beside_an_emptied_database_is_refused(database: Path) -> None:
    killed(database)
    os.truncate(database, 0)
    await refused(database, "is empty, but its write-ahead log is there")


async def test_a_log_that_was_taken_away_is_missed_until_a_person_decides(database: Path) -> None:
    killed(database)
    database.with_name("jobs.db-wal").unlink()
    await refused(database, "and with it what was written last")
    async with await open_store(f"sqlite:///{database.with_name('other.db')}", version="0"):
        pass  # another store in the same folder is none of its business
    lock_path(database).unlink()
    database.unlink()
    await (await opened(database)).close()


async def test_the_index_of_the_log_is_made_anew(database: Path) -> None:
    killed(database)
    database.with_name("jobs.db-shm").unlink()
    async with await opened(database) as after:
        assert len(await after.store.read(keys)) == 5


@pytest.mark.parametrize("place", [0, 9, 17, 25, 40, 32 + 10_000, 0.3, 0.5])
async def test_a_log_with_a_flipped_byte_is_refused(database: Path, place: float) -> None:
    killed(database, 20)
    log = database.with_name("jobs.db-wal")
    at = int(place if place > 1 or place == 0 else log.stat().st_size * place)
    spoil(log, lambda data: data.__setitem__(at, data[at] ^ 0xFF))
    await refused(database, "transactions cannot be read")


async def test_what_a_power_cut_spoils_was_told_to_nobody(database: Path) -> None:
    killed(database, 20)
    log = database.with_name("jobs.db-wal")
    spoil(log, lambda data: data.__setitem__(slice(-100, None), bytes(100)))
    database.with_name("jobs.db-shm").unlink()  # it says what was told
    async with await opened(database) as after:
        assert len(await after.store.read(keys)) == 19


@pytest.mark.fault("F25")
async def test_the_last_transaction_that_was_told_is_missed(database: Path) -> None:
    killed(database, 20)
    spoil(database.with_name("jobs.db-wal"), lambda data: data.__setitem__(slice(-100, None), bytes(100)))
    await refused(database, "its last 1 transaction cannot be read")


@pytest.mark.fault("F25")
async def test_what_sqlite_quotes_of_a_damaged_schema_stays_on_one_line(database: Path) -> None:
    await (await opened(database)).close()
    spoil(database, lambda data: data.__setitem__(slice(None), data.replace(b"PRIMARY KEY (run", b'PRIMARY"KEY (run')))
    await refused(database, "is damaged (malformed database schema")


@pytest.mark.fault("F25")
@pytest.mark.parametrize("left", [0, 10, 32, 0.5, -1])
async def test_a_log_that_was_cut_off_is_refused_until_a_person_decides(database: Path, left: float) -> None:
    killed(database, 20)
    log = database.with_name("jobs.db-wal")
    size = log.stat().st_size
    os.truncate(log, int(size * left) if 0 < left < 1 else size - 1 if left < 0 else int(left))
    await refused(database, "is cut off: its last ")
    database.with_name("jobs.db-shm").unlink()
    try:
        async with await opened(database) as after:
            assert len(await after.store.read(keys)) < 20
    except CorruptStore as error:  # nothing of the store was left outside the log
        assert "restore a backup" in str(error)  # noqa: PT017 - both ways are right


async def test_a_log_that_was_begun_anew_is_read_up_to_its_own_end(database: Path) -> None:
    killed(database, 2500)  # more than SQLite keeps in a log
    async with await opened(database) as after:
        assert len(await after.store.read(keys)) == 2500


async def test_flipped_bytes_are_never_taken_for_a_sound_store(database: Path) -> None:
    await filled(database)
    sound = database.read_bytes()
    chance = random.Random(7)  # noqa: S311 - the same pages each time
    refusals = 0
    for _ in range(40):
        page = chance.randrange(len(sound) // 4096)
        data = bytearray(sound)
        for place in range(page * 4096, page * 4096 + 64):  # where a page says what is on it
            data[place] ^= 0xFF
        database.write_bytes(data)
        try:
            async with await opened(database, verify=True) as open_:
                assert sorted(await open_.store.read(keys)) == sorted(f"k{number}" for number in range(200))
        except CorruptStore as error:
            refusals += 1
            assert "restore a backup with `windlass db restore`" in str(error)  # noqa: PT017 - both ways are right
            assert database.read_bytes() == data
    assert refusals > 30


async def test_a_database_with_a_second_name_is_refused(database: Path) -> None:
    await filled(database, 1)
    database.with_name("copy.db").hardlink_to(database)
    await refused(database, "has a second name")
    database.with_name("copy.db").unlink()
    await (await opened(database)).close()


async def test_a_folder_in_place_of_the_database_is_refused(database: Path) -> None:
    database.mkdir(parents=True)
    with pytest.raises(Unavailable, match="is no file, and so no database"):
        await opened(database)
    assert list(database.iterdir()) == []


@pytest.mark.promise("H07")
def test_two_processes_that_open_a_new_store_at_once_open_the_same_one(database: Path) -> None:
    program = """
import asyncio, sys
from windlass.store.migrations import HEAD
from windlass.store.open import open_store

async def main():
    async with await open_store(sys.argv[1], version="0", wait=60) as opened:
        print(opened.id)

asyncio.run(main())
"""
    command = [sys.executable, "-c", program, f"sqlite:///{database}"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {process.communicate(timeout=60)[0] for process in started}
    assert len(said) == 1
    assert [process.returncode for process in started] == [0, 0, 0, 0]


@pytest.mark.parametrize(("free", "told"), [(0, r"The disk of the database .* is full"), (1 << 40, "disk I/O error")])
async def test_a_full_disk_is_named_although_sqlite_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("windlass.store.open.SqliteStore", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1 << 41, 0, free))  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match=told):
        await open_store(f"sqlite:///{tmp_path}/a.db", version="0")
    monkeypatch.undo()
    async with await open_store(f"sqlite:///{tmp_path}/a.db", version="0", wait=0) as opened:
        assert opened.id
