"""A store that is copied from SQLite to PostgreSQL: all of it, as it was, or nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from tests.fixtures.postgres import PostgresServer
from tests.sdk import sample
from windlass import RunNotCompleted, Windlass
from windlass.engine.dispatching import set_maintenance
from windlass.errors import Conflict, CorruptStore, Unavailable
from windlass.sdk.embedded import Embedded
from windlass.store.copying.content import copied_columns, copied_tables
from windlass.store.copying.copy import Copied, copy_store
from windlass.store.open import open_store
from windlass.store.place import ServerPlace, store_place

pytestmark = pytest.mark.promise("H07")

SECONDS = 30
#: Texts and bytes that databases have had trouble with.
HOSTILE = (
    "",
    "'",
    '"',
    "\\",
    "\\x00",
    "a\tb\nc",
    "%s?$1",
    "é\u0301",
    "\U0001f600",
    "\ufffd",
    "NULL",
    "\\N",
    " ",
    "\x1f",
)


def silent(_: str) -> None:
    """Tell nobody."""


async def unmarked(_: bool | None) -> None:
    """Leave the source as it is."""


@pytest.fixture
async def empty(postgres: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[ServerPlace]:
    """Yield the place of an empty database."""
    request.node.user_properties.append(("store", "postgres"))
    name = await postgres.empty()
    place = store_place(postgres.url(name)).server
    assert place is not None
    yield place
    await postgres.drop(name)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


async def fill(database: Path, seed: int, runs: int = 8) -> None:
    """Make a store in which something of most kinds happened."""
    chance = random.Random(seed)  # noqa: S311 - the same store for the same seed

    def refuse(text: str) -> None:
        raise ValueError(text)

    async with Windlass(f"sqlite:///{database}", workers=2, jobs=[refuse]) as app:
        for _ in range(runs):
            labels = {f"l{n}": chance.choice(HOSTILE) for n in range(chance.randrange(3))}
            options: dict[str, Any] = {"labels": labels, "note": chance.choice(HOSTILE), "key": f"k{chance.random()}"}
            run = await app.submit(sample.Price, sample.Order(chance.choice(HOSTILE)), **options)
            await run.wait(SECONDS)
        await (await app.submit(sample.IsolatedPrice, sample.Order("tea"))).wait(SECONDS)
        failed = await app.submit(refuse, {"text": "\0 and so on"})
        with pytest.raises(RunNotCompleted):
            await failed.wait(SECONDS)
        await app.requeue(failed.id)
        await app.send_event("deploy.done", {"\0": chance.choice(HOSTILE)})
        for after in (3600, 7200):
            later = await app.submit(sample.double, 21, start_after=after)
        await app.submit(sample.double, 1, depends_on=[later])
    with closing(sqlite3.connect(database)) as connection, connection:
        for seq in range(20):
            data = chance.randbytes(chance.randrange(2000))
            row = (chance.randbytes(16), seq, 1, seq, 2**62 - seq, "stdout", data)
            connection.execute("INSERT INTO log_chunks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("UPDATE sqlite_sequence SET seq = seq + 1000 WHERE name = 'queue'")


async def copy(database: Path, place: ServerPlace, **options: Any) -> Copied:
    return await copy_store(
        database, place, **{"files": None, "owned": True, "mark": unmarked, "tell": silent, **options}
    )


def rows_of(table: Table) -> str:
    return str(select(*(table.c[name] for name in copied_columns(table))))


def rows_here(database: Path) -> dict[str, set[tuple[Any, ...]]]:
    with closing(sqlite3.connect(database)) as connection:
        return {table.name: set(connection.execute(rows_of(table))) for table in copied_tables()}


async def rows_there(postgres: PostgresServer, place: ServerPlace) -> dict[str, set[tuple[Any, ...]]]:
    connection = await postgres.connect(place.shown.rpartition("/")[2])
    try:
        return {table.name: {tuple(row) for row in await connection.fetch(rows_of(table))} for table in copied_tables()}
    finally:
        await connection.close()


async def is_empty(postgres: PostgresServer, place: ServerPlace) -> bool:
    connection = await postgres.connect(place.shown.rpartition("/")[2])
    try:
        return not await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", range(2))
async def test_everything_is_there_afterwards(
    database: Path, empty: ServerPlace, postgres: PostgresServer, seed: int
) -> None:
    await fill(database, seed)
    before = rows_here(database)
    done = await copy(database, empty)
    assert await rows_there(postgres, empty) == rows_here(database) == before
    assert done.rows == {name: len(rows) for name, rows in before.items()}
    assert done.rows["runs"] > 10
    assert done.mended == 0


async def test_history_stands_in_the_partition_of_its_week(
    database: Path, empty: ServerPlace, postgres: PostgresServer
) -> None:
    await fill(database, 8, runs=1)
    long_ago = (int(time.time() * 1000) - 3 * 7 * 86_400_000).to_bytes(6) + b"\x70" + bytes(9)
    with closing(sqlite3.connect(database)) as connection, connection:
        (run,) = connection.execute("SELECT id FROM runs WHERE state = 'failed'").fetchone()
        for table, column in (("runs", "id"), ("tasks", "run_id"), ("events", "run_id")):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (long_ago, run))  # noqa: S608 - names above
    await copy(database, empty)
    there = await postgres.connect(empty.shown.rpartition("/")[2])
    found = await there.fetch("SELECT tableoid::regclass::text AS name FROM tasks WHERE run_id = $1", long_ago)
    await there.close()
    assert len(found) == 1
    assert found[0]["name"].startswith("tasks_2")


async def test_the_copy_goes_on_where_the_store_was(database: Path, empty: ServerPlace) -> None:
    await fill(database, 7, runs=1)
    with closing(sqlite3.connect(database)) as connection:
        last = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
    await copy(database, empty)
    async with Windlass(empty.dsn, workers=2) as app:
        kept = await app.submit(sample.double, 4)
        assert await kept.wait(SECONDS) == 8
        backend = app._backend
        assert isinstance(backend, Embedded)

        def numbers(tx: Any) -> list[int]:
            of_run = (bytes.fromhex(hexed),)
            found = tx.cursor.execute("SELECT min(seq) FROM events WHERE run_id = ?", of_run).fetchone()
            return [found[0], tx.cursor.execute("SELECT nextval('queue_id_seq')").fetchone()[0]]

        hexed = kept.id.replace("-", "")
        events, queued = await backend._engine.store.run(numbers)
    assert events > last
    assert queued > 1000


async def test_a_number_is_given_again_to_nobody(database: Path, empty: ServerPlace) -> None:
    await fill(database, 7, runs=1)
    await copy(database, empty)
    async with await open_store(empty.dsn, version="0") as opened:
        found = await opened.store.run(lambda tx: tx.cursor.execute("SELECT nextval('queue_id_seq')").fetchone()[0])
    with closing(sqlite3.connect(database)) as connection:
        (last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'queue'").fetchone()
    assert found == last + 1


async def test_nothing_is_made_where_it_breaks_off(
    database: Path, empty: ServerPlace, postgres: PostgresServer
) -> None:
    await fill(database, 1, runs=1)

    def stop(text: str) -> None:
        if text.startswith("Copying tasks"):
            raise KeyError(text)

    with pytest.raises(KeyError):
        await copy(database, empty, tell=stop)
    assert await is_empty(postgres, empty)
    assert (await copy(database, empty)).rows["runs"] > 1


_KILLED = """
import asyncio, os, pathlib, signal, sys
from windlass.store.copying.copy import copy_store
from windlass.store.place import store_place

def tell(text):
    if text.startswith("Comparing"):
        os.kill(os.getpid(), signal.SIGKILL)

place = store_place(sys.argv[2]).server
async def unmarked(_):
    pass

asyncio.run(copy_store(pathlib.Path(sys.argv[1]), place, files=None, owned=True, mark=unmarked, tell=tell))
"""


async def test_nothing_is_made_where_it_is_killed(database: Path, empty: ServerPlace, postgres: PostgresServer) -> None:
    await fill(database, 2, runs=1)
    command = [sys.executable, "-c", _KILLED, str(database), empty.dsn]
    done = await asyncio.to_thread(subprocess.run, command, timeout=SECONDS, check=False)
    assert done.returncode == -signal.SIGKILL
    assert await is_empty(postgres, empty)
    assert (await copy(database, empty)).rows["runs"] > 1


async def test_a_copy_that_is_not_what_was_read_is_not_kept(
    database: Path, empty: ServerPlace, postgres: PostgresServer
) -> None:
    await fill(database, 3, runs=1)
    async with await open_store(empty.dsn, version="0"):
        pass
    connection = await postgres.connect(empty.shown.rpartition("/")[2])
    await connection.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'x'; RETURN NEW; END $$; "
        "CREATE TRIGGER spoil BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    with pytest.raises(CorruptStore, match="The copy of runs is not what was read; nothing was kept of it"):
        await copy(database, empty)
    assert await connection.fetchval("SELECT count(*) FROM runs") == 0
    await connection.close()


async def test_texts_that_postgresql_cannot_hold_are_told_of(database: Path, empty: ServerPlace) -> None:
    await fill(database, 4, runs=1)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE runs SET note = 'a' || char(0) || 'b' WHERE state = 'failed'")
        connection.execute("UPDATE runs SET note = CAST(X'61ff62' AS TEXT) WHERE state = 'waiting'")
    done = await copy(database, empty)
    assert done.mended >= 2
    async with await open_store(empty.dsn, version="0") as opened:
        notes = await opened.store.read(
            lambda tx: {row[0] for row in tx.cursor.execute("SELECT note FROM runs WHERE note LIKE 'a%b'")}
        )
    assert notes == {"a\ufffdb"}


class TestWhatIsRefused:
    """With one sentence, and nothing changed."""

    async def test_a_database_that_has_a_store_in_it(self, database: Path, empty: ServerPlace) -> None:
        await fill(database, 5, runs=1)
        await copy(database, empty)
        with pytest.raises(Conflict, match=r"is not empty, there are \w+ in it"):
            await copy(database, empty)

    async def test_a_database_that_a_server_uses(self, database: Path, empty: ServerPlace) -> None:
        await fill(database, 5, runs=1)
        async with Windlass(empty.dsn, workers=1):
            with pytest.raises(Conflict, match="A server works on the database"):
                await copy(database, empty)

    async def test_another_programs_tables(self, database: Path, empty: ServerPlace, postgres: PostgresServer) -> None:
        await fill(database, 5, runs=1)
        connection = await postgres.connect(empty.shown.rpartition("/")[2])
        await connection.execute("CREATE TABLE jobs (id INT)")
        await connection.close()
        with pytest.raises(Unavailable, match="has a table jobs that is not of Windlass"):
            await copy(database, empty)

    async def test_a_database_that_is_not_there(self, database: Path, empty: ServerPlace) -> None:
        await fill(database, 5, runs=1)
        other = store_place(empty.dsn.replace("/d", "/nothing", 1)).server
        assert other is not None
        with pytest.raises(Unavailable, match="is not there: make it with `createdb`"):
            await copy(database, other)

    async def test_a_store_that_a_server_works_on(self, database: Path, empty: ServerPlace) -> None:
        async with Windlass(f"sqlite:///{database}", workers=1) as app:
            with pytest.raises(Unavailable, match=r"A server works on the store at .*: stop it, or run"):
                await copy(database, empty, owned=False)
            await app.submit(sample.double, 1, start_after=3600)
            backend = app._backend
            assert isinstance(backend, Embedded)
            await set_maintenance(backend._engine, on=True, by="root")
            assert (await copy(database, empty, owned=False)).rows["runs"] == 1

    async def test_a_file_that_is_none(self, tmp_path: Path, empty: ServerPlace, postgres: PostgresServer) -> None:
        (tmp_path / "text").write_text("no database" * 1000)
        with pytest.raises(CorruptStore, match="is damaged"):
            await copy(tmp_path / "text", empty)
        assert await is_empty(postgres, empty)


async def test_files_are_copied_where_they_lie_elsewhere(database: Path, empty: ServerPlace, tmp_path: Path) -> None:
    await fill(database, 6, runs=1)
    here, there = tmp_path / "here", tmp_path / "there"
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    paths = {"a/1": b"one", "a/2": b"two", f"archived/{nothing}": b"", "archived/other": b"x"}
    for path, data in paths.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes(data)
    with closing(sqlite3.connect(database)) as connection, connection:
        for name, path in (("one", "a/1"), ("gone", "a/3")):
            row = (
                b"1" * 16,
                0,
                name,
                1,
                3,
                "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
                path,
                1,
            )
            connection.execute("INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", row)
        connection.execute("INSERT INTO archived_files VALUES (?, ?, 'database:', 0)", (b"1" * 16, nothing))
    done = await copy(database, empty, files=(tmp_path / "nowhere", here, there))
    assert (done.files, done.missing) == (2, 1)
    assert (there / "a/1").read_bytes() == b"one"
    assert not (there / "a/2").exists()  # no run has it
    assert [file.name for file in (there / "archived").iterdir()] == [nothing]
    (here / "a/1").write_bytes(b"two")
    (there / "a/1").unlink()
    with pytest.raises(CorruptStore, match="is not what a run kept"):
        await copy(database, empty, files=(here, there))
