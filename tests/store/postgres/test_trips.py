"""How often the units that every run passes through ask PostgreSQL: each time is a way there and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.trips import Trips, counted
from tests.oracle.world import World
from windlass.engine.submission import Submission, submit
from windlass.model.outcome import Completed
from windlass.store.duties import hold_duties
from windlass.store.transaction import beside_others


@pytest.fixture
def trips(postgres: PostgresServer, tmp_path: Path) -> Iterator[Trips]:
    with counted(tmp_path, postgres.folder / ".s.PGSQL.5432") as found:
        yield found


@pytest.fixture
async def world(postgres: PostgresServer, trips: Trips, tmp_path: Path) -> AsyncIterator[World]:
    """Give a world that reaches its store through the relay, and has one connection that writes."""
    assert trips.taken() == 0
    name = in_a_loop(postgres.made())
    found = World(f"postgresql://windlass@/{name}?host={tmp_path}&connections=2", tmp_path)
    yield found
    await found.close()
    in_a_loop(postgres.drop(name))


@pytest.mark.promise("H13")
async def test_a_run_of_one_task_is_so_many_trips(world: World, trips: Trips) -> None:
    job = await world.define("one", steps={"a": {}})
    worker = await world.worker()
    for _ in range(2):  # statements are prepared once a connection
        await world.submit(job)
        claim = await worker.take_one()
        await worker.end(claim)
        await asyncio.to_thread(worker.queue.renew)
    trips.taken()
    await world.submit(job)
    assert trips.taken() <= 4, "begin, lock, the run with its job and its event, commit"
    claim = await worker.take_one()
    assert trips.taken() <= 4, "begin, lock, its start, commit"
    await asyncio.to_thread(worker.queue.renew)
    assert trips.taken() == 1, "a heartbeat waits for nothing else"
    await worker.end(claim)
    assert trips.taken() <= 4, "begin, lock, the end, commit"


async def test_a_worker_that_is_told_of_a_run_takes_it_with_the_commit_that_accepts_it(
    world: World, trips: Trips
) -> None:
    job = await world.define("one", steps={"a": {}})
    worker = await world.worker()
    for _ in range(2):
        trips.taken()
        _, claims = await asyncio.gather(world.submit(job), worker.take(1))
        assert [claim.step.name for claim in claims] == ["a"]
        await worker.end(claims[0])
    assert trips.taken() <= 5 + 4


async def test_callers_who_wait_together_share_the_trips(world: World, trips: Trips) -> None:
    job = await world.define("one", steps={"a": {}})
    await world.submit(job)
    trips.taken()
    accepted = await asyncio.gather(*(submit(world.engine, job, [Submission()]) for _ in range(64)))
    assert len({one.run_id for (one,) in accepted}) == 64
    assert trips.taken() <= 2 * 4, "those who came while the first was on its way go together"
    assert len(await world.engine.store.read(lambda tx: tx.cursor.execute("SELECT id FROM queue").fetchall())) == 65


async def test_a_step_of_a_chain_is_so_many_trips(world: World, trips: Trips) -> None:
    steps = {f"s{number}": {"dependsOn": [f"s{number - 1}"] if number else []} for number in range(6)}
    job = await world.define("chain", steps=steps)
    worker = await world.worker()
    await world.submit(job)
    (claim,) = await worker.take(1)
    for number in range(1, 6):
        trips.taken()
        (claim,) = (await worker.exchange([worker.report(claim, Completed())], 1)).claims
        assert claim.step.name == f"s{number}"
    assert trips.taken() <= 9


async def test_steps_that_end_together_share_the_trips(world: World, trips: Trips) -> None:
    middle = {f"m{number}": {"dependsOn": ["first"]} for number in range(20)}
    job = await world.define("fan", steps={"first": {}, **middle, "last": {"dependsOn": list(middle)}})
    worker = await world.worker()
    for _ in range(2):
        await world.submit(job)
        (first,) = await worker.take(1)
        trips.taken()
        claims = (await worker.exchange([worker.report(first, Completed())], 20)).claims
        assert len(claims) == 20
        begun = trips.taken()
        (last,) = (await worker.exchange([worker.report(claim, Completed()) for claim in claims], 1)).claims
        ended = trips.taken()
        await worker.end(last)
    assert begun <= 9
    assert ended <= 9


async def test_who_has_the_duties_keeps_them_in_so_many_trips(world: World, trips: Trips) -> None:
    names = {"timer", "rescuer", "reconciler", "storekeeper"}
    for _ in range(2):
        trips.taken()
        assert await world.engine.store.run(beside_others(hold_duties), "me", names, 10**9) == names
    assert trips.taken() <= 6
