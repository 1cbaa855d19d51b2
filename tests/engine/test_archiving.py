"""Final runs leave the hot store at their time, whole, and come back whole; what something holds stays."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.archiving import (
    DAY,
    EXIT,
    Make,
    ended,
    everything,
    keep_file,
    rows_of,
    write_log,
)
from tests.oracle.world import World, always
from windlass.engine.archiving import preview_sweep, sweep
from windlass.engine.deleting import delete_run
from windlass.engine.log_reading import log_chunks
from windlass.engine.reading import find_run, list_artifacts, list_runs
from windlass.engine.restoring import archive_figures, list_archive, restore
from windlass.errors import CorruptStore, NotFound
from windlass.ids import id_text
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.document import PARTS
from windlass.store.runs import RunFilter
from windlass.store.tables import metadata

pytestmark = pytest.mark.promise("K06")


async def test_a_run_goes_to_the_archive_and_comes_back_as_it_was(kept: World) -> None:
    job = await kept.define(steps={"a": {"retry": {"attempts": 2, "delay": 0.001}}, "b": {}})
    run_id = await kept.submit(job, labels={"team": "data", "tier": "1"}, note="a note", parameters={"x": "ü\u2028"})
    worker = await kept.worker()
    claim = await worker.take_one()
    await worker.end(claim, EXIT)
    await kept.tick(10)
    await worker.work()
    await kept.engine.store.run(write_log, run_id, [b"plain\n", b"\xff\x00bytes", "ünï\n".encode()])
    await kept.engine.store.run(keep_file, run_id)
    before = await everything(kept, run_id)
    assert len(before["attempts"]) == 3
    assert (await sweep(kept.engine)).archived == 0

    kept.clock.advance(30 * DAY + 1)
    assert await preview_sweep(kept.engine) == [{"rule": "WINDLASS_RETENTION", "to": "archive", "runs": 1}]
    swept = await sweep(kept.engine)
    assert (swept.archived, swept.deleted, swept.failed, swept.held) == (1, 0, 0, 0)
    assert await rows_of(kept, run_id) == 0
    assert (await list_runs(kept.engine, RunFilter(labels={"team": "data"})))[0] == []
    with pytest.raises(NotFound, match="is in the archive; `windlass archive restore"):
        await find_run(kept.engine, id_text(run_id))
    (entry,), _ = await list_archive(kept.engine, ArchiveFilter(job="job"))
    assert (entry["id"], entry["job"], entry["revision"], entry["state"]) == (id_text(run_id), "job", 1, "completed")
    assert (entry["rule"], entry["restoredAt"]) == ("WINDLASS_RETENTION", None)
    assert entry["size"] == swept.size > 0
    figures = await archive_figures(kept.engine)
    assert (figures["runs"], figures["size"], figures["oldest"]) == (1, swept.size, entry["finishedAt"])

    run, was_away = await restore(kept.engine, id_text(run_id))
    assert was_away
    assert run["restoredAt"] is not None
    assert await everything(kept, run_id) == before
    assert [one["id"] for one in (await list_runs(kept.engine, RunFilter(labels={"team": "data"})))[0]] == [run["id"]]
    assert (await restore(kept.engine, id_text(run_id)))[1] is False
    assert (await sweep(kept.engine)).archived == 0

    kept.clock.advance(30 * DAY + 1)
    assert (await sweep(kept.engine)).archived == 1
    assert (await archive_figures(kept.engine))["runs"] == 1
    await restore(kept.engine, id_text(run_id))
    assert await everything(kept, run_id) == before


async def test_a_large_run_goes_and_comes_in_pieces(kept: World) -> None:
    run_id = await ended(kept, await kept.define(steps={"a": {}}))
    chunks = [bytes([65 + number % 26]) * 20_000 for number in range(450)]
    await kept.engine.store.run(write_log, run_id, chunks)
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 1
    assert await rows_of(kept, run_id) == 0
    await restore(kept.engine, id_text(run_id))
    found = [chunk["data"] async for chunk in log_chunks(kept.engine, run_id)]
    assert found == chunks


async def test_a_run_that_comes_back_is_left_alone_by_whoever_deletes_another(kept: World) -> None:
    job = await kept.define(steps={"a": {}})
    run_id, other = await ended(kept, job), await ended(kept, job)
    await kept.engine.store.run(write_log, run_id, [bytes([65 + number % 26]) * 20_000 for number in range(150)])
    before = await everything(kept, run_id)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    await restore(kept.engine, id_text(other))
    inner, deleted = kept.engine.store.run, []

    async def run(unit: Any, *args: Any, **more: Any) -> Any:
        found = await inner(unit, *args, **more)
        if unit.__name__ in {"insert_rows", "_insert"} and not deleted:
            deleted.append(1)
            assert await delete_run(kept.engine, other)
        return found

    kept.engine.store.run = run  # type: ignore[method-assign]
    await restore(kept.engine, id_text(run_id))
    assert deleted
    assert await everything(kept, run_id) == before
    kept.clock.advance(31 * DAY)
    assert (await sweep(kept.engine)).archived == 1
    await restore(kept.engine, id_text(run_id))
    assert await everything(kept, run_id) == before


async def test_a_run_whose_coming_back_was_cut_off_leaves_again_and_can_come_back(
    kept: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await ended(kept, await kept.define(steps={"a": {}}))
    before = await everything(kept, run_id)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)

    def killed(*_: Any) -> None:
        raise RuntimeError

    for finish in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr("windlass.engine.restoring._complete", killed)
            with pytest.raises(RuntimeError):
                await restore(kept.engine, id_text(run_id))
        assert await rows_of(kept, run_id) > 0
        if finish:
            await sweep(kept.engine)
            assert await rows_of(kept, run_id) == 0
    await restore(kept.engine, id_text(run_id))
    assert await everything(kept, run_id) == before


async def test_a_run_that_has_lost_tasks_replaces_no_copy(kept: World) -> None:
    run_id = await ended(kept, await kept.define(steps={"a": {}}))
    before = await everything(kept, run_id)
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    await restore(kept.engine, id_text(run_id))
    await kept.engine.store.run(lambda tx: tx.cursor.execute("DELETE FROM tasks WHERE run_id = ?", (run_id,)))
    kept.clock.advance(31 * DAY)
    swept = await sweep(kept.engine)
    assert (swept.archived, swept.failed) == (0, 1)
    await kept.engine.store.run(lambda tx: tx.cursor.execute("DELETE FROM runs WHERE id = ?", (run_id,)))
    await restore(kept.engine, id_text(run_id))
    assert await everything(kept, run_id) == before


async def test_the_archive_has_an_end_of_its_own(kept: World, tmp_path: Path) -> None:
    job = await kept.define(steps={"a": {}})
    runs = [await ended(kept, job) for _ in range(3)]
    kept.clock.advance(31 * DAY)
    await sweep(kept.engine)
    folder = tmp_path / "artifacts" / id_text(runs[0])  # as earlier versions left files of archived runs there
    folder.mkdir(parents=True)
    (folder / "1").write_text("abc")
    await restore(kept.engine, id_text(runs[1]))
    kept.clock.advance(340 * DAY)
    swept = await sweep(kept.engine)
    assert (swept.archived, swept.ended) == (1, 3)
    assert (await archive_figures(kept.engine))["runs"] == 0
    assert not folder.exists()
    assert list((tmp_path / "cold").rglob("*.gz")) == []
    with pytest.raises(NotFound, match="The archive has no run"):
        await restore(kept.engine, id_text(runs[2]))


async def test_a_copy_that_does_not_read_back_deletes_nothing(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await ended(plain, await plain.define(steps={"a": {}}))
    plain.clock.advance(31 * DAY)
    tries = []

    async def spoilt(*_: Any) -> str:
        tries.append(1)
        return "another digest"

    with monkeypatch.context() as patch:
        patch.setattr("windlass.engine.archiving._digest_of", spoilt)
        swept = await sweep(plain.engine)
    assert (swept.archived, swept.failed, len(tries)) == (0, 1, 3)
    assert (await plain.run(run_id))["state"] == "completed"
    assert (await sweep(plain.engine)).archived == 1


async def test_a_damaged_archive_is_not_restored_from(plain: World) -> None:
    run_id = await ended(plain, await plain.define(steps={"a": {}}))
    plain.clock.advance(31 * DAY)
    await sweep(plain.engine)

    async def refused(change: str, match: str, *values: object) -> None:
        await plain.engine.store.run(lambda tx: tx.cursor.execute(change, values))
        with pytest.raises(CorruptStore, match=match):
            await restore(plain.engine, id_text(run_id))
        assert await rows_of(plain, run_id) == 0

    await refused("UPDATE archived_runs SET digest = 'other'", "is not what it was given; nothing was changed")
    await refused("UPDATE archive_parts SET data = ?", "The archived run is damaged", b"\0")
    await refused("DELETE FROM archive_parts", "is not what it was given")


async def test_what_something_holds_stays(plain: World) -> None:
    job = await plain.define(steps={"a": {}})
    parent = await plain.submit(job)
    child = await plain.submit(job, parent_id=parent, root_id=parent)
    keyed = await plain.submit(job, idempotency_key="k")
    worker = await plain.worker()
    claims = {claim.run_id: claim for claim in await worker.take()}
    await worker.end(claims[child])
    await worker.end(claims[keyed])
    plain.clock.advance(5)
    plain.engine.settings = type(plain.engine.settings)(home=plain.home, retention=1.0)
    assert (await sweep(plain.engine)).archived == 0
    await worker.end(claims[parent])
    plain.clock.advance(5)
    swept = await sweep(plain.engine)
    assert swept.archived == 2
    assert (await plain.run(keyed))["state"] == "completed"
    plain.clock.advance(2 * DAY)
    assert (await sweep(plain.engine)).archived == 1


async def test_a_run_that_changes_while_it_is_copied_stays_for_the_next_time(plain: World) -> None:
    run_id = await ended(plain, await plain.define(steps={"a": {}}))
    plain.clock.advance(31 * DAY)
    inner, changed = plain.engine.store.run, []

    async def run(unit: Any, *args: Any, **more: Any) -> Any:
        if unit.__name__ == "_left" and not changed:
            changed.append(1)
            await inner(lambda tx: tx.cursor.execute("UPDATE runs SET note = 'new' WHERE id = ?", (run_id,)))
        return await inner(unit, *args, **more)

    plain.engine.store.run = run  # type: ignore[method-assign]
    swept = await sweep(plain.engine)
    assert (swept.archived, swept.held) == (0, 1)
    assert (await plain.run(run_id))["note"] == "new"
    assert (await sweep(plain.engine)).archived == 1
    assert (await restore(plain.engine, id_text(run_id)))[0]["note"] == "new"


async def test_jobs_say_how_many_days_and_how_many_runs(plain: World) -> None:
    few = await plain.define("few", steps={"a": {}}, retention={"runs": {"last": 2}})
    long = await plain.define("long", steps={"a": {}}, retention={"runs": {"days": 90}})
    short = await plain.define("short", steps={"a": {}}, retention={"runs": {"days": 1, "last": 1}})
    few_runs = [await ended(plain, few) for _ in range(4)]
    long_run = await ended(plain, long)
    short_runs = [await ended(plain, short) for _ in range(2)]
    assert {one["rule"]: one["runs"] for one in await preview_sweep(plain.engine)} == {
        "retention of job few": 2,
        "retention of job short": 1,
    }
    await sweep(plain.engine)
    left = {one["id"] for one in (await list_runs(plain.engine, RunFilter()))[0]}
    assert left == {id_text(one) for one in (*few_runs[2:], long_run, short_runs[1])}
    plain.clock.advance(40 * DAY)
    await sweep(plain.engine)
    left = {one["id"] for one in (await list_runs(plain.engine, RunFilter()))[0]}
    assert left == {id_text(one) for one in (*few_runs[2:], long_run)}


async def test_files_may_go_before_their_run(plain: World, tmp_path: Path) -> None:
    job = await plain.define(steps={"a": {}}, retention={"artifacts": {"days": 7}})
    other = await plain.define("other", steps={"a": {}})
    runs = [await ended(plain, job), await ended(plain, other)]
    for run_id in runs:
        await plain.engine.store.run(keep_file, run_id)
        (tmp_path / "artifacts" / id_text(run_id)).mkdir(parents=True)
    plain.clock.advance(6 * DAY)
    await sweep(plain.engine)
    assert [len(await list_artifacts(plain.engine, run_id)) for run_id in runs] == [1, 1]
    plain.clock.advance(2 * DAY)
    await sweep(plain.engine)
    assert [len(await list_artifacts(plain.engine, run_id)) for run_id in runs] == [0, 1]
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [id_text(runs[1])]


@pytest.mark.promise("K02")
async def test_a_store_in_memory_forgets_by_itself(make_world: Make) -> None:
    world = make_world()
    job = await world.define(steps={"a": {}})
    good = await ended(world, job)
    bad = await ended(world, job, script=always(EXIT))
    world.clock.advance(3_601)
    deleted = (await sweep(world.engine)).deleted
    assert deleted == (1 if world.engine.store.kind == "memory" else 0)
    world.clock.advance(3_601)
    await sweep(world.engine)
    rows = await rows_of(world, good) + await rows_of(world, bad)
    assert (rows == 0) == (world.engine.store.kind == "memory")
    await world.close()


async def test_files_are_plain_for_other_programs(tmp_path: Path) -> None:
    world = World(str(tmp_path / "windlass.db"), tmp_path, settings={"archive_url": f"file://{tmp_path}/cold"})
    job = await world.define(steps={"a": {}})
    runs = [await ended(world, job) for _ in range(3)]
    left = tmp_path / "cold" / "x.jsonl.gz"
    left.parent.mkdir()
    left.write_text("another's")
    world.clock.advance(31 * DAY)
    await sweep(world.engine)
    (file,) = (tmp_path / "cold").glob("*/2025/06/15/*.jsonl.gz")
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    heads = [line["run"] for line in lines if isinstance(line, dict)]
    assert heads == [run.hex() for run in runs]
    assert left.exists()
    await world.close()


def test_no_table_with_rows_of_runs_is_forgotten() -> None:
    """Whoever adds a table says here what becomes of its rows when their run goes to the archive."""
    elsewhere = {
        "queue",
        "event_waits",
        "step_cache",
        "run_labels",
        "idempotency_keys",
        "archived_runs",
        "archived_files",
        "archive_parts",
        "file_errands",
    }
    of_runs = {table.name for table in metadata.sorted_tables if "run_id" in table.columns}
    assert of_runs - elsewhere == {part.table for part in PARTS} - {"runs"}
