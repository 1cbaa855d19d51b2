"""The archiver is killed at every point of its way: no run is lost, none is there twice, the next one ends the work."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.oracle.forks import doomed, forked
from tests.oracle.world import World
from windlass.engine.adopting import adopt
from windlass.engine.archiving import sweep
from windlass.engine.moving_files import artifact_folder, depot_of
from windlass.engine.reading import list_artifacts, list_runs, list_tasks
from windlass.engine.restoring import list_archive, restore
from windlass.errors import Unavailable
from windlass.ids import id_text, parse_id
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.leaving import PORTION
from windlass.store.archive.open import open_archive
from windlass.store.archive.traces import traced_archives
from windlass.store.backup.make import make_backup
from windlass.store.backup.restore import restore_backup
from windlass.store.owner import own
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction

#: Dozens of points, a few seconds each on a busy machine.
pytestmark = [pytest.mark.promise("K06"), pytest.mark.slow, pytest.mark.timeout(600)]
AGE: Final = 31 * 86_400.0
RUNS: Final = 4
CONTENTS: Final = (b"known", b"of after the backup")
REPORT: Final = b"a file of two runs"
SHA256: Final = hashlib.sha256(REPORT).hexdigest()
#: More rows than leave in one unit of work.
HEAVY: Final = PORTION * 2 + 50


def world_in(folder: Path, url: str) -> World:
    """Open the world of a folder; its clock stands behind the retention of all runs."""
    world = World(str(folder / "windlass.db"), folder, settings={"archive_url": url.format(folder)})
    world.clock.advance(AGE)
    return world


async def begin(folder: Path) -> None:
    """Make a world with final runs, one of them heavy."""
    world = World(str(folder / "windlass.db"), folder)
    job = await world.define(steps={"a": {}, "b": {}})
    for number in range(RUNS):
        await world.submit(job, labels={"number": str(number)})
    await (await world.worker()).work()

    def write(tx: Transaction) -> None:
        tx.cursor.executemany(
            "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, ?, 0, 'out', ?)",
            [(world.accepted[1], seq, b"line\n") for seq in range(HEAVY)],
        )

    await world.engine.store.run(write)
    for run_id in world.accepted[:2]:
        await world.engine.store.run(keep_file, run_id)
        kept = artifact_folder(world.engine, run_id)
        kept.mkdir(parents=True)
        (kept / SHA256).write_bytes(REPORT)
    seen = {id_text(run_id): [event.seq for event in await world.events(run_id)] for run_id in world.accepted}
    (folder / "events.json").write_text(json.dumps(seen))
    await world.close()


def keep_file(tx: Transaction, run_id: bytes) -> None:
    """Note a file of a run, of the same content as that of another."""
    tx.cursor.execute(
        "INSERT INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at) "
        "VALUES (?, 0, 'report', 1, ?, ?, ?, 0)",
        (run_id, len(REPORT), SHA256, f"{id_text(run_id)}/{SHA256}"),
    )


async def die(folder: Path, url: str, point: int) -> None:
    """Sweep, and bring one run back, but die at a point: before and after each unit of work and each file."""
    world = world_in(folder, url)
    step = doomed(world, point)
    for place, name in ((Path, "rename"), (os, "link"), (shutil, "rmtree")):
        setattr(place, name, watched(getattr(place, name), step))
    await sweep(world.engine)
    entries, _ = await list_archive(world.engine, ArchiveFilter())
    for entry in entries[2:]:
        await restore(world.engine, entry["id"])
    await world.close()


def watched(inner: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    """Return what does the same between two steps."""

    def call(*args: Any, **more: Any) -> Any:
        step()
        found = inner(*args, **more)
        step()
        return found

    return call


async def check(folder: Path, url: str) -> None:
    """Say that every run is in one place, end the work, and bring all back whole."""
    world = world_in(folder, url)
    seen = json.loads((folder / "events.json").read_text())
    archived, _ = await list_archive(world.engine, ArchiveFilter())
    hot = {one["id"] for one in (await list_runs(world.engine, RunFilter()))[0]}
    away = {one["id"] for one in archived if one["restoredAt"] is None}
    assert len(hot | away) == RUNS
    assert not hot & away
    await sweep(world.engine)
    archived, _ = await list_archive(world.engine, ArchiveFilter())
    assert len(archived) == RUNS
    for one in archived:
        await restore(world.engine, one["id"])
        run_id = parse_id(one["id"])
        assert run_id is not None
        assert [task["state"] for task in await list_tasks(world.engine, run_id)] == ["completed", "completed"]
        assert [event.seq for event in await world.events(run_id)] == seen[one["id"]]
        for file in await list_artifacts(world.engine, run_id):
            assert (artifact_folder(world.engine, run_id) / file["sha256"]).read_bytes() == REPORT
    rows, _ = await list_runs(world.engine, RunFilter())
    assert sorted(row["labels"]["number"] for row in rows) == ["0", "1", "2", "3"]
    count = "SELECT count(*), count(DISTINCT seq) FROM log_chunks"
    assert await world.engine.store.read(lambda tx: tx.cursor.execute(count).fetchone()) == (HEAVY, HEAVY)
    files = [file for one in archived for file in await list_artifacts(world.engine, parse_id(one["id"]) or b"")]
    assert [file["sha256"] for file in files] == [SHA256] * 2
    assert (await depot_of(world.engine, world.engine.settings.archive_url)).names() == [SHA256]
    if url.startswith("file:"):
        documents = list((folder / "cold").rglob("*.jsonl.gz*"))
        assert len(documents) <= 2
        assert not [path for path in documents if path.name.endswith(".part")]
    await world.close()


@pytest.mark.parametrize(
    "url",
    ["database:", "file://{0}/cold", "sqlite:///{0}/cold.db", "parquet://{0}/cold"],
    ids=["db", "files", "sqlite", "parquet"],
)
def test_killed_anywhere_it_loses_and_doubles_nothing(tmp_path: Path, url: str) -> None:
    (tmp_path / "begin").mkdir()
    assert forked(begin, tmp_path / "begin") == 0
    point, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        folder = tmp_path / str(point)
        shutil.copytree(tmp_path / "begin", folder)
        code = forked(die, folder, url, point)
        assert forked(check, folder, url) == 0, f"killed at point {point}"
        shutil.rmtree(folder)
        point += 1
    assert code == 0
    assert point > 15


async def begin_restored(folder: Path, url: str) -> None:
    """Make a store that came from a backup: its archive holds a run that it knows, and one of after the backup."""
    world = World(str(folder / "windlass.db"), folder, settings={"archive_url": url.format(folder)})
    job = await world.define(steps={"a": {}})
    for number in range(2):
        run_id = await world.submit(job)
        await (await world.worker()).work()
        kept = artifact_folder(world.engine, run_id)
        kept.mkdir(parents=True)
        content = CONTENTS[number]
        (kept / digest_of(content)).write_bytes(content)
        await world.engine.store.run(keep_content, run_id, content)
        world.clock.advance(AGE)
        assert (await sweep(world.engine)).archived == 1
        if number == 0:
            make_backup(folder / "windlass.db", None, folder / "backup", version="1", tell=str, clock=world.clock)
    await world.close()
    ownership = await own(folder / "windlass.db", version="1", wait=0)
    restore_backup(folder / "backup", ownership, folder / "artifacts", tell=str, clock=world.clock)
    ownership.release()
    shutil.rmtree(folder / "backup")


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep_content(tx: Transaction, run_id: bytes, content: bytes) -> None:
    """Note a file of a run."""
    tx.cursor.execute(
        "INSERT INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at) "
        "VALUES (?, 0, 'report', 1, ?, ?, ?, 0)",
        (run_id, len(content), digest_of(content), f"{id_text(run_id)}/{digest_of(content)}"),
    )


async def die_adopting(folder: Path, url: str, point: int, *, drop: bool) -> None:
    """Adopt the archive and sweep, but die at a point."""
    world = world_in(folder, url)
    step = doomed(world, point)
    for name in ("rename", "unlink"):
        setattr(Path, name, watched(getattr(Path, name), step))
    await adopt(world.engine, drop=drop)
    await sweep(world.engine)
    await world.close()


async def check_adopted(folder: Path, url: str, *, drop: bool) -> None:
    """Say that nothing was lost, whoever goes on, and that nothing is left once the work is ended."""
    world = world_in(folder, url)
    with suppress(Unavailable):  # where it was not adopted yet
        await sweep(world.engine)
    found = await adopt(world.engine, drop=drop)
    assert (found.damaged, found.known, found.homeless, found.trouble) == (0, 0, 0, [])
    await sweep(world.engine)
    entries, _ = await list_archive(world.engine, ArchiveFilter())
    assert len(entries) == 1 if drop else 2
    contents = CONTENTS[:1] if drop else CONTENTS
    for entry, content in zip(reversed(entries), contents, strict=True):
        run, _ = await restore(world.engine, entry["id"])
        assert run["state"] == "completed"
        kept = artifact_folder(world.engine, parse_id(entry["id"]) or b"")
        assert [path.read_bytes() for path in kept.iterdir()] == [content]
    archive = await open_archive(world.engine.settings.archive_url, world.engine.store)
    assert len(await archive.names()) == len(contents)
    assert (await depot_of(world.engine, archive.url)).names() == sorted(map(digest_of, contents))
    assert await world.engine.store.read(traced_archives) == set()
    await world.close()


@pytest.mark.promise("H12")
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(
    "url", ["file://{0}/cold", "sqlite:///{0}/cold.db", "parquet://{0}/cold"], ids=["files", "sqlite", "parquet"]
)
def test_an_adoption_that_is_killed_anywhere_is_ended_by_the_next(tmp_path: Path, url: str, *, drop: bool) -> None:
    begun = tmp_path / "here"
    begun.mkdir()
    assert forked(begin_restored, begun, url) == 0
    begun.rename(tmp_path / "begun")  # addresses name the folder, so that each point gets a copy at the same place
    point, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        shutil.copytree(tmp_path / "begun", begun)
        code = forked(lambda folder, at: die_adopting(folder, url, at, drop=drop), begun, point)
        assert forked(lambda folder: check_adopted(folder, url, drop=drop), begun) == 0, f"killed at point {point}"
        shutil.rmtree(begun)
        point += 1
    assert code == 0
    assert point > 4
