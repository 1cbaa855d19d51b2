"""A run that uses no relation to other runs pays nothing for those that do: every statement of it is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.fixtures.world import embedded_worlds
from tests.oracle.world import World
from windlass.engine.dispatching import limit_queue
from windlass.store.sqlite import SqliteStore

_FEATURES = (
    "sla",
    "step_cache",
    "limit_key",
    "rate_starts",
    "rate_limits",
    "steady_time",
    "max_runs",
    "run_dependencies",
    "kept_from",
    "parent_task",
    "deleting",
    "cascades",
)


#: What SQLite executes is told by its driver.
pytestmark = embedded_worlds


@contextmanager
def watched(world: World) -> Iterator[list[str]]:
    """Give the statements that the store executes meanwhile, transactions and savepoints left out."""
    store = world.engine.store
    assert isinstance(store, SqliteStore)
    driver = store.connection.connection.driver_connection
    assert driver is not None
    said: list[str] = []

    def note(statement: str) -> None:
        word = statement.partition(" ")[0]
        # A statement that fires one of the oracle's triggers is told twice.
        if word in {"SELECT", "INSERT", "UPDATE", "DELETE"} and statement not in said[-1:]:
            said.append(statement)

    driver.set_trace_callback(note)
    try:
        yield said
    finally:
        driver.set_trace_callback(None)


async def test_a_plain_run_executes_no_statement_for_relations(world: World) -> None:
    job = await world.define(steps={"a": {}})
    worker = await world.worker()
    await world.submit(job)
    await worker.work()  # routes and jobs are known from here on
    with watched(world) as submitted:
        await world.submit(job)
    with watched(world) as taken:
        claim = await worker.take_one()
    with watched(world) as finished:
        await worker.end(claim)
    changes = [
        [one.split()[0] for one in part if not one.startswith("SELECT")] for part in (submitted, taken, finished)
    ]
    assert changes == [["INSERT"] * 3, ["UPDATE", "UPDATE", "INSERT"], ["DELETE", "INSERT", "UPDATE", "INSERT"]]
    assert not [one for one in (*submitted, *taken, *finished) if any(name in one for name in _FEATURES)]


async def test_the_end_of_a_run_of_several_steps_reads_nothing_of_relations(world: World) -> None:
    job = await world.define(steps={"a": {}, "b": {}})
    await world.submit(job)
    worker = await world.worker()
    with watched(world) as said:
        await worker.work()
    assert not [one for one in said if any(name in one for name in _FEATURES)]


async def test_a_plain_run_beside_limited_ones_that_wait_reads_nothing_of_their_limits(world: World) -> None:
    limited = await world.define("limited", steps={"a": {}}, rateLimits=[{"resource": "r", "limit": 1, "window": "1h"}])
    job = await world.define(steps={"a": {}})
    for _ in range(3):
        await world.submit(limited)
    worker = await world.worker()
    assert len(await worker.take(3)) == 1
    assert await worker.take(3) == []
    with watched(world) as said:
        await world.submit(job)
        (claim,) = await worker.take(3)
        await worker.end(claim)
    assert not [one for one in said if any(name in one for name in _FEATURES)]


async def test_routes_on_which_nothing_waits_are_not_looked_at(world: World) -> None:
    rates = [{"resource": "r", "limit": 100, "window": "1h"}]
    steps = {f"s{units}": {"rateLimit": {"resource": "r", "units": units}, "dependsOn": []} for units in range(1, 60)}
    await world.submit(await world.define("many", steps=steps, rateLimits=rates))
    worker = await world.worker()
    await worker.take()
    world.clock.advance(2)
    run_id = await world.submit(await world.define(steps={"a": {}}))
    await world.cancel(world.accepted[0])
    with watched(world) as said:
        (claim,) = await worker.take(3)
    assert claim.run_id == run_id
    assert len([one for one in said if "JOIN runs" in one]) == 1


async def test_who_finds_nothing_to_take_under_limits_writes_nothing(world: World) -> None:
    await limit_queue(world.engine, "default", 1)
    rates = [{"resource": "r", "limit": 1, "window": "1h"}]
    await world.submit(await world.define("rated", steps={"a": {}}, rateLimits=rates, queue="other"))
    await world.submit(await world.define(steps={"a": {}}))
    worker = await world.worker()
    assert len(await worker.take()) == 2
    await world.submit(await world.prepare("rated"))
    await world.submit(await world.prepare("job"))
    for _ in range(2):
        world.clock.advance(2)
        with watched(world) as said:
            assert await worker.take() == []
        assert not [one for one in said if not one.startswith(("SELECT", "WITH"))]
