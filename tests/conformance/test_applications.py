"""Jobs that require an application: only a worker that has its code takes them, however it reaches the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World
from windlass.engine import explaining
from windlass.engine.dispatching import drain_worker
from windlass.engine.present import get_run_and_need
from windlass.model.worker_facts import with_facts

pytestmark = pytest.mark.promise("H13")


@pytest.fixture(params=["store", "http"])
def over(request: pytest.FixtureRequest) -> str:
    """Return how workers reach the queue: every way of doing so is to keep this."""
    return str(request.param)


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    found = make_world()
    yield found
    await found.assert_sound()
    await found.close()


def having(app: str | None, **labels: str) -> tuple[tuple[str, str], ...]:
    return with_facts(labels, system="Linux", machine="x86_64", app=app)


async def test_only_a_worker_with_the_application_takes_its_tasks(world: World) -> None:
    steps = {"a": {"retry": {"attempts": 2}, "onWorkerLost": "retry"}, "b": {"dependsOn": "a"}}
    run_id = await world.submit(await world.define(steps=steps, requires={"app": "shop"}))
    anybodys = await world.submit(await world.define("free", steps={"c": {}}))
    plain, other = await world.worker("plain", labels=having(None)), await world.worker("other", labels=having("bank"))
    assert await plain.work() == ["c"]
    assert await other.work() == []
    gone = await world.worker("gone", labels=having("shop"))
    assert len(await gone.take()) == 1
    await world.lose()
    await world.tick(60)
    assert await (await world.worker("plain again", labels=having(None))).work() == []
    assert await (await world.worker("has", labels=having("shop"))).work() == ["a", "b"]
    assert {(await world.run(one))["state"] for one in (run_id, anybodys)} == {"completed"}


async def test_it_is_said_which_application_is_lacking(world: World) -> None:
    job = await world.define(steps={"a": {}}, requires={"app": "shop", "pool": "web", "labels": {"disk": "fast"}})
    run_id = await world.submit(job)

    async def why() -> dict[str, Any]:
        (cause,) = (await explaining.why(world.engine, run_id))["because"][0]["because"]
        return dict(cause)

    await world.worker("plain", labels=having(None, disk="fast"), pool="web")
    lacks = await why()
    assert (lacks["kind"], lacks["app"], lacks["command"]) == (
        "no_worker",
        "shop",
        "windlass worker --app MODULE:NAME --pool web --labels disk=fast",
    )
    assert lacks["message"].startswith(
        'It waits for a worker with the application "shop": start it with `windlass up` and `windlass worker --app '
    )
    waits = (await get_run_and_need(world.engine, run_id))["waitingFor"]
    assert waits["worker"] == {"queue": "default", "pool": "web", "labels": {"disk": "fast"}, "app": "shop"}
    assert (waits["others"], waits["draining"]) == (1, 0)
    await world.worker("slow", labels=having("shop"), pool="web")
    assert (await why())["message"].startswith("No worker that lives serves it"), "one has it, and not the label"
    await world.worker("has", labels=having("shop", disk="fast"), pool="web")
    assert (await why())["kind"] == "queued_behind"
    assert (await get_run_and_need(world.engine, run_id))["waitingFor"] is None
    await drain_worker(world.engine, "has")
    drains = await why()
    assert (drains["kind"], drains["workers"]) == ("workers_drain", 1)
    assert (await get_run_and_need(world.engine, run_id))["waitingFor"]["draining"] == 1
