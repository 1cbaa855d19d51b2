"""Below its reserve a store takes nothing new, says so, lets what runs end, and goes on once there is room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.world import kept_in_a_file
from tests.oracle.world import World
from windlass.clock import ManualClock
from windlass.engine.attempt import open_log
from windlass.engine.doctor import examine
from windlass.engine.health import health, overall, ready
from windlass.engine.listening import settle_all
from windlass.engine.log_reading import log_chunks
from windlass.engine.metrics.disk import disk_figures
from windlass.engine.resuming import Resume, resume_run
from windlass.engine.room import FRESH, Room, room_of
from windlass.engine.sending import send_event
from windlass.engine.services.storekeeper import Storekeeper, count
from windlass.engine.starting import retry_run
from windlass.engine.submission import Submission, submit
from windlass.errors import NoRoom
from windlass.model.masking import Masker
from windlass.model.outcome import Completed, Failed, Waiting
from windlass.model.room import Disk, Left
from windlass.steps.artifacts import ArtifactLimits, collect_artifacts

pytestmark = pytest.mark.promise("K06")
MIB = 1024 * 1024


@dataclass
class Dial:
    """A disk whose free space a test sets."""

    free: int = 500 * MIB

    def __call__(self, folder: Path) -> Disk:
        return Disk(str(folder), self.free, 1000 * MIB)


@pytest.fixture
def dial(kept_world: World, monkeypatch: pytest.MonkeyPatch) -> Dial:
    """Give the world a disk of its own; each look at it is a fresh one."""
    found = Dial()
    monkeypatch.setattr("windlass.engine.room.FRESH", 0.0)
    kept_world.engine.room = Room((kept_world.home,), 64 * MIB, look=found)
    return found


async def test_nothing_new_is_taken_until_there_is_room(kept_world: World, dial: Dial) -> None:
    job = await kept_world.define(steps={"a": {}, "b": {}})
    first = await kept_world.submit(job, idempotency_key="k")
    failed = await kept_world.submit(job)
    worker = await kept_world.worker()
    await worker.work(lambda claim: Completed() if claim.run_id == first else Failed("exit", "no", 1))
    going = await kept_world.submit(job)
    dial.free = 10 * MIB
    for refused in (
        submit(kept_world.engine, job, [Submission()]),
        submit(kept_world.engine, job, [Submission(idempotency_key="other")]),
        retry_run(kept_world.engine, failed),
        resume_run(kept_world.engine, Resume(run_id=failed)),
    ):
        with pytest.raises(NoRoom, match=r"has 10 MiB free, and 64 MiB are kept .* \(WINDLASS_DISK_RESERVE\)"):
            await refused
    (again,) = await submit(kept_world.engine, job, [Submission(idempotency_key="k")])
    assert (again.run_id, again.created) == (first, False)
    # What was accepted goes on, its children included.
    await kept_world.submit(job, parent_id=going, root_id=going)
    assert sorted(await worker.work()) == ["a", "a", "b", "b"]
    dial.free = 100 * MIB
    await kept_world.submit(job, idempotency_key="other")


async def test_readiness_doctor_and_figures_say_it(kept_world: World, dial: Dial) -> None:
    await kept_world.worker()
    assert overall(await health(kept_world.engine)) == "ok"
    figures = disk_figures(kept_world.engine.room)
    assert figures()["windlass_disk_short"] == {("disk",): 0.0, ("quota",): 0.0}
    dial.free = 10 * MIB
    parts = await health(kept_world.engine)
    assert not ready(parts)
    assert [part.status for part in parts if part.name == "disk"] == ["down"]
    found = [one for one in await examine(kept_world.engine, version="1") if one.check == "disk"]
    assert [(one.level, "nothing new is taken until there is room" in one.message) for one in found] == [
        ("error", True)
    ]
    assert figures()["windlass_disk_short"] == {("disk",): 1.0, ("quota",): 0.0}
    assert figures()["windlass_disk_free_bytes"] == {(): 10.0 * MIB}
    assert figures()["windlass_disk_reserve_bytes"] == {(): 64.0 * MIB}
    dial.free = 500 * MIB
    assert overall(await health(kept_world.engine)) == "ok"


async def test_output_is_cut_with_a_line_that_says_so_and_goes_on_with_the_room(kept_world: World, dial: Dial) -> None:
    run_id = await kept_world.submit(await kept_world.define(steps={"a": {}}))
    worker = await kept_world.worker()
    claim = await worker.take_one()

    class Shop:
        clock = ManualClock()

    log = open_log(kept_world.engine, worker.queue, Shop(), claim, Masker(), leaving=bool)  # type: ignore[arg-type]
    await log.write(b"before\n")
    await log.flush()
    dial.free = MIB
    await log.write(b"x" * 200_000)
    await log.flush()
    dial.free = 500 * MIB
    await log.write(b"after\n")
    totals = await log.close()
    assert totals.lost == 200_000
    text = b"".join([chunk["data"] async for chunk in log_chunks(kept_world.engine, run_id)]).decode()
    before, line, after = text.splitlines()
    assert (before, after) == ("before", "after")
    assert line.startswith("[windlass: 200,000 bytes could not be stored here: The disk of ")
    await worker.end(claim)


async def test_files_are_kept_only_as_far_as_there_is_room(kept_world: World, dial: Dial, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "large").write_bytes(b"x" * 5000)
    dial.free = 64 * MIB + 4000
    room = kept_world.engine.room.left(tmp_path)
    assert room == Left(4000, "disk")
    with pytest.raises(NoRoom, match=r"room for 4,000 bytes on the disk \(WINDLASS_DISK_RESERVE\)"):
        collect_artifacts(work, ["large"], tmp_path / "into", limits=ArtifactLimits(room=room))
    assert not (tmp_path / "into").exists()
    dial.free = 65 * MIB
    kept_world.engine.room.quota = 2000
    limits = ArtifactLimits(room=kept_world.engine.room.left(tmp_path))
    with pytest.raises(NoRoom, match=r"the quota of the store leaves room for 2,000 bytes \(WINDLASS_DISK_QUOTA\)"):
        collect_artifacts(work, ["large"], tmp_path / "into", limits=limits)
    kept_world.engine.room.quota = None
    limits = ArtifactLimits(room=kept_world.engine.room.left(tmp_path))
    assert len(collect_artifacts(work, ["large"], tmp_path / "into", limits=limits).artifacts) == 1


@kept_in_a_file
async def test_a_quota_counts_the_database_and_what_runs_kept(kept_world: World, dial: Dial, tmp_path: Path) -> None:
    job = await kept_world.define(steps={"a": {}})
    room = kept_world.engine.room
    kept = tmp_path / "artifacts" / "run"
    kept.mkdir(parents=True)
    await count(kept_world.engine)
    empty = room.used
    assert empty > 0
    room.quota = empty + 20_000
    await kept_world.submit(job)
    (kept / "file").write_bytes(b"x" * 2 * MIB)
    assert await Storekeeper(kept_world.engine).turn() >= 5
    assert empty + 2 * MIB <= room.used < empty + 3 * MIB
    for folder in ("artifacts/another", "artifacts/archived", "cache"):  # second names, as cache and archive give them
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").hardlink_to(kept / "file")
    await count(kept_world.engine)
    assert room.used < empty + 3 * MIB
    with pytest.raises(NoRoom, match="WINDLASS_DISK_QUOTA allows"):
        await submit(kept_world.engine, job, [Submission()])
    assert disk_figures(room)()["windlass_disk_short"] == {("disk",): 0.0, ("quota",): 1.0}
    assert room.left(tmp_path) == Left(0, "quota")
    for file in tmp_path.glob("*/*/file"):
        file.unlink()
    (tmp_path / "cache" / "file").unlink()
    room.quota += 100_000
    await count(kept_world.engine)
    await kept_world.submit(job)
    assert dial.free == 500 * MIB


async def test_an_event_that_accepted_runs_may_wait_for_is_taken_over_the_quota_and_below_the_reserve(
    kept_world: World, dial: Dial
) -> None:
    steps = {"hold": {"type": "wait", "config": {"event": {"type": "go"}}}}
    run_id = await kept_world.submit(await kept_world.define(steps=steps))
    worker = await kept_world.worker()
    until = kept_world.clock.now() + 10**10
    await worker.end(await worker.take_one(), Waiting(until, "go", "failed", event={"type": "go"}))
    kept_world.engine.room.quota = 1
    await count(kept_world.engine)
    dial.free = 17 * MIB
    with pytest.raises(NoRoom):
        await submit(kept_world.engine, await kept_world.prepare("job"), [Submission()])
    await send_event(kept_world.engine, "default", "go", {})
    dial.free = 15 * MIB
    with pytest.raises(NoRoom, match="has 15 MiB free, and 16 MiB are kept for what runs to end"):
        await send_event(kept_world.engine, "default", "go", {})
    await kept_world.engine.store.run(settle_all, kept_world.engine)
    assert (await kept_world.run(run_id))["state"] == "completed"


@kept_in_a_file
async def test_the_log_tells_once_that_nothing_new_is_taken_and_once_that_it_is_again(
    kept_world: World, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Storekeeper(kept_world.engine)
    await keeper.turn()
    assert caplog.messages == []
    dial.free = 10 * MIB
    for _ in range(2):
        await keeper.turn()
    (told,) = caplog.messages
    assert "nothing new is taken until there is room" in told
    dial.free = 500 * MIB
    kept_world.engine.room.quota = 5
    await keeper.turn()
    assert "WINDLASS_DISK_QUOTA allows 5 bytes: nothing new is taken" in caplog.messages[1]
    kept_world.engine.room.quota = None
    for _ in range(2):
        await keeper.turn()
    assert caplog.messages[2:] == ["There is room again: new runs are taken"]


def test_a_look_at_the_disks_is_good_for_a_moment_and_one_that_fails_limits_nothing(tmp_path: Path) -> None:
    looks: list[Path] = []

    def look(folder: Path) -> Disk:
        looks.append(folder)
        raise PermissionError

    room = Room((tmp_path,), 1, look=look)
    assert [room.shortage() for _ in range(3)] == [None] * 3
    assert len(looks) == 1
    assert FRESH > 0
    assert room.left(tmp_path) is None


def test_a_store_in_memory_is_held_to_no_disk(kept_world: World, tmp_path: Path) -> None:
    settings = kept_world.engine.settings
    assert room_of(settings, None).shortage() is None
    assert room_of(settings, tmp_path / "x" / "windlass.db").folders == (tmp_path / "x", settings.home)
    assert room_of(settings, tmp_path / "windlass.db").folders == (tmp_path,)
    assert room_of(settings, tmp_path / "windlass.db").disks()[0].size > 0
