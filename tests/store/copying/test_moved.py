"""A store in SQLite that was copied: it can be read, nobody works on it, and a copy that was cut off is finished."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import PostgresServer
from tests.sdk import sample
from windlass import Windlass
from windlass.errors import Conflict, Unavailable
from windlass.store.copying.by_url import copy
from windlass.store.copying.copy import Copied
from windlass.store.copying.target import Target
from windlass.store.moved import find_move, forget_move
from windlass.store.open import open_store
from windlass.store.place import ServerPlace, store_place

pytestmark = pytest.mark.promise("H07")


@pytest.fixture
async def place(postgres: PostgresServer) -> AsyncIterator[ServerPlace]:
    """Yield the place of an empty database."""
    name = await postgres.empty()
    found = store_place(postgres.url(name)).server
    assert found is not None
    yield found
    await postgres.drop(name)


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store with a run in it that waits."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    found = tmp_path / "jobs.db"
    async with Windlass(f"sqlite:///{found}", workers=1) as app:
        await app.submit(sample.double, 1, start_after=3600)
    return found


def nobody(whole: bool | None) -> None:
    raise AssertionError(whole)


async def copied(database: Path, place: ServerPlace) -> Copied:
    folder = database.parent / "artifacts"
    done, owner = await copy(
        database, place, files=(folder, folder), version="0", through_owner=nobody, tell=lambda _: None
    )
    assert owner is None
    return done


async def runs_at(url: str) -> int:
    async with await open_store(url, version="0") as opened:
        assert await opened.store.read(find_move) is None
        found: int = await opened.store.read(lambda tx: tx.cursor.execute("SELECT count(*) FROM runs").fetchone()[0])
        return found


async def test_a_store_that_was_copied_is_read_and_not_worked_on(database: Path, place: ServerPlace) -> None:
    assert (await copied(database, place)).rows["runs"] == 1
    assert await runs_at(place.dsn) == 1, "the copy goes on"
    with pytest.raises(Conflict, match=f"was moved to {place.shown} at .*`windlass db copy --undo`"):
        async with Windlass(f"sqlite:///{database}", workers=1):
            pass
    with pytest.raises(Conflict, match="was moved to"):
        await copied(database, place)
    async with await open_store(f"sqlite:///{database}", version="0") as opened:
        assert opened.store.moved is not None
        assert await opened.store.read(lambda tx: tx.cursor.execute("SELECT count(*) FROM runs").fetchone()[0]) == 1
        await opened.store.run(forget_move)
    async with Windlass(f"sqlite:///{database}", workers=1) as app:
        await app.submit(sample.double, 1, start_after=3600)


_KILLED = """
import asyncio, os, pathlib, signal, sys
from windlass.store.copying.by_url import copy
from windlass.store.copying.target import Target
from windlass.store.place import store_place

commit = Target.commit

async def killed(self):
    if sys.argv[3] == "after":
        await commit(self)
    os.kill(os.getpid(), signal.SIGKILL)

Target.commit = killed
path = pathlib.Path(sys.argv[1])
files = path.parent / "artifacts"
place = store_place(sys.argv[2]).server
asyncio.run(copy(path, place, files=(files, files), version="0", through_owner=None, tell=lambda _: None))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_copy_that_is_killed_at_its_end_is_finished_by_the_same_command(
    database: Path, place: ServerPlace, postgres: PostgresServer, moment: str
) -> None:
    command = [sys.executable, "-c", _KILLED, str(database), place.dsn, moment]
    done = await asyncio.to_thread(subprocess.run, command, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(Conflict, match=r"was cut off at its end, at .*, and may be there: finish it with the same"):
        async with Windlass(f"sqlite:///{database}", workers=1):
            pass
    other = store_place(postgres.url(await postgres.empty())).server
    assert other is not None
    with pytest.raises(Conflict, match="was cut off at its end"):
        await copied(database, other)
    assert (await copied(database, place)).rows["runs"] == 1
    assert await runs_at(place.dsn) == 1
    async with await open_store(f"sqlite:///{database}", version="0") as opened:
        move = await opened.store.read(find_move)
        assert move is not None
        assert (move.to, move.whole) == (place.shown, True)


async def test_a_commit_that_the_server_refuses_leaves_the_store_here(
    database: Path, place: ServerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Target.commit

    async def refused(self: Target) -> None:
        await self._raw.execute("SELECT 1 / 0")

    monkeypatch.setattr(Target, "commit", refused)
    with pytest.raises(Unavailable):
        await copied(database, place)
    async with Windlass(f"sqlite:///{database}", workers=1) as app:
        await app.submit(sample.double, 1, start_after=3600)
    monkeypatch.setattr(Target, "commit", commit)
    assert (await copied(database, place)).rows["runs"] == 2
