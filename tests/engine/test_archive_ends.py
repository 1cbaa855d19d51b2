"""What is deleted leaves the archive too; what somebody has to decide about does not leave for it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.archiving import (
    DAY,
    EXIT,
    SHA256,
    apply_policy,
    ended,
    keep_file,
    rows_of,
)
from tests.oracle.world import World, always, by_step
from windlass.engine.archiving import finish_leaving, preview_sweep, sweep
from windlass.engine.dead_letters import list_dead, requeue
from windlass.engine.deleting import delete_marked, delete_run
from windlass.engine.moving_files import artifact_folder
from windlass.engine.reading import list_runs
from windlass.engine.restoring import list_archive, restore
from windlass.errors import NotFound
from windlass.ids import id_text, parse_id
from windlass.model.outcome import ChildRun, Waiting
from windlass.store.archive import catalogue
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.days import MARK
from windlass.store.run_hours import HourFilter, hours
from windlass.store.runs import RunFilter

pytestmark = pytest.mark.promise("K06")


def _documents(world: World, folder: Path) -> Any:
    """Return what the archive holds of runs, whatever kind it is."""
    url = world.engine.settings.archive_url
    if url.startswith(("file:", "parquet:")):
        return sorted(path for path in (folder / "cold").rglob("*") if path.is_file() and path.name != MARK)
    count = "SELECT count(*) FROM archive_parts"
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(folder / "cold.db")) as cold:
            return cold.execute(count).fetchone()[0]
    return world.engine.store.read(lambda tx: tx.cursor.execute(count).fetchone()[0])


async def held(world: World, folder: Path) -> bool:
    """Say whether the archive holds a document."""
    found = _documents(world, folder)
    return bool(await found if isinstance(found, Awaitable) else found)


@pytest.mark.promise("O10")
@pytest.mark.parametrize("way", ["restored", "with a file", "archived", "by policy"])
async def test_a_run_that_is_deleted_leaves_the_archive_too(kept: World, tmp_path: Path, way: str) -> None:
    run_id = await ended(kept, await kept.define(steps={"a": {}}))
    if way == "with a file":
        folder = tmp_path / "artifacts" / id_text(run_id)
        folder.mkdir(parents=True)
        (folder / SHA256).write_bytes(b"abc")
        await kept.engine.store.run(keep_file, run_id, SHA256)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    assert await held(kept, tmp_path)
    if way != "archived":
        await restore(kept.engine, id_text(run_id))
    if way == "by policy":
        await apply_policy(kept)
        kept.clock.advance(2 * DAY)
        assert (await sweep(kept.engine)).deleted == 1
    else:
        assert await delete_run(kept.engine, run_id)
    assert await list_archive(kept.engine, ArchiveFilter()) == ([], None)
    assert await rows_of(kept, run_id) == 0
    with pytest.raises(NotFound):
        await restore(kept.engine, id_text(run_id))
    if kept.engine.settings.archive_url.startswith(("file:", "parquet:")):
        await sweep(kept.engine)
    assert not await held(kept, tmp_path)
    assert not list(tmp_path.rglob(SHA256))
    with pytest.raises(NotFound, match="There is no run"):
        await delete_run(kept.engine, run_id)


async def test_documents_that_nobody_needs_leave_a_shared_database_but_not_those_of_others(tmp_path: Path) -> None:
    url = {"archive_url": f"sqlite:///{tmp_path}/cold.db"}
    worlds = [World(str(tmp_path / f"{name}.db"), tmp_path, settings=url) for name in ("one", "two")]
    runs = []
    for number, world in enumerate(worlds):
        await world.engine.store.run(
            lambda tx, number=number: tx.cursor.execute(
                "UPDATE store_info SET value = ? WHERE key = 'id'", (f"s{number}",)
            )
        )
        for other in range(5 * number):  # no two worlds have ids of their own by themselves
            await world.define(f"other{other}", steps={"a": {}})
        runs.append(await ended(world, await world.define(steps={"a": {}})))
        world.clock.advance(31 * DAY)
        await sweep(world.engine)
    await worlds[0].engine.store.run(catalogue.drop, [runs[0]])
    await sweep(worlds[0].engine)
    with closing(sqlite3.connect(tmp_path / "cold.db")) as cold:
        left = cold.execute("SELECT DISTINCT run_id FROM archive_parts").fetchall()
    assert runs[0] not in [run for (run,) in left]
    assert runs[1] in [run for (run,) in left]
    for world in worlds:
        await world.close()


async def test_documents_of_a_former_archive_go_when_nobody_needs_them(kept: World, tmp_path: Path) -> None:
    run_id = await ended(kept, await kept.define(steps={"a": {}}))
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    assert await held(kept, tmp_path)
    former = kept.engine.settings
    kept.engine.settings = type(former)(home=kept.home, archive_url=f"file://{tmp_path}/other")
    await sweep(kept.engine)
    assert await delete_run(kept.engine, run_id)
    await sweep(kept.engine)
    kept.engine.settings = former
    assert not await held(kept, tmp_path)


@pytest.mark.promise("H09", "H14")
@pytest.mark.parametrize("way", ["archived", "deleted"])
async def test_what_leaves_is_counted_before(plain: World, way: str) -> None:
    plain.engine.metrics.begin(0, plain.engine.settings)
    job = await plain.define(steps={"a": {}})
    for _ in range(3):
        run_id = await ended(plain, job)
        if way == "deleted":
            assert await delete_run(plain.engine, run_id)
    plain.clock.advance(31 * DAY)
    await sweep(plain.engine)
    counted = plain.engine.metrics.history.counted["windlass_runs_ended_total"]
    assert sum(number for number in counted.values() if isinstance(number, float | int)) == 3
    found = await plain.engine.store.read(hours, HourFilter(first=0))
    assert sum(row.runs for row in found) == 3


@pytest.mark.parametrize("url", ["file://{}/deep/cold", "parquet://{}/deep/cold", "sqlite:///{}/deep/cold/cold.db"])
async def test_nobody_else_enters_the_folders_of_an_archive(tmp_path: Path, url: str) -> None:
    world = World(str(tmp_path / "windlass.db"), tmp_path, settings={"archive_url": url.format(tmp_path)})
    await ended(world, await world.define(steps={"a": {}}))
    world.clock.advance(31 * DAY)
    await sweep(world.engine)
    folders = [tmp_path / "deep", *(path for path in (tmp_path / "deep").rglob("*") if path.is_dir())]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    await world.close()


@pytest.mark.promise("H05", part="dead letters")
async def test_a_run_with_a_dead_letter_stays_until_somebody_decides(plain: World) -> None:
    job = await plain.define(steps={"a": {}})
    decided, left = [await ended(plain, job, script=always(EXIT)) for _ in range(2)]
    plain.clock.advance(31 * DAY)
    assert (await preview_sweep(plain.engine), (await sweep(plain.engine)).archived) == ([], 0)
    await requeue(plain.engine, [id_text(decided)], by=None)
    assert (await sweep(plain.engine)).archived == 1
    (letter,), _ = await list_dead(plain.engine, project=None)
    assert letter["runId"] == id_text(left)
    plain.clock.advance(335 * DAY)
    assert (await sweep(plain.engine)).archived == 1, "for as long as the archive would have it"
    assert await list_dead(plain.engine, project=None) == ([], None)


@pytest.mark.promise("H05", part="dead letters")
async def test_what_failed_below_a_dead_letter_stays_with_it(plain: World) -> None:
    await plain.define("leaf", steps={"x": {}})
    top = await plain.submit(await plain.define("top", steps={"c": {}}))
    worker = await plain.worker()
    await worker.work(by_step(c=Waiting(0, "", child=ChildRun("leaf")), x=EXIT))
    await plain.tick()
    plain.accepted.remove(top)
    plain.clock.advance(31 * DAY)
    assert (await sweep(plain.engine)).archived == 0
    await requeue(plain.engine, [id_text(top)], by=None)
    assert (await sweep(plain.engine)).archived == 2


@pytest.mark.promise("H05", part="dead letters")
async def test_what_failed_below_a_step_that_waited_for_it_leaves_as_ever(plain: World) -> None:
    await plain.define("leaf", steps={"x": {}})
    top = await plain.submit(await plain.define("top", steps={"c": {"allowFailure": True}}))
    worker = await plain.worker()
    await worker.work(by_step(c=Waiting(0, "", child=ChildRun("leaf")), x=EXIT))
    await plain.tick()
    plain.accepted.remove(top)
    plain.clock.advance(31 * DAY)
    assert (await sweep(plain.engine)).archived == 2


async def _family(world: World) -> dict[str, bytes]:
    """Run a job whose step starts a run, which starts another, and one that goes on alone; return all, ended."""
    await world.define("leaf", steps={"x": {}})
    await world.define("mid", steps={"m": {}})
    top = await world.submit(await world.define("top", steps={"t": {}}))
    leaf = await world.prepare("leaf")
    loose = await world.submit(leaf, parent_id=top, root_id=top, cascade=False)
    worker = await world.worker()
    await worker.work(by_step(t=Waiting(0, "", child=ChildRun("mid")), m=Waiting(0, "", child=ChildRun("leaf"))))
    await world.tick()
    found = {"top": top, "loose": loose}
    for name, parent in (("mid", "top"), ("leaf", "mid")):
        below = (await list_runs(world.engine, RunFilter(parent_id=found[parent])))[0]
        (found[name],) = [parse_id(one["id"]) or b"" for one in below if one["id"] != id_text(loose)]
    for run_id in found.values():
        assert (await world.run(run_id))["state"] == "completed"
        folder = artifact_folder(world.engine, run_id)
        folder.mkdir(parents=True)
        (folder / hashlib.sha256(run_id).hexdigest()).write_bytes(run_id)
        await world.engine.store.run(keep_file, run_id, hashlib.sha256(run_id).hexdigest())
    world.accepted.clear()
    return found


@pytest.mark.promise("O10")
@pytest.mark.parametrize("back", [(), ("top",), ("mid",), ("leaf",), ("top", "leaf"), ("top", "mid", "leaf", "loose")])
@pytest.mark.parametrize("cut", [False, True])
async def test_what_a_deleted_run_started_goes_with_it_from_the_archive_too(
    kept: World, tmp_path: Path, back: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, cut: bool
) -> None:
    family = await _family(kept)
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 4
    for name in back:
        await restore(kept.engine, id_text(family[name]))
    if cut:
        with monkeypatch.context() as patch:
            patch.setattr("windlass.engine.deleting.relations.let_go", _die)
            with pytest.raises(ZeroDivisionError):
                await delete_run(kept.engine, family["top"])
        if back:
            await delete_marked(kept.engine)
    if not cut or "top" not in back:
        assert await delete_run(kept.engine, family["top"])
    await sweep(kept.engine)
    loose = family.pop("loose")
    for run_id in family.values():
        assert await rows_of(kept, run_id) == 0
        with pytest.raises(NotFound):
            await restore(kept.engine, id_text(run_id))
        assert not list(tmp_path.rglob(hashlib.sha256(run_id).hexdigest()))
    assert [one["id"] for one in (await list_archive(kept.engine, ArchiveFilter()))[0]] == [id_text(loose)]
    run, _ = await restore(kept.engine, id_text(loose))
    assert run["parentId"] is None


def _die(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


async def test_a_child_that_is_on_its_way_to_the_archive_is_deleted_with_its_parent(
    kept: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = await _family(kept)
    kept.clock.advance(31 * DAY)
    with monkeypatch.context() as patch:
        patch.setattr("windlass.engine.archiving._remove_rest", _die)
        with pytest.raises(ZeroDivisionError):
            await sweep(kept.engine)
    await finish_leaving(kept.engine, [family["top"]])
    await delete_run(kept.engine, family["top"])
    await sweep(kept.engine)
    for name in ("mid", "leaf"):
        assert await rows_of(kept, family[name]) == 0
        assert not artifact_folder(kept.engine, family[name]).exists()
