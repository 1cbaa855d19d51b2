"""An archive that is locked, missing, full or not to be written: no run leaves, and it goes on afterwards."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.archiving import keep_file
from tests.oracle.world import World
from windlass.engine.adopting import adopt
from windlass.engine.archiving import preview_sweep, sweep
from windlass.engine.deleting import delete_run
from windlass.engine.doctor import examine
from windlass.engine.moving_files import artifact_folder
from windlass.engine.restoring import restore
from windlass.engine.services.archiver import Archiver
from windlass.errors import CorruptStore, Unavailable
from windlass.ids import id_text
from windlass.settings import Settings
from windlass.store.archive.marks import used_archives
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("K06")
DAY = 86_400.0
KINDS = {"sqlite": "sqlite:///{}/cold/cold.db", "files": "file://{}/cold/files", "parquet": "parquet://{}/cold/columns"}


@pytest.fixture(params=sorted(KINDS))
async def cold(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world with an archive on what may be another disk."""
    world = World(
        str(tmp_path / "windlass.db"), tmp_path, settings={"archive_url": KINDS[request.param].format(tmp_path)}
    )
    request.node.user_properties.append(("store", "sqlite"))
    yield world
    await world.close()


@pytest.fixture
async def other(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world with its archive in another SQLite database."""
    world = World(str(tmp_path / "windlass.db"), tmp_path, settings={"archive_url": KINDS["sqlite"].format(tmp_path)})
    request.node.user_properties.append(("store", "sqlite"))
    yield world
    await world.close()


async def ended(world: World, size: int = 0) -> bytes:
    """Return a run that has ended, and is old enough to leave; with a log of so many bytes that do not compress."""
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).work()

    def write(tx: Transaction) -> None:
        tx.cursor.execute(
            "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, 1, 0, 'out', ?)",
            (run_id, os.urandom(size)),
        )

    if size:
        await world.engine.store.run(write)
    world.clock.advance(31 * DAY)
    return run_id


async def stays(world: World, run_id: bytes, told: str) -> None:
    with pytest.raises(Unavailable, match=told):
        await sweep(world.engine)
    assert (await world.run(run_id))["state"] == "completed"


async def test_a_locked_database_is_waited_for_and_then_told(other: World, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("windlass.store.archive.in_sqlite._WAIT", 0.05)
    first = await ended(other)
    assert (await sweep(other.engine)).archived == 1
    second = await ended(other)
    with closing(sqlite3.connect(tmp_path / "cold" / "cold.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        await stays(other, second, r"The archive .*cold\.db did not answer: database is locked")
        with pytest.raises(Unavailable, match="database is locked"):
            await restore(other.engine, id_text(first))
        holder.execute("ROLLBACK")
    assert (await sweep(other.engine)).archived == 1
    await restore(other.engine, id_text(first))
    await restore(other.engine, id_text(second))


async def test_a_full_database_takes_nothing_and_goes_on_with_the_room(other: World, monkeypatch: Any) -> None:
    run_id = await ended(other, 2_000_000)
    connect = sqlite3.connect

    def small(*args: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*args, **more)
        connection.execute("PRAGMA max_page_count = 64")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr("windlass.store.archive.in_sqlite.sqlite3.connect", small)
        await stays(other, run_id, "database or disk is full")
    assert (await sweep(other.engine)).archived == 1
    await restore(other.engine, id_text(run_id))


async def test_a_database_of_another_program_is_left_alone(other: World, tmp_path: Path) -> None:
    run_id = await ended(other)
    (tmp_path / "cold").mkdir()
    with closing(sqlite3.connect(tmp_path / "cold" / "cold.db")) as songs:
        songs.execute("CREATE TABLE songs (id)")
    with pytest.raises(CorruptStore, match="belongs to another program"):
        await sweep(other.engine)
    (tmp_path / "cold" / "cold.db").write_bytes(b"no database" * 100)
    with pytest.raises(CorruptStore, match="is damaged"):
        await sweep(other.engine)
    assert (await other.run(run_id))["state"] == "completed"


async def test_an_archive_that_is_gone_is_not_begun_anew(cold: World, tmp_path: Path) -> None:
    first = await ended(cold)
    assert (await sweep(cold.engine)).archived == 1
    second = await ended(cold)
    (tmp_path / "cold").rename(tmp_path / "unmounted")
    await stays(cold, second, "is gone although 1 runs are in it: mount its disk")
    with pytest.raises(
        Unavailable, match=r"is gone although 1 runs are in it: mount its disk, .*; nothing was changed"
    ):
        await restore(cold.engine, id_text(first))
    with pytest.raises(Unavailable, match="is gone although 1 runs are in it"):
        await preview_sweep(cold.engine)
    assert not (tmp_path / "cold").exists()
    (tmp_path / "unmounted").rename(tmp_path / "cold")
    assert (await sweep(cold.engine)).archived == 1
    for run_id in (first, second):
        await restore(cold.engine, id_text(run_id))


async def test_a_folder_that_cannot_be_made_is_told(cold: World, tmp_path: Path) -> None:
    run_id = await ended(cold)
    (tmp_path / "cold").write_text("a file where the folder should be")
    await stays(cold, run_id, "cannot be (used|read|written): (Not a directory|File exists)")
    with pytest.raises(Unavailable, match="The archive cannot be written: "):
        await preview_sweep(cold.engine)
    (wrong,) = [one for one in await examine(cold.engine, version="1") if one.check == "archive"]
    assert (wrong.level, "cannot be written" in wrong.message) == ("error", True)
    (tmp_path / "cold").unlink()
    (right,) = [one for one in await examine(cold.engine, version="1") if one.check == "archive"]
    assert (right.level, right.message) == ("ok", f"{cold.engine.settings.archive_url} can be written")
    assert not (tmp_path / "cold").exists(), "to try it leaves nothing"
    assert (await sweep(cold.engine)).archived == 1
    before = sorted((tmp_path / "cold").rglob("*"))
    assert len(await preview_sweep(cold.engine)) == 0
    assert sorted((tmp_path / "cold").rglob("*")) == before


async def test_a_disk_that_fills_up_leaves_no_half_copy(cold: World, monkeypatch: Any) -> None:
    run_id = await ended(cold)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("windlass.store.archive.in_files.os.fsync", full)
        patch.setattr("windlass.store.archive.in_sqlite.os.open", full)
        await stays(cold, run_id, "No space left on device")
    assert (await sweep(cold.engine)).archived == 1
    await restore(cold.engine, id_text(run_id))


async def test_the_archiver_tries_again_and_counts_what_did_not_work(other: World, tmp_path: Path) -> None:
    await ended(other)
    (tmp_path / "cold").write_text("")
    archiver, swept = Archiver(other.engine), other.engine.swept
    await archiver.turn()  # which only begins
    with pytest.raises(Unavailable):
        await archiver.turn()
    assert (swept.done, swept.broken, swept.last_success) == (0, 1, None)
    (tmp_path / "cold").unlink()
    await archiver.turn()
    assert (swept.done, swept.broken, swept.total.archived) == (1, 1, 1)
    assert swept.last_success == other.clock.now()


async def test_a_former_archive_that_is_gone_for_good_is_forgotten_when_somebody_says_so(
    cold: World, tmp_path: Path
) -> None:
    await ended(cold)
    assert (await sweep(cold.engine)).archived == 1
    former = cold.engine.settings
    shutil.rmtree(tmp_path / "cold")
    cold.engine.settings = Settings(home=former.home)
    assert "mount its disk" in (await adopt(cold.engine)).trouble[0]
    cold.clock.advance(365 * DAY)
    assert (await sweep(cold.engine)).ended == 1
    (told,) = [one for one in await examine(cold.engine, version="1") if one.check == "archive"]
    assert "if it is gone for good, `windlass archive adopt` forgets it" in told.message
    assert (await adopt(cold.engine, dry=True)).forgotten == [former.archive_url]
    assert (await adopt(cold.engine)).forgotten == [former.archive_url]
    assert [one for one in await examine(cold.engine, version="1") if one.check == "archive"] == []
    assert not (tmp_path / "cold").exists()


@pytest.mark.parametrize("harm", ["damaged", "gone", "a file", "not to be read"])
async def test_a_former_archive_in_trouble_stops_nothing_else(
    cold: World, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [await _with_file(cold, number) for number in range(3)]
    cold.clock.advance(31 * DAY)
    assert (await sweep(cold.engine)).archived == 3
    await restore(cold.engine, id_text(runs[0]))
    former = cold.engine.settings
    (tmp_path / "cold").rename(tmp_path / "away")
    if harm == "damaged":
        shutil.copytree(tmp_path / "away", tmp_path / "cold")
        for path in [one for one in (tmp_path / "cold").rglob("*") if one.is_file()]:
            path.write_bytes(b"\xff no archive" * 1000)
    elif harm == "a file":
        (tmp_path / "cold").write_text("")
    elif harm == "not to be read":
        monkeypatch.setattr("windlass.store.archive.open.exists", _refuse)
        monkeypatch.setattr("windlass.store.archive.in_sqlite.exists", _refuse)
        monkeypatch.setattr("windlass.store.archive.days.DayFiles._mark", _refuse)
    cold.engine.settings = Settings(
        home=former.home, archive_url=f"file://{tmp_path}/new" if harm in {"gone", "a file"} else "database:"
    )
    cold.clock.advance(DAY)
    for run_id in runs[:2]:
        assert await delete_run(cold.engine, run_id)  # what the archive has of it stays for now
    last = await _with_file(cold, 9)
    cold.clock.advance(32 * DAY)
    assert (await sweep(cold.engine)).archived == 1
    cold.clock.advance(320 * DAY)
    assert (await sweep(cold.engine)).ended == 1, "its time in the archive is over, read or not"
    told = [one for one in await examine(cold.engine, version="1") if one.check == "archive" and one.level == "error"]
    assert ["former archive" in one.message for one in told] == [True]
    await restore(cold.engine, id_text(last))
    monkeypatch.undo()
    if (tmp_path / "cold").is_dir():
        shutil.rmtree(tmp_path / "cold")
    (tmp_path / "cold").unlink(missing_ok=True)
    (tmp_path / "away").rename(tmp_path / "cold")
    await sweep(cold.engine)
    kept = [path for path in (tmp_path / "cold").rglob("*") if path.is_file() and path.name != "cold.db"]
    assert kept == [], "what nobody needs goes once it can be reached"
    assert former.archive_url not in await cold.engine.store.read(used_archives)
    assert [one for one in await examine(cold.engine, version="1") if one.level == "error"] == []


def _refuse(*_: Any) -> Any:
    raise Unavailable("The archive cannot be read: Input/output error.")


async def _with_file(world: World, number: int) -> bytes:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await (await world.worker()).work()
    world.accepted.clear()
    sha256 = hashlib.sha256(bytes([number])).hexdigest()
    folder = artifact_folder(world.engine, run_id)
    folder.mkdir(parents=True)
    (folder / sha256).write_bytes(bytes([number]))
    await world.engine.store.run(keep_file, run_id, sha256)
    return run_id
