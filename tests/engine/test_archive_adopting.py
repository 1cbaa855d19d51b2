"""A store that came from a backup leaves archives alone until somebody says that they are its own."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.archiving import DAY, ended, everything, keep_file
from tests.oracle.world import World
from windlass.clock import ManualClock
from windlass.engine.adopting import Adopted, adopt
from windlass.engine.archiving import sweep
from windlass.engine.deleting import delete_run
from windlass.engine.moving_files import artifact_folder, depot_of
from windlass.engine.restoring import list_archive, restore
from windlass.errors import CorruptStore, NotFound, Unavailable
from windlass.ids import id_text
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.open import open_archive
from windlass.store.archive.traces import traced_archives
from windlass.store.backup.make import make_backup
from windlass.store.backup.restore import restore_backup
from windlass.store.owner import own

pytestmark = [pytest.mark.promise("K06"), pytest.mark.promise("H12")]
KINDS = {"sqlite": "sqlite:///{}/cold.db", "files": "file://{}/cold", "parquet": "parquet://{}/cold"}
FOREIGN = "was changed by another copy of this store, or by this one before a backup was restored: .* `windlass archive"


@pytest.fixture(params=sorted(KINDS))
async def cold(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give a world with an archive outside of its database."""
    (tmp_path / "home").mkdir()
    found = _world(tmp_path / "home", KINDS[request.param].format(tmp_path))
    request.node.user_properties.append(("store", "sqlite"))
    yield found
    await found.close()


def _world(home: Path, url: str) -> World:
    return World(str(home / "windlass.db"), home, settings={"archive_url": url})


async def _with_file(world: World, job: Any, content: bytes) -> bytes:
    run_id = await ended(world, job)
    sha256 = hashlib.sha256(content).hexdigest()
    folder = artifact_folder(world.engine, run_id)
    folder.mkdir(parents=True)
    (folder / sha256).write_bytes(content)
    await world.engine.store.run(keep_file, run_id, sha256)
    return run_id


async def _backup(world: World, target: Path) -> None:
    await asyncio.to_thread(
        make_backup, world.home / "windlass.db", None, target, version="1", tell=lambda _: None, clock=world.clock
    )


async def _restored(home: Path, source: Path, like: World) -> World:
    """Bring a backup back in a home, and open its store."""
    ownership = await own(home / "windlass.db", version="1", wait=0)
    try:
        await asyncio.to_thread(
            restore_backup, source, ownership, home / "artifacts", tell=lambda _: None, clock=ManualClock()
        )
    finally:
        ownership.release()
    found = _world(home, like.engine.settings.archive_url)
    found.clock.advance((like.clock.now() - found.clock.now()) / 1_000_000)
    for _ in range(100):  # what it makes has ids of its own
        found.ids.new()
    return found


async def _listed(world: World) -> set[str]:
    return {one["id"] for one in (await list_archive(world.engine, ArchiveFilter()))[0]}


async def _begun(world: World, target: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    """Archive two runs with files, one before and one after a backup; return them, and all that was seen of the last.

    The run of after had not begun then.
    """
    job = await world.define(steps={"a": {}})
    old = await _with_file(world, job, b"old")
    world.clock.advance(31 * DAY)
    assert (await sweep(world.engine)).archived == 1
    await _backup(world, target)
    new = await _with_file(world, job, b"new")
    seen = await everything(world, new)
    world.clock.advance(31 * DAY)
    assert (await sweep(world.engine)).archived == 1
    return old, new, seen


@pytest.mark.parametrize("where", ["same home", "other home"])
async def test_a_restored_store_touches_nothing_in_an_archive_before_it_is_adopted(
    cold: World, tmp_path: Path, where: str
) -> None:
    old, new, seen = await _begun(cold, tmp_path / "backup")
    home = cold.home if where == "same home" else tmp_path / "other"
    if where == "same home":
        await cold.close()
    back = await _restored(home, tmp_path / "backup", cold)
    another = await ended(back, await back.prepare("job"))
    back.clock.advance(31 * DAY)
    with pytest.raises(Unavailable, match=FOREIGN):
        await sweep(back.engine)
    assert (await back.run(another))["state"] == "completed"
    assert await _listed(back) == {id_text(old)}
    await restore(back.engine, id_text(old))  # reading is no change
    await delete_run(back.engine, old)
    if where == "other home":
        assert (await sweep(cold.engine)).archived == 0
        for run_id in (old, new):
            await restore(cold.engine, id_text(run_id))
        assert await everything(cold, new) == seen
    await back.close()
    if where == "same home":  # the database of before still has all that is its own
        (aside,) = home.glob("windlass.db.before-*")
        (home / "windlass.db").unlink()
        aside.rename(home / "windlass.db")
        before = _world(home, cold.engine.settings.archive_url)
        before.clock.advance(70 * DAY)
        assert await sweep(before.engine)
        for run_id in (old, new):
            await restore(before.engine, id_text(run_id))
        assert await everything(before, new) == seen
        await before.close()


async def test_what_an_archive_holds_is_entered_when_it_is_adopted(cold: World, tmp_path: Path) -> None:
    old, new, seen = await _begun(cold, tmp_path / "backup")
    await cold.close()
    back = await _restored(cold.home, tmp_path / "backup", cold)
    assert (await adopt(back.engine, dry=True)).runs == 1
    assert await _listed(back) == {id_text(old)}
    with pytest.raises(Unavailable, match=FOREIGN):
        await sweep(back.engine)
    told = Adopted(after=None)
    found = await adopt(back.engine, patience=0)
    while found.after is not None:
        told.runs += found.runs
        found = await adopt(back.engine, after=found.after, patience=0)
    assert (told.runs + found.runs, found.trouble) == (1, [])
    assert await _listed(back) == {id_text(old), id_text(new)}
    another = await ended(back, await back.prepare("job"))
    back.clock.advance(31 * DAY)
    assert (await sweep(back.engine)).archived == 1
    for run_id in (old, new, another):
        await restore(back.engine, id_text(run_id))
    assert await everything(back, new) == seen
    sha256 = hashlib.sha256(b"new").hexdigest()
    assert (artifact_folder(back.engine, new) / sha256).read_bytes() == b"new"
    assert (await adopt(back.engine)).runs == 0
    await back.close()


async def test_what_an_archive_holds_is_removed_when_that_is_said(cold: World, tmp_path: Path) -> None:
    old, new, _ = await _begun(cold, tmp_path / "backup")
    await cold.close()
    back = await _restored(cold.home, tmp_path / "backup", cold)
    found = await adopt(back.engine, dry=True, drop=True)
    assert (found.dropped, found.files) == (1, 1)
    found = await adopt(back.engine, drop=True)
    assert (found.dropped, found.files) == (1, 1)
    archive = await open_archive(back.engine.settings.archive_url, back.engine.store)
    assert len(await archive.names()) == 1
    assert (await depot_of(back.engine, archive.url)).names() == [hashlib.sha256(b"old").hexdigest()]
    await restore(back.engine, id_text(old))
    with pytest.raises(NotFound):
        await restore(back.engine, id_text(new))
    assert await back.engine.store.read(traced_archives) == set()
    await back.close()


async def test_runs_that_the_store_has_or_cannot_have_are_not_entered(cold: World, tmp_path: Path) -> None:
    job = await cold.define(steps={"a": {}})
    hot = await ended(cold, job)
    await _backup(cold, tmp_path / "backup")
    later = await ended(cold, await cold.define("later", steps={"a": {}}))
    cold.clock.advance(31 * DAY)
    assert (await sweep(cold.engine)).archived == 2
    await cold.close()
    back = await _restored(cold.home, tmp_path / "backup", cold)
    await back.define("other", steps={"a": {}})  # which gets the number that the revision had
    found = await adopt(back.engine)
    assert (found.runs, found.known, found.homeless, found.damaged) == (0, 1, 1, 0)
    assert (await back.run(hot))["state"] == "completed"
    assert await _listed(back) == set()
    found = await adopt(back.engine, drop=True)
    archive = await open_archive(back.engine.settings.archive_url, back.engine.store)
    assert (found.dropped, await archive.names()) == (1 if cold.engine.settings.archive_url[0] != "s" else 2, [])
    assert id_text(later) not in await _listed(back)
    await back.close()


async def test_a_damaged_document_is_told_and_keeps_no_other_from_being_entered(cold: World, tmp_path: Path) -> None:
    _, new, _ = await _begun(cold, tmp_path / "backup")
    archive = await open_archive(cold.engine.settings.archive_url, cold.engine.store)
    with pytest.raises(CorruptStore):
        await _spoil(archive, new)
    await cold.close()
    back = await _restored(cold.home, tmp_path / "backup", cold)
    found = await adopt(back.engine)
    assert (found.runs, found.damaged) == (0, 1)
    await back.close()


async def _spoil(archive: Any, run_id: bytes) -> None:
    """Overwrite the document of a run, and show that it cannot be read."""
    if archive.url.startswith("sqlite:"):
        import sqlite3  # noqa: PLC0415 - for this alone

        with sqlite3.connect(archive.url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE archive_parts SET data = x'00' WHERE run_id = ?", (run_id,))
    else:
        for path in Path(archive.url.partition("://")[2]).rglob(f"*{run_id.hex()}*"):
            path.write_bytes(b"no document")
    for name in await archive.names():
        for entry in await archive.entries(name):
            async for _ in archive.read(entry.run_id, entry.place):
                pass
