"""Files of runs go to the archive with their run, each content once, verified, and come back with it."""

from __future__ import annotations

import errno
import hashlib
from typing import Any

import pytest

from tests.oracle.world import World
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.archiving import sweep
from windlass.engine.deleting import delete_run
from windlass.engine.manifests import ManifestText
from windlass.engine.moving_files import artifact_folder, depot_of
from windlass.engine.reading import find_run, list_artifacts
from windlass.engine.restoring import archive_figures, list_archive, restore
from windlass.errors import CorruptStore, NotFound, Unavailable
from windlass.ids import id_text
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.depot import Depot
from windlass.store.archive.traces import note_traces
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("K06")
DAY = 86_400.0
REPORT, PLOT = b"the same report\n", b"\x00plot" * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def with_files(world: World, job: Any, **files: bytes) -> bytes:
    """Run a job to its end, let it keep files, and return its run."""
    run_id = await world.submit(job)
    await (await world.worker()).work()
    folder = artifact_folder(world.engine, run_id)
    folder.mkdir(parents=True)

    def note(tx: Transaction) -> None:
        tx.cursor.executemany(
            "INSERT INTO artifacts (run_id, task, name, attempt, size, sha256, path, created_at) "
            "VALUES (?, 0, ?, 1, ?, ?, ?, ?)",
            [
                (run_id, name, len(data), digest(data), f"{id_text(run_id)}/{digest(data)}", tx.now)
                for name, data in files.items()
            ],
        )

    for data in files.values():
        (folder / digest(data)).write_bytes(data)
    await world.engine.store.run(note)
    return run_id


async def depot(world: World) -> Depot:
    return await depot_of(world.engine, world.engine.settings.archive_url)


async def test_files_go_and_come_back_and_the_same_content_is_kept_once(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    first = await with_files(kept, job, report=REPORT, plot=PLOT, copy=REPORT)
    second = await with_files(kept, job, report=REPORT)
    files = await list_artifacts(kept.engine, first)
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 2
    assert not artifact_folder(kept.engine, first).exists()
    assert not artifact_folder(kept.engine, second).exists()
    held = await depot(kept)
    assert held.names() == sorted([digest(REPORT), digest(PLOT)])
    assert (held.folder / digest(PLOT)).stat().st_nlink == 1
    figures = await archive_figures(kept.engine)
    assert (figures["files"], figures["fileSize"]) == (2, len(REPORT) + len(PLOT))

    await restore(kept.engine, id_text(first))
    assert await list_artifacts(kept.engine, first) == files
    folder = artifact_folder(kept.engine, first)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {digest(REPORT): REPORT, digest(PLOT): PLOT}
    # Whoever writes to what came back does not write to the archive.
    (folder / digest(PLOT)).write_bytes(b"other")
    held.check(digest(PLOT))
    (folder / digest(PLOT)).write_bytes(PLOT)
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 1
    assert not folder.exists()
    await restore(kept.engine, id_text(first))
    assert (folder / digest(PLOT)).read_bytes() == PLOT


async def test_files_leave_the_archive_with_the_last_run_that_has_them(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    await with_files(kept, job, report=REPORT, plot=PLOT)
    kept.clock.advance(10 * DAY)
    await with_files(kept, job, report=REPORT)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    held = await depot(kept)
    (held.folder / f".part-{digest(b'x')}").write_bytes(b"x")  # left by a kill
    await kept.engine.store.run(note_traces, kept.engine.settings.archive_url, "file", [digest(b"x")])
    kept.clock.advance(325 * DAY)
    assert (await sweep(kept.engine)).ended == 1
    assert held.names() == [digest(REPORT)]
    kept.clock.advance(10 * DAY)
    assert (await sweep(kept.engine)).ended == 1
    assert not held.folder.exists()


@pytest.mark.parametrize("by_policy", [False, True])
async def test_a_run_that_came_back_and_is_deleted_leaves_the_archive_too(kept: World, *, by_policy: bool) -> None:
    job = await kept.define(steps={"a": {}})
    first = await with_files(kept, job, report=REPORT)
    second = await with_files(kept, job, plot=PLOT)
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 2
    await restore(kept.engine, id_text(first))
    if by_policy:
        text = '{"apiVersion": "v1", "kind": "RetentionPolicy", "metadata": {"name": "p"}, "spec": %s}'
        spec = text % '{"minAge": "1h", "to": "delete"}'
        await apply(kept.engine, [ManifestText("p.yaml", spec.encode())], ApplyOptions())
        kept.clock.advance(DAY)
        assert (await sweep(kept.engine)).deleted == 1
    else:
        assert await delete_run(kept.engine, first)
    kept.accepted.clear()
    assert [one["id"] for one in (await list_archive(kept.engine, ArchiveFilter()))[0]] == [id_text(second)]
    with pytest.raises(NotFound, match="There is no run"):
        await find_run(kept.engine, id_text(first))
    assert (await depot(kept)).names() == [digest(PLOT)]
    await restore(kept.engine, id_text(second))
    kept.accepted.append(second)


async def test_files_of_a_lost_attempt_go_with_their_run(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    for _ in range(2):
        await kept.submit(job)
    await (await kept.worker()).work()
    folders = [artifact_folder(kept.engine, run_id) for run_id in kept.accepted]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / digest(REPORT)).write_bytes(REPORT)  # kept, and its owner died before the end was told
    assert await delete_run(kept.engine, kept.accepted.pop(0))
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 1
    kept.accepted.clear()
    assert [folder for folder in folders if folder.exists()] == []


async def test_a_damaged_file_keeps_its_run_here_and_one_that_is_gone_does_not(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    damaged = await with_files(kept, job, report=REPORT)
    gone = await with_files(kept, job, plot=PLOT)
    (artifact_folder(kept.engine, damaged) / digest(REPORT)).write_bytes(b"rot")
    (artifact_folder(kept.engine, gone) / digest(PLOT)).unlink()
    kept.clock.advance(31 * DAY)
    swept = await sweep(kept.engine)
    assert (swept.archived, swept.failed) == (1, 1)
    assert (await kept.run(damaged))["state"] == "completed"
    assert artifact_folder(kept.engine, damaged).exists()
    assert (await depot(kept)).names() == []
    await restore(kept.engine, id_text(gone))
    assert [file["name"] for file in await list_artifacts(kept.engine, gone)] == ["plot"]


async def test_a_run_is_not_brought_back_with_a_damaged_file(kept: World) -> None:
    run_id = await with_files(kept, await kept.define(steps={"a": {}}), report=REPORT)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    held = await depot(kept)
    (held.folder / digest(REPORT)).write_bytes(b"rot")
    with pytest.raises(CorruptStore, match="is damaged: it has the SHA-256"):
        await restore(kept.engine, id_text(run_id))
    (held.folder / digest(REPORT)).unlink()
    with pytest.raises(CorruptStore, match="cannot be read: No such file"):
        await restore(kept.engine, id_text(run_id))
    (held.folder / digest(REPORT)).write_bytes(REPORT)
    await restore(kept.engine, id_text(run_id))


async def test_a_disk_that_takes_no_file_lets_no_run_go(kept: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await with_files(kept, await kept.define(steps={"a": {}}), report=REPORT)
    kept.clock.advance(31 * DAY)

    def elsewhere(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "another disk")

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("windlass.store.archive.depot.os.link", elsewhere)
        patch.setattr("windlass.store.archive.depot.os.write", full)
        with pytest.raises(Unavailable, match="No space left on device"):
            await sweep(kept.engine)
    assert (await kept.run(run_id))["state"] == "completed"
    assert (await depot(kept)).names() == []
    with monkeypatch.context() as patch:
        patch.setattr("windlass.store.archive.depot.os.link", elsewhere)
        assert (await sweep(kept.engine)).archived == 1
    assert not artifact_folder(kept.engine, run_id).exists()
    await restore(kept.engine, id_text(run_id))
    assert (artifact_folder(kept.engine, run_id) / digest(REPORT)).read_bytes() == REPORT


async def test_files_go_at_their_own_time_from_the_archive_too(kept: World) -> None:
    retention = {"runs": {"days": 1}, "artifacts": {"days": 7}}
    run_id = await with_files(kept, await kept.define(steps={"a": {}}, retention=retention), report=REPORT)
    kept.clock.advance(2 * DAY)
    assert (await sweep(kept.engine)).archived == 1
    assert (await depot(kept)).names() == [digest(REPORT)]
    kept.clock.advance(6 * DAY)
    await sweep(kept.engine)
    assert (await depot(kept)).names() == []
    await restore(kept.engine, id_text(run_id))


async def test_what_went_before_files_were_moved_keeps_them_where_they_are(kept: World) -> None:
    """A run that an earlier version archived: its files never left their folder."""
    run_id = await with_files(kept, await kept.define(steps={"a": {}}), report=REPORT)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    folder = artifact_folder(kept.engine, run_id)
    folder.mkdir()
    ((await depot(kept)).folder / digest(REPORT)).rename(folder / digest(REPORT))
    await kept.engine.store.run(lambda tx: tx.cursor.execute("DELETE FROM archived_files"))
    await sweep(kept.engine)
    await restore(kept.engine, id_text(run_id))
    assert (folder / digest(REPORT)).read_bytes() == REPORT


async def test_who_has_little_patience_hears_after_each_part_and_comes_to_an_end(
    kept: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.engine.archiving._FILES", len(PLOT))
    job = await kept.define(steps={"a": {}})
    runs = [await with_files(kept, job, plot=PLOT + bytes([number])) for number in range(3)]
    damaged = await with_files(kept, job, plot=PLOT)
    (artifact_folder(kept.engine, damaged) / digest(PLOT)).write_bytes(b"other")
    kept.clock.advance(31 * DAY)
    told = []
    while not told or told[-1].more:
        told.append(await sweep(kept.engine, patience=0))
    assert [one.archived for one in told[:3]] == [1, 1, 1]
    assert sum(one.archived for one in told) == len(runs)
    assert told[-1].failed == 1
