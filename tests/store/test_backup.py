"""Backups: one whole state, checked; brought back over anything, and nothing changed where they are bad."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config

import windlass.store.migrations
from tests.oracle.world import World
from windlass.clock import ManualClock
from windlass.engine.archiving import sweep
from windlass.errors import Conflict, CorruptStore, Unavailable, UserError, WindlassError
from windlass.ids import id_text
from windlass.store.backup.content import DATABASE, FILES, NOTE, BackupNote, digest_of
from windlass.store.backup.make import make_backup
from windlass.store.backup.restore import Restored, restore_backup
from windlass.store.migrations import VERSIONS
from windlass.store.open import open_store
from windlass.store.owner import own
from windlass.store.sqlite import SqliteStore
from windlass.store.upgrade import APPLICATION_ID

pytestmark = pytest.mark.promise("H12")


def silent(_: str) -> None:
    """Tell nobody."""


def backup(folder: Path, name: str = "backup", *, files: bool = True) -> BackupNote:
    artifacts = folder / "artifacts" if files else None
    return make_backup(folder / "windlass.db", artifacts, folder / name, version="1", tell=silent, clock=ManualClock())


def restore(folder: Path, name: str = "backup") -> Restored:
    ownership = asyncio.run(own(folder / "windlass.db", version="1", wait=0))
    try:
        return restore_backup(folder / name, ownership, folder / "artifacts", tell=silent, clock=ManualClock())
    finally:
        ownership.release()


async def _fill(folder: Path, runs: int) -> None:
    world = World(str(folder / "windlass.db"), folder)
    job = await world.define(steps={"a": {}})
    for _ in range(runs):
        run_id = await world.submit(job)
        kept = folder / "artifacts" / id_text(run_id)
        kept.mkdir(parents=True)
        (kept / "1").write_text(f"file of {id_text(run_id)}")
    await world.close()


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return the folder of a store with three runs, each with a file."""
    request.node.user_properties.append(("store", "sqlite"))
    tmp_path.chmod(0o700)
    asyncio.run(_fill(tmp_path, 3))
    return tmp_path


def runs_in(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


async def opened(folder: Path) -> int:
    """Open the store as a server would, with every page checked, and count its runs."""
    async with await open_store(f"sqlite:///{folder}/windlass.db", version="1", wait=0, verify=True) as found:
        count: int = await found.store.read(lambda tx: tx.cursor.execute("SELECT count(*) FROM runs").fetchone()[0])
        return count


def test_a_backup_holds_everything_and_brings_it_back(folder: Path) -> None:
    note = backup(folder)
    assert (note.rows["runs"], note.files, note.size) == (3, 3, (folder / "backup" / DATABASE).stat().st_size)
    assert {path.stat().st_mode & 0o077 for path in (folder / "backup").rglob("*")} == {0}
    with closing(sqlite3.connect(folder / "windlass.db")) as connection, connection:
        connection.execute("DELETE FROM runs")
    (lost, changed, _) = sorted((folder / "artifacts").glob("*/*"))
    text = changed.read_text()
    lost.unlink()
    changed.write_text("x")
    done = restore(folder)
    assert (done.facts.rows["runs"], done.facts.live, done.files) == (3, 3, 2)
    assert changed.read_text() == text
    assert lost.exists()
    assert asyncio.run(opened(folder)) == 3
    assert done.aside is not None
    assert runs_in(done.aside) == 0
    assert restore(folder).aside != done.aside


def test_a_backup_is_made_while_the_owner_writes(folder: Path) -> None:
    async def during() -> int:
        world = World(str(folder / "windlass.db"), folder)
        world.ids._last = 1_000
        job = await world.define("other", steps={"a": {}})
        made = asyncio.create_task(asyncio.to_thread(backup, folder))
        written = 0
        while not made.done():
            await world.submit(job)
            written += 1
        note = await made
        await world.close()
        assert 3 <= note.rows["runs"] == note.rows["queue"] <= 3 + written
        return note.rows["runs"]

    count = asyncio.run(during())
    restore(folder)
    assert asyncio.run(opened(folder)) == count


class Moving:
    """A store whose files come and go while a backup of it is made; called with each line of progress."""

    def __init__(self, folder: Path, **when: Callable[[Moving], None]) -> None:
        """Do something at the first line that begins with a word of `when`, such as `Checking`."""
        self.folder = folder
        self.when = when
        self.told: list[str] = []

    def __call__(self, line: str) -> None:
        """Note a line, and do what is due."""
        self.told.append(line)
        for word in [word for word in self.when if word in line]:
            self.when.pop(word)(self)

    def keep(self, name: str) -> None:
        """Keep a file of a run, as it is named in the database."""
        run = next(iter(sorted((self.folder / "artifacts").iterdir())))
        (run / name).write_text(name)
        values = (UUID(run.name).bytes, 0, name, 1, len(name), "0" * 64, f"{run.name}/{name}", 0)
        self._execute("INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)

    def leave(self, name: str) -> None:
        """Let a file leave for an archive elsewhere."""
        next((self.folder / "artifacts").glob(f"*/{name}")).unlink()
        self._execute("DELETE FROM artifacts WHERE name = ?", (name,))

    def named(self) -> set[str]:
        """Return the files that the backup's database names, each of which must be there."""
        with closing(sqlite3.connect(self.folder / "backup" / DATABASE)) as connection:
            found = dict(connection.execute("SELECT name, path FROM artifacts"))
        assert all((self.folder / "backup" / "artifacts" / path).exists() for path in found.values())
        return set(found)

    def back_up(self) -> BackupNote:
        """Make the backup."""
        database, target = self.folder / "windlass.db", self.folder / "backup"
        return make_backup(database, self.folder / "artifacts", target, version="1", tell=self, clock=ManualClock())

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        with closing(sqlite3.connect(self.folder / "windlass.db")) as connection, connection:
            connection.execute(statement, values)


def test_files_that_leave_while_a_backup_is_made_are_in_it_as_its_database_names_them(folder: Path) -> None:
    moving = Moving(folder, Checking=lambda m: m.leave("early"))
    moving.keep("early")
    moving.back_up()
    assert moving.named() == {"early"}


def test_files_that_come_and_leave_while_a_backup_is_made_are_not_named_by_it(folder: Path) -> None:
    moving = Moving(folder, **{"the database": lambda m: m.keep("short"), "Checking": lambda m: m.leave("short")})
    moving.back_up()
    assert moving.named() == set()
    assert sum("the database" in line for line in moving.told) == 2


def test_a_file_that_was_lost_before_is_told_and_stops_no_backup(folder: Path) -> None:
    moving = Moving(folder)
    moving.keep("lost")
    next((folder / "artifacts").glob("*/lost")).unlink()
    assert moving.back_up().files == 3
    assert "Files that the database names and that are not there, nor in the backup: 1" in moving.told


def test_a_backup_removes_nothing_that_lies_beside_it(folder: Path) -> None:
    (folder / "backup.part").mkdir()
    (folder / "backup.part" / "precious").write_text("mine")
    backup(folder)
    assert (folder / "backup.part" / "precious").read_text() == "mine"
    assert not list(folder.glob(".backup*"))


@pytest.mark.parametrize("schema", VERSIONS[4:-1])
def test_a_backup_of_an_earlier_schema_is_restored_and_brought_up_to_date(folder: Path, schema: str) -> None:
    new, old = folder / "windlass.db", folder / "old.db"
    asyncio.run(_as_of(old, schema, new))
    note = make_backup(old, folder / "artifacts", folder / "backup", version="0", tell=silent, clock=ManualClock())
    assert (note.schema, note.rows["runs"], note.files) == (schema, 3, 3)
    done = restore(folder)
    assert done.facts.schema == schema
    assert asyncio.run(opened(folder)) == 3

    async def work() -> list[str]:
        world = World(str(new), folder)
        world.ids._last = 1_000
        job = await world.prepare("job")
        await world.submit(job)
        worked = await (await world.worker()).work()
        world.clock.advance(31 * 86_400)
        assert (await sweep(world.engine)).archived > 0
        await world.close()
        return worked

    assert len(asyncio.run(work())) >= 1


async def _as_of(path: Path, schema: str, source: Path) -> None:
    """Make a database as an earlier program had it, with what another one holds of those tables."""
    store = SqliteStore(str(path))
    connection = store.connection
    config = Config()
    config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
    config.attributes["connection"] = connection
    connection.exec_driver_sql("ATTACH DATABASE ? AS source", (str(source),))
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    command.upgrade(config, schema)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'alembic_version'"
    )
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for table in connection.exec_driver_sql(names).scalars().all():
        before, now = (
            {row[1] for row in connection.exec_driver_sql(f"PRAGMA {place}.table_info({table})")}
            for place in ("main", "source")
        )
        if before <= now:  # else it was made anew since, empty
            columns = ", ".join(sorted(before))
            connection.exec_driver_sql(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM source.{table}")  # noqa: S608 - names of tables
    connection.exec_driver_sql("COMMIT")
    connection.exec_driver_sql("DETACH DATABASE source")
    await store.close()


def test_files_of_archived_runs_are_in_the_backup_of_their_database(folder: Path) -> None:
    archived = folder / "artifacts" / "archived"
    archived.mkdir(mode=0o700)
    (archived / ("0" * 64)).write_text("of a run that has left")
    (archived / ".part-half").write_text("of a process that was killed")
    assert backup(folder).files == 4
    shutil.rmtree(archived)
    assert restore(folder).files == 1
    assert [path.name for path in archived.iterdir()] == ["0" * 64]


def test_what_a_killed_owner_left_is_in_the_backup(folder: Path) -> None:
    child = os.fork()
    if not child:
        try:
            asyncio.run(_and_die(folder))
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert (folder / "windlass.db-wal").stat().st_size
    assert backup(folder).rows["runs"] == 4
    assert asyncio.run(opened(folder)) == 4


async def _and_die(folder: Path) -> None:
    world = World(str(folder / "windlass.db"), folder)
    await world.submit(await world.prepare("job"))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("harm", ["emptied", "torn", "gone", "no log"])
def test_a_broken_database_is_replaced_and_kept(folder: Path, harm: str) -> None:
    backup(folder)
    database = folder / "windlass.db"
    match harm:
        case "emptied":
            database.write_bytes(b"")
        case "torn":
            with database.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(8192))
        case "gone":
            database.unlink()
            Path(f"{database}-wal").write_bytes(b"x" * 100)
        case _:
            lock = folder / "windlass.db.lock"
            lock.write_text(json.dumps({"store": "x", "wal": True}) + "\n")
    done = restore(folder)
    assert (done.aside is None) == (harm == "gone")
    assert asyncio.run(opened(folder)) == 3


def test_a_bare_copy_of_a_database_is_taken_too(folder: Path) -> None:
    backup(folder)
    (folder / "backup" / DATABASE).rename(folder / "copy.db")
    done = restore(folder, "copy.db")
    assert (done.note, done.facts.rows["runs"]) == (None, 3)
    assert asyncio.run(opened(folder)) == 3


def _spoil_note(made: Path, **values: Any) -> None:
    note = json.loads((made / NOTE).read_text())
    (made / NOTE).write_text(json.dumps(note | values))


def _newer(made: Path) -> None:
    with closing(sqlite3.connect(made / DATABASE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    _spoil_note(made, sha256=digest_of(made / DATABASE), size=(made / DATABASE).stat().st_size)


def _outside(made: Path) -> None:
    (made / FILES).write_text('["../../evil", 1, "x"]\n')
    _spoil_note(made, files_sha256=digest_of(made / FILES))


def _spoilt_file(made: Path) -> None:
    next((made / "artifacts").glob("*/*")).write_text("changed")


SPOILT: dict[str, tuple[Callable[[Path], Any], type[WindlassError], str]] = {
    "no note": (lambda made: (made / NOTE).unlink(), UserError, "is no backup: it has no backup.json"),
    "another format": (lambda made: _spoil_note(made, format=2), UserError, "made by another version"),
    "no database": (lambda made: (made / DATABASE).unlink(), CorruptStore, "has lost its database"),
    "a changed database": (
        lambda made: (made / DATABASE).write_bytes((made / DATABASE).read_bytes() + b"x"),
        CorruptStore,
        "is not what was backed up",
    ),
    "other rows": (lambda made: _spoil_note(made, rows={}), CorruptStore, "does not hold the rows"),
    "a newer program": (_newer, Unavailable, "written by a newer Windlass"),
    "a file outside": (_outside, CorruptStore, "names a file outside of the backup"),
    "a changed list": (lambda made: (made / FILES).write_text(""), CorruptStore, "list of files .* is damaged"),
    "a changed file": (_spoilt_file, CorruptStore, "is damaged; the database was not changed"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_bad_backup_changes_nothing(folder: Path, name: str) -> None:
    spoil, error, match = SPOILT[name]
    backup(folder)
    for kept in (folder / "artifacts").glob("*/*"):
        kept.unlink()
    spoil(folder / "backup")
    before = (folder / "windlass.db").read_bytes()
    with pytest.raises(error, match=match):
        restore(folder)
    assert (folder / "windlass.db").read_bytes() == before
    assert [path.name for path in folder.glob("windlass.db.*") if "lock" not in path.name] == []
    assert asyncio.run(opened(folder)) == 3
    assert not (folder.parent / "evil").exists()


def test_a_store_in_use_is_not_restored_over(folder: Path) -> None:
    backup(folder)
    ownership = asyncio.run(own(folder / "windlass.db", version="1", wait=0))
    with pytest.raises(Unavailable, match=f"in use by process {os.getpid()}"):
        restore(folder)
    ownership.release()


def test_a_backup_replaces_nothing_and_leaves_nothing_half(folder: Path) -> None:
    backup(folder, files=False)
    assert not (folder / "backup" / "artifacts").exists()
    with pytest.raises(Conflict, match="exists; name a folder that does not"):
        backup(folder)
    with (folder / "windlass.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 8))
    with pytest.raises((CorruptStore, Unavailable)):
        backup(folder, "second")
    assert [path.name for path in folder.iterdir() if path.name.startswith("second")] == []


def _die_restoring(folder: Path, point: int) -> None:
    left = [point]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)

        return step

    Path.rename = dying(Path.rename)  # type: ignore[method-assign]
    Path.replace = dying(Path.replace)  # type: ignore[method-assign]
    os.link = dying(os.link)
    os.fsync = dying(os.fsync)
    restore(folder)


def test_killed_anywhere_a_restore_leaves_the_old_or_the_new_or_says_so(folder: Path) -> None:
    backup(folder)
    asyncio.run(_more(folder))
    point, killed = 0, True
    while killed:
        Path(f"{folder}/windlass.db-wal").touch()
        child = os.fork()
        if not child:
            try:
                _die_restoring(folder, point)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - a child of the test's own process must not go on
                traceback.print_exc()
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        killed = code == -signal.SIGKILL
        assert killed or code == 0
        try:
            assert asyncio.run(opened(folder)) in {3, 4}
        except CorruptStore as error:
            assert "windlass db restore" in str(error) or "hard link" in str(error)  # noqa: PT017 - both ways are right
        point += 1
    assert point > 5
    assert asyncio.run(opened(folder)) == 3


async def _more(folder: Path) -> None:
    world = World(str(folder / "windlass.db"), folder)
    await world.submit(await world.prepare("job"))
    await world.close()
