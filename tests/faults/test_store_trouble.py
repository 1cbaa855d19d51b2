"""Trouble of the store itself while work is under way: nothing half done is kept, and everything goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.world import World
from windlass.engine.log_reading import log_chunks
from windlass.engine.report import Usage
from windlass.engine.submission import Submission, submit
from windlass.errors import Unavailable
from windlass.model.outcome import Completed, Failed, Outcome
from windlass.store.logs import NewChunk
from windlass.store.transaction import Transaction

pytestmark = [pytest.mark.promise("H07"), pytest.mark.fault("F18")]
STEPS: dict[str, Any] = {"a": {"retry": {"attempts": 2, "delay": 0}}, "b": {}}


@pytest.fixture
async def small(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world in a file, whose disk can be made full."""
    request.node.user_properties.append(("store", "sqlite"))
    found = World(str(tmp_path / "windlass.db"), tmp_path)
    yield found
    await limit(found, 1_000_000)
    await found.assert_sound()
    await found.close()


async def limit(world: World, pages: int) -> None:
    """Let the database grow to `pages` and no further."""

    def unit(tx: Transaction) -> None:
        tx.cursor.execute(f"PRAGMA max_page_count = {pages}")

    await world.engine.store.run(unit)


async def fill(world: World) -> None:
    """Leave no page to grow into."""
    await limit(world, 1)  # SQLite takes the present size where that is larger


async def test_a_full_disk_refuses_and_keeps_nothing_half(small: World) -> None:
    job = await small.define(steps=STEPS)
    await small.submit_all(job, [Submission(note="before")] * 3)
    await fill(small)
    many = [Submission(parameters={"x": "y" * 1000})] * 500
    with pytest.raises(Unavailable, match="disk of the store is full"):
        await submit(small.engine, job, many)
    await small.assert_sound()
    worker = await small.worker()
    assert len(await worker.take()) <= 3
    await limit(small, 1_000_000)
    await small.lose()
    await small.submit_all(job, many)
    await (await small.worker("w2")).work(most=20)
    await small.assert_sound()


async def test_those_who_share_a_commit_with_it_lose_nothing_that_was_answered(small: World) -> None:
    job = await small.define(steps=STEPS)
    await fill(small)
    asked = [submit(small.engine, job, [Submission(note="x" * 3000)]) for _ in range(300)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, BaseException)]
    small.accepted += [one[0].run_id for one in answers if not isinstance(one, BaseException)]
    assert refused
    assert all(isinstance(one, Unavailable) for one in refused)
    await limit(small, 1_000_000)
    await small.assert_sound()
    worker = await small.worker()
    assert len(await worker.work()) == 2 * len(small.accepted)


async def test_reports_that_did_not_fit_are_taken_when_there_is_room(small: World) -> None:
    job = await small.define(steps=STEPS)
    run_ids = await small.submit_all(job, [Submission()] * 40)
    worker = await small.worker()
    claims = await worker.take()
    reports = [worker.report(claim, Completed({"n": "x" * 2000})) for claim in claims]
    await fill(small)
    with pytest.raises(Unavailable):
        await worker.exchange(reports)
    assert [(await small.run(run_id))["state"] for run_id in run_ids] == ["running"] * 40
    await limit(small, 1_000_000)
    await worker.exchange(reports)
    assert await worker.work() == ["b"] * 40


@pytest.mark.fault("F19")
async def test_output_that_does_not_fit_is_refused_and_the_step_can_still_end(small: World) -> None:
    run_id = await small.submit(await small.define(steps={"a": {}}))
    worker = await small.worker()
    claim = await worker.take_one()
    await fill(small)
    chunks = [
        NewChunk(claim.queue_id, claim.fence, run_id, 0, 1, seq, small.clock.now(), "stdout", b"x" * 65536)
        for seq in range(5)
    ]
    with pytest.raises(Unavailable):
        await worker.queue.append(chunks)
    await limit(small, 1_000_000)
    await worker.end(claim, Failed("exit", "no", 1))
    assert (await small.run(run_id))["state"] == "failed"


@pytest.mark.fault("F19")
@pytest.mark.parametrize("outcome", [Completed(), Failed("exit", "no", 1)])
async def test_what_is_missing_in_a_log_is_kept_with_the_end_of_its_attempt(small: World, outcome: Outcome) -> None:
    run_id = await small.submit(await small.define(steps={"a": {}}))
    worker = await small.worker()
    claim = await worker.take_one()
    said = b"[windlass: 9 bytes could not be stored here: The disk is full.]\n"
    usage = Usage(bytes_out=9, log_bytes=len(said), chunks=1, unsaid=said)
    await worker.exchange([replace(worker.report(claim, outcome), usage=usage)])
    assert (await small.run(run_id))["state"] == ("completed" if outcome == Completed() else "failed")
    found = [chunk async for chunk in log_chunks(small.engine, run_id)]
    assert [(chunk["stream"], chunk["data"]) for chunk in found] == [("system", said)]


async def test_a_store_that_is_let_go_of_refuses_plainly(kept_world: World, tmp_path: Path) -> None:
    del tmp_path
    job = await kept_world.define(steps=STEPS)
    await kept_world.submit(job)
    worker = await kept_world.worker()
    claim = await worker.take_one()
    await kept_world.engine.store.close()
    for attempt in (worker.end(claim), worker.take(), kept_world.submit(job), worker.queue.start(claim)):
        with pytest.raises(Unavailable, match="The store is closed"):
            await attempt
    with pytest.raises(Unavailable):
        worker.queue.renew()
    await kept_world.reopen()


async def test_whoever_asks_while_it_is_closed_gets_an_answer(kept_world: World) -> None:
    store = kept_world.engine.store
    answers: list[str] = []

    def ask() -> None:
        while not answers or answers[-1] == "done":
            try:
                store.run_blocking(lambda _: None)
                answers.append("done")
            except Unavailable:
                answers.append("refused")

    threads = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(3)]
    await store.run(lambda _: None)
    await store.close()
    async with asyncio.timeout(20):
        await asyncio.gather(*threads)
    assert answers.count("refused") >= 1
    await kept_world.reopen()
