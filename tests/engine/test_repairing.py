"""Doctor says what is wrong and what a repair would do; a repair does that, and no more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld, embedded_worlds, kept_in_a_file
from tests.oracle.world import World
from windlass.api.message import Request, local_admin
from windlass.api.routes.system import repair_store
from windlass.engine import repairing
from windlass.engine.doctor import examine
from windlass.engine.repairing import repair, troubles
from windlass.errors import CorruptStore
from windlass.ids import Uuid7Source, id_text
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("W06")


@pytest.fixture
async def broken(make_world: MakeWorld) -> AsyncIterator[World]:
    """Give a world whose history may be wrong in the end."""
    world = make_world()
    yield world
    await world.close()


async def change(world: World, statement: str, *values: Any) -> None:
    def unit(tx: Transaction) -> None:
        tx.cursor.execute(statement, values)

    await world.engine.store.run(unit)


async def found(world: World) -> dict[str, str | None]:
    """Return what would be repaired, by check."""
    return {one.check: one.repair for one in await troubles(world.engine)}


async def test_where_nothing_is_wrong_nothing_is_found_and_nothing_done(world: World) -> None:
    await world.submit(await world.define(steps={"a": {}}))
    assert await troubles(world.engine) == []
    assert await repair(world.engine) == []
    assert await troubles(world.engine) == []


async def test_a_run_that_nobody_would_move_is_named_and_put_right(broken: World) -> None:
    run_id = await broken.submit(await broken.define(steps={"a": {}, "b": {"dependsOn": "a"}}))
    await change(broken, "UPDATE queue SET outstanding = 5 WHERE task = 1")
    (trouble,) = await troubles(broken.engine)
    assert (trouble.check, trouble.error, id_text(run_id) in trouble.message) == ("runs", True, True)
    said = [one for one in await examine(broken.engine, version="0") if one.check == "runs"]
    assert [(one.level, one.repair) for one in said] == [("error", trouble.repair)]
    assert "`windlass doctor --repair` puts it right" in said[0].message
    assert [name for name, _ in await repair(broken.engine)] == ["runs"]
    assert await troubles(broken.engine) == []
    assert await (await broken.worker()).work() == ["a", "b"]


async def test_a_missing_index_is_made_again(broken: World) -> None:
    await change(broken, "DROP INDEX ix_queue_ready")
    await change(broken, "DROP INDEX ix_runs_job")
    assert await found(broken) == {"indexes": "makes it"}
    done = [sentence for name, sentence in await repair(broken.engine) if name in {"indexes", "database"}]
    beside = ["made the index ix_queue_ready", "made the index ix_runs_job"]
    assert done == (beside if broken.engine.store.kind == "postgresql" else ["made ix_queue_ready, ix_runs_job"])
    assert await found(broken) == {}

    def where(tx: Transaction) -> str:
        there = {
            "sqlite": "SELECT sql FROM sqlite_master WHERE name",
            "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname",
        }
        return str(tx.cursor.execute(f"{there[tx.dialect]} = 'ix_queue_ready'").fetchone()[0])

    assert re.search(r"WHERE \W*state = 'queued'\S* AND \W*worker_id IS NULL", await broken.engine.store.run(where))


@kept_in_a_file
async def test_empty_space_is_given_back(kept_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairing, "_BLOAT", 1 << 20)

    def fill(tx: Transaction) -> None:
        rows = [(number.to_bytes(16, "big"), bytes(4000)) for number in range(1500)]
        tx.cursor.executemany(
            "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, 0, 1, 1, 1, 'stdout', ?)",
            rows,
        )

    await kept_world.engine.store.run(fill)
    await change(kept_world, "DELETE FROM log_chunks")
    assert await found(kept_world) == {"bloat": "gives them back to the disk"}
    assert ("bloat", "5 MiB were given back to the disk") in await repair(kept_world.engine)
    assert await found(kept_world) == {}


async def test_folders_of_no_run_are_removed_and_those_of_runs_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    below = world.home / "artifacts"
    kept, orphan, other = below / id_text(run_id), below / id_text(Uuid7Source().new()), below / "notes"
    for folder in (kept, orphan, other):
        folder.mkdir(parents=True)
        (folder / "file").write_text("text")
    (below / id_text(Uuid7Source().new())).symlink_to(kept)
    assert await found(world) == {"files": "removes them"}
    with monkeypatch.context() as patch, caplog.at_level("WARNING"):
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # as where a file may not be removed
        assert "files" not in dict(await repair(world.engine))
    assert f"Not all files of run {orphan.name} could be removed" in caplog.text
    assert ("files", "removed 1 folders of artifacts that belonged to no run") in await repair(world.engine)
    assert (kept.exists(), orphan.exists(), other.exists()) == (True, False, True)
    assert (kept / "file").read_text() == "text"


async def test_folders_that_may_be_another_stores_are_left_alone(world: World) -> None:
    orphan = world.home / "artifacts" / id_text(Uuid7Source().new())
    orphan.mkdir(parents=True)
    lock = world.home / "postgresql-12345678.lock"
    lock.write_text('{"store": "01a20000-0000-7000-8000-000000000000"}\n')
    assert "files" not in await found(world)
    await repair(world.engine)
    assert orphan.exists()
    lock.unlink()
    (world.home / "broken.lock").write_bytes(b"\xff\x00")
    assert await found(world) == {"files": "removes them"}


async def test_a_clock_that_was_set_back_is_told_and_left_to_a_person(broken: World) -> None:
    await broken.submit(await broken.define(steps={"a": {}}))
    await broken.worker()
    broken.clock.advance(-3600)
    (trouble,) = await troubles(broken.engine)
    assert (trouble.check, trouble.repair, trouble.error) == ("clock", None, False)
    assert "it was set back by 3600 s" in trouble.message


@embedded_worlds
async def test_a_damaged_database_is_left_alone(broken: World) -> None:
    run_id = await broken.submit(await broken.define(steps={"a": {}, "b": {"dependsOn": "a"}}))
    await change(broken, "UPDATE queue SET outstanding = 5 WHERE task = 1")
    driver = broken.engine.store.connection.connection.driver_connection  # type: ignore[attr-defined]
    driver.execute("PRAGMA foreign_keys = OFF")
    dangling = "INSERT INTO revisions (job_id, number, digest, content, created_at) VALUES (x'00', 1, '', '', 1)"
    await change(broken, dangling)
    with pytest.raises(CorruptStore, match="is damaged, and nothing was changed: restore a backup"):
        await repair(broken.engine)
    answer = await repair_store(
        broken.engine, Request(method="POST", path="/api/v1/doctor/repair", principal=local_admin("me"))
    )
    assert isinstance(answer.body, dict)
    assert answer.body["repaired"] == []
    assert (answer.body["items"][0]["level"], answer.body["items"][0]["check"]) == ("error", "database")
    assert [one.check for one in await troubles(broken.engine)] == ["runs"]
    assert (await broken.run(run_id))["state"] == "queued"
