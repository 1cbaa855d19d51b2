"""Steps of types that not every worker has: only a worker that has them takes them, however it reaches the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures.world import MakeWorld
from tests.oracle.world import CATALOG, World, by_step
from windlass.engine import explaining
from windlass.engine.present import get_run_and_need
from windlass.model.catalog import StepCatalog
from windlass.model.outcome import Failed
from windlass.model.steptype import StepSpec
from windlass.model.worker_facts import with_facts
from windlass.store.tables import routes
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("H13")
DEPLOY = StepSpec(
    name="deploy",
    summary="Deploys.",
    schema={"type": "object", "additionalProperties": False, "properties": {"to": {"type": "string"}}},
)
KNOWING = CATALOG.overlaid([DEPLOY])
MIXED = {"build": {}, "roll": {"type": "deploy", "dependsOn": "build"}, "tell": {"dependsOn": "roll"}}


@pytest.fixture(params=["store", "http"])
def over(request: pytest.FixtureRequest) -> str:
    """Return how workers reach the queue: every way of doing so is to keep this."""
    return str(request.param)


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world()
    found.engine.catalog = KNOWING
    yield found
    await found.assert_sound()
    await found.close()


def able(catalog: StepCatalog = KNOWING, **labels: str) -> tuple[tuple[str, str], ...]:
    return with_facts(labels, system="Linux", machine="x86_64", step_types=catalog.runnable)


async def test_a_worker_without_the_type_takes_all_but_its_steps(world: World) -> None:
    run_id = await world.submit(await world.define(steps=MIXED))
    plain = await world.worker("plain", labels=able(CATALOG))
    assert await plain.work() == ["build"]
    assert await (await world.worker("old")).work() == [], "one of before says nothing of step types"
    has = await world.worker("has", labels=able())
    assert await has.work(most=1) == ["roll"]
    assert await plain.work() == ["tell"]
    assert (await world.run(run_id))["state"] == "completed"


async def test_retries_cells_and_lost_steps_stay_with_workers_that_have_it(world: World) -> None:
    step = {"type": "deploy", "matrix": {"to": ["a", "b"]}, "retry": {"attempts": 2}, "onWorkerLost": "retry"}
    run_id = await world.submit(await world.define(steps={"roll": step}))
    plain, has = await world.worker("plain", labels=able(CATALOG)), await world.worker("has", labels=able())
    assert await has.work(by_step(roll=[Failed("exit", "no", 1), Failed("exit", "no", 1)]), most=2) == ["roll"] * 2
    await world.tick(60)
    assert await plain.work() == []
    gone = await world.worker("gone", labels=able())
    assert len(await gone.take()) == 2
    await world.lose()
    await world.tick(60)
    assert await (await world.worker("plain again", labels=able(CATALOG))).work() == []
    assert await (await world.worker("next", labels=able())).work() == ["roll"] * 2
    assert (await world.run(run_id))["state"] == "completed"


async def test_pool_labels_and_limited_resources_hold_besides(world: World) -> None:
    limited: dict[str, Any] = {"steps": {"b": {}, "a": {"type": "deploy", "rateLimit": {"resource": "api"}}}}
    limits = [{"resource": "api", "limit": 100, "window": "1m"}]
    job = await world.define(**limited, rateLimits=limits, requires={"pool": "x", "labels": {"disk": "fast"}})
    run_id = await world.submit(job)
    for face in ({"labels": able(disk="fast")}, {"labels": able(), "pool": "x"}):
        assert await (await world.worker("other", **face)).take() == []
    assert await (await world.worker("unable", labels=able(CATALOG, disk="fast"), pool="x")).work() == ["b"]
    assert await (await world.worker("has", labels=able(disk="fast"), pool="x")).work() == ["a"]
    assert (await world.run(run_id))["state"] == "completed"


async def test_shipped_types_make_no_routes_of_their_own(world: World) -> None:
    def count(tx: Transaction) -> int:
        return int(tx.connection.execute(select(func.count()).select_from(routes)).scalar_one())

    for alias in ("one", "two"):
        await world.submit(await world.define(alias, steps={"a": {}, "b": {"type": "wait", "config": {"duration": 1}}}))
    assert await world.engine.store.read(count) == 1
    assert await (await world.worker("old")).work(most=1) == ["a"]


async def test_a_server_without_the_type_hands_its_steps_to_workers_that_have_it(world: World) -> None:
    await world.define(steps=MIXED)
    world.engine.catalog = CATALOG
    run_id = await world.submit(await world.prepare("job"))
    assert await (await world.worker("plain", labels=able(CATALOG))).work() == ["build"]
    assert await (await world.worker("has", labels=able())).work() == ["roll", "tell"]
    assert (await world.run(run_id))["state"] == "completed"


async def test_it_is_said_that_no_worker_has_the_type(world: World) -> None:
    job = await world.define(steps={"roll": {"type": "deploy"}}, requires={"labels": {"disk": "fast"}})
    run_id = await world.submit(job)

    async def why() -> dict[str, Any]:
        (cause,) = (await explaining.why(world.engine, run_id))["because"][0]["because"]
        return dict(cause)

    nobody = await why()
    assert nobody["message"] == (
        'No worker that lives serves it (queue "default", pool "default", disk=fast, step type "deploy"): '
        "start `WINDLASS_LABELS=disk=fast windlass up`."
    )
    await world.worker("plain", labels=able(CATALOG, disk="fast"))
    lacks = await why()
    assert (lacks["kind"], lacks["stepType"], lacks["labels"]) == ("no_worker", "deploy", {"disk": "fast"})
    assert lacks["message"] == (
        'No worker that lives has the step type "deploy": install the package that brings it for a worker, and '
        'start that again (queue "default", pool "default", disk=fast).'
    )
    waits = (await get_run_and_need(world.engine, run_id))["waitingFor"]
    assert waits["worker"] == {
        "queue": "default",
        "pool": "default",
        "labels": {"disk": "fast"},
        "stepType": "deploy",
    }
    await world.worker("slow", labels=able())
    assert (await why())["message"] == nobody["message"], "one has it, and not the label"
    await world.worker("has", labels=able(disk="fast"))
    assert (await why())["kind"] == "queued_behind"
