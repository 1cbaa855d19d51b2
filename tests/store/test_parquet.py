"""The archive in Parquet: read by other programs, refused plainly where it cannot be had, damaged, or has no room."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.oracle.world import World
from windlass.engine.archiving import sweep
from windlass.engine.restoring import restore
from windlass.errors import CorruptStore, Unavailable, UserError
from windlass.ids import id_text
from windlass.store.archive.archive import Piece
from windlass.store.archive.in_parquet import ParquetArchive
from windlass.store.archive.open import open_archive, require_parquet
from windlass.store.archive.traces import note_traces

pytestmark = pytest.mark.promise("K06")
DAY = 86_400.0


@pytest.fixture
async def cold(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world whose archive is in Parquet."""
    found = World(str(tmp_path / "windlass.db"), tmp_path, settings={"archive_url": f"parquet://{tmp_path}/cold"})
    request.node.user_properties.append(("store", "sqlite"))
    yield found
    await found.close()


async def archived(world: World, count: int = 3) -> list[bytes]:
    """Let runs end and go to the archive."""
    job = await world.define(steps={"a": {}, "b": {}})
    runs = [await world.submit(job, labels={"team": "data"}) for _ in range(count)]
    await (await world.worker()).work()
    world.clock.advance(31 * DAY)
    assert (await sweep(world.engine)).archived == count
    return runs


async def test_other_programs_read_columns(cold: World, tmp_path: Path) -> None:
    before = cold.clock.now()
    runs = await archived(cold)
    files = {path.name.split(".")[-2]: path for path in (tmp_path / "cold").glob("*/2025/06/15/*.parquet")}
    assert set(files) == {"runs", "tasks", "events"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    rows = pq.read_table(files["runs"]).to_pylist()
    assert [row["id"] for row in rows] == [run.hex() for run in runs]
    assert {row["state"] for row in rows} == {"completed"}
    assert rows[0]["created_at"] == datetime.fromtimestamp(before / 1_000_000, UTC)
    tasks = ds.dataset([str(path) for path in (tmp_path / "cold").rglob("*.tasks.parquet")])
    assert tasks.count_rows(filter=ds.field("run_id") == runs[1].hex()) == 2


async def test_a_file_of_others_stays_and_one_of_a_killed_process_goes(cold: World, tmp_path: Path) -> None:
    runs = await archived(cold)
    (day,) = (tmp_path / "cold").glob("*/2025/06/15")
    others = {"notes.parquet", "y.runs.parquet", "y.tasks.parquet.part"}
    for name in (*others, "x.runs.parquet", "x.tasks.parquet.part"):
        (day / name).write_bytes(b"x")
    url = cold.engine.settings.archive_url
    await cold.engine.store.run(note_traces, url, "document", [f"2025/06/15/{runs[0].hex()}", "2025/06/15/x"])
    await sweep(cold.engine)
    assert {path.name for path in day.iterdir() if not path.name.startswith(runs[0].hex())} == others
    await restore(cold.engine, id_text(runs[1]))


@pytest.mark.parametrize("part", ["runs", "tasks", "events"])
async def test_a_damaged_or_missing_file_is_not_restored_from(cold: World, tmp_path: Path, part: str) -> None:
    (run,) = await archived(cold, 1)
    (path,) = (tmp_path / "cold").rglob(f"*.{part}.parquet")
    content = path.read_bytes()
    for damage in (
        b"no parquet",
        content[:-20],
        content[: len(content) // 3] + b"\0" * 40 + content[len(content) // 3 + 40 :],
    ):
        path.write_bytes(damage)
        with pytest.raises(CorruptStore):
            await restore(cold.engine, id_text(run))
    path.unlink()
    with pytest.raises(CorruptStore, match="is not what it was given; nothing was changed"):
        await restore(cold.engine, id_text(run))
    path.write_bytes(content)
    await restore(cold.engine, id_text(run))


async def test_without_pyarrow_one_sentence_says_how_to_install_it(
    cold: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_parquet("database:")
    monkeypatch.setattr("windlass.store.archive.open.find_spec", lambda _: None)
    require_parquet("file:///srv/cold")
    with pytest.raises(UserError, match=r"needs pyarrow, .*: run `pip install 'pyarrow>=26'`"):
        await open_archive("parquet:///srv/cold", cold.engine.store)


async def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = ParquetArchive("parquet:///x", tmp_path / "cold", "store")
    piece = Piece(b"1" * 16, 0, b'["runs",{"id":"31"}]\n', 0)
    (name,) = archive.plan([(piece.run_id, piece.finished_at)])
    await archive.write([piece])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        await archive.seal()
    monkeypatch.undo()
    assert [path.suffix for path in (tmp_path / "cold").rglob("*.part")] == [".part"]
    await archive.discard([name])
    assert [path for path in (tmp_path / "cold").rglob("*") if path.is_file()] == []
