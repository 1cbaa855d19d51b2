"""The oracle finds what it looks for: here it is put there by hand."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.oracle.beside import check_folders, double_keys, lost_files, overspent, torn_logs
from tests.oracle.examination import may_be_gone
from tests.oracle.ledger import Effect, Ledger
from tests.oracle.load import Crowd
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from tests.oracle.world import World
from windlass.engine.report import KeptFile, Usage
from windlass.errors import NotFound
from windlass.ids import id_text
from windlass.model.ending import WORKER_STOPPED
from windlass.model.outcome import Completed, Failed
from windlass.store.logs import NewChunk
from windlass.store.transaction import Transaction


@pytest.fixture
async def told(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """Give a world with two ended runs, one of them with output and a file."""
    request.node.user_properties.append(("store", "memory"))
    world = World(":memory:", tmp_path)
    limit = [{"resource": "calls", "limit": 1, "window": "10s"}]
    job = await world.define(steps={"a": {}}, rateLimits=limit)
    await world.submit(job, idempotency_key="one")
    await world.submit(job, idempotency_key="two")
    worker = await world.worker()
    claim = await worker.take_one()
    place = (claim.queue_id, claim.fence, claim.run_id, 0, 1)
    await worker.queue.append([NewChunk(*place, seq, 0, "stdout", b"line\n") for seq in (1, 2, 3)])
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "file").write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    report = worker.report(claim, Completed())
    object.__setattr__(report, "usage", Usage(bytes_out=15, log_bytes=15, chunks=3))
    object.__setattr__(report, "artifacts", (KeptFile("file.txt", 1, digest, "file"),))
    await worker.exchange([report])
    await world.tick(11)
    await worker.work()
    return world


async def found(world: World, statement: str = "SELECT 1") -> list[str]:
    """Do something to the database, and ask the oracle."""

    def unit(tx: Transaction) -> list[str]:
        tx.cursor.execute(statement)
        return [*torn_logs(tx), *double_keys(tx), *lost_files(tx, world.home, {}), *overspent(tx)]

    return await world.engine.store.run(unit)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM log_chunks WHERE seq = 2", "2 chunks are numbered 1 to 3"),
        ("DELETE FROM log_chunks WHERE seq = 3", "it left 15 bytes of output, 10 are there"),
        ("DELETE FROM log_chunks", "it left 15 bytes of output, none are there"),
        ("UPDATE runs SET idempotency_key = 'one'", "the key one stands for 2 runs"),
        ("UPDATE artifacts SET sha256 = 'another'", "its artifact file.txt is not there whole"),
        ("UPDATE artifacts SET path = 'nowhere'", "its artifact file.txt is not there whole"),
        ("UPDATE tasks SET started_at = 0", "2 starts in 0 s, 1 may be in 10"),
    ],
)
async def test_what_is_wrong_is_named(told: World, statement: str, sentence: str) -> None:
    assert await found(told) == []
    assert any(one.endswith(sentence) for one in await found(told, statement))


async def test_a_worker_that_was_asked_to_end_says_nothing_about_its_attempts(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("store", "memory"))
    world = World(":memory:", tmp_path)
    await world.submit(await world.define(steps={"a": {"onWorkerLost": "retry"}}))
    worker = await world.worker()
    ends = [Failed("lost", "it was stopped", reason=WORKER_STOPPED)] * 4 + [Failed("lost", "it died")] * 3
    for _ in ends:
        await worker.work(lambda claim: ends[claim.attempt - 1])
        await world.tick(1)
    assert len(await world.attempts(world.accepted[0])) == len(ends)
    await world.assert_sound(at_rest=True)
    await world.engine.store.run(lambda tx: tx.cursor.execute("UPDATE attempts SET error = NULL"))
    with pytest.raises(AssertionError, match="attempt 3 was lost and another one followed"):
        await world.assert_sound()
    await world.close()


def test_an_attempt_that_starts_twice_or_beside_another_one_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    line = '{"task":"01900000-0000-7000-8000-000000000000.0","attempt":1,"phase":"%s","at":1.0,"pid":1}\n'
    ledger.path.write_text(line % "start")
    assert ledger.problems() == []
    ledger.path.write_text(line % "start" * 2 + line % "overlap")
    assert [one[:2] for one in ledger.problems()] == ["O3", "O4"]


def test_what_is_left_in_folders_is_named(tmp_path: Path) -> None:
    for path in ("attempts/one", "artifacts/run/.partial-1"):
        (tmp_path / path).mkdir(parents=True)
    assert list(check_folders(tmp_path, at_rest=False)) == []
    assert len(list(check_folders(tmp_path, at_rest=True))) == 2


def test_only_what_was_below_a_run_that_may_be_gone_is_excused() -> None:
    gone, kept, child, stranger = (bytes([number]) * 16 for number in range(1, 5))
    told = Told(accepted=[gone, kept], jobs={gone: "chain", kept: "chain"}, wished={gone}, passing=frozenset({"brief"}))

    def effect(run_id: bytes, job: str = "chain", parent: bytes | None = None) -> Effect:
        return Effect(run_id, 0, 1, "start", 0.0, 1, job, parent)

    def excused(*effects: Effect) -> set[bytes]:
        return may_be_gone([effects[0]], effects, told, Seen())

    assert excused(effect(gone)) == {gone}
    assert excused(effect(kept)) == set()
    assert excused(effect(stranger)) == set(), "nobody knows it, and nobody was told to delete it"
    assert excused(effect(stranger, "brief")) == {stranger}, "its acceptance was not answered, and a policy deletes it"
    assert excused(effect(child, parent=gone)) == {child}
    assert excused(effect(child, parent=kept)) == set(), "its parent is there"
    assert excused(effect(stranger, parent=child), effect(child, parent=gone)) == {stranger}


def test_a_step_says_its_job_and_the_run_below_which_it_is(tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()
    ledger = Ledger(tmp_path / "ledger")
    parent, child = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2))
    for run, above in ((parent, ""), (child, parent)):
        own = {"WINDLASS_TASK_ID": f"{run}.3", "WINDLASS_ATTEMPT": "1", "WINDLASS_JOB": "chain", "PARENT": above}
        script = '. "$EFFECTS"; say start'
        subprocess.run(["/bin/sh", "-c", script], env={**os.environ, **ledger.environment(), **own}, check=True)
    top, below = ledger.read()
    assert (top.job, top.parent, below.parent) == ("chain", None, top.run_id)


class Archive:
    """A server that has no run; what its archive has is told."""

    def __init__(self, *archived: str) -> None:
        """Have these runs."""
        self.archived = archived

    def get(self, *path: str) -> dict[str, str]:
        """Return what the archive has."""
        if path[0] == "archive" and path[1] in self.archived:
            return {"id": path[1]}
        raise NotFound("There is no such run.")

    def _none(self, *_: object, **__: object) -> None:
        raise NotFound("There is no such run.")

    post = call = _none


@pytest.mark.parametrize(
    ("job", "archived", "lost"),
    [("chain", True, False), ("chain", False, True), ("later", True, True), ("later", False, True)],
)
def test_an_accepted_run_that_is_neither_there_nor_in_the_archive_is_lost(
    job: str, *, archived: bool, lost: bool
) -> None:
    run_id = bytes(16)
    crowd = Crowd(random.Random(7))  # noqa: S311 - a game that can be played again
    crowd.told.accepted.append(run_id)
    crowd.told.jobs[run_id] = job
    server = Archive(id_text(run_id)) if archived else Archive()
    with pytest.raises(AssertionError, match="was accepted and is gone") if lost else nullcontext():
        for _ in range(20):
            crowd.act(server, tidies=0)  # type: ignore[arg-type]
