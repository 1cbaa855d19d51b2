"""Tasks and attempts of a run come in pages, of a large run too, and while it moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.fixtures.world import MakeWorld
from tests.oracle.world import World, by_step
from windlass.api.dispatch import dispatch
from windlass.api.message import Answer, Request, local_admin
from windlass.api.routes.all import route_table
from windlass.engine.reading import list_attempts, list_tasks
from windlass.ids import id_text
from windlass.model.outcome import Completed, Failed

_FAILED: Final = Failed("exit", "it ended with exit code 1", 1)


async def get(world: World, path: str, **query: Any) -> Answer:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    request = Request(method="GET", path=f"/api/v1/{path}", query_string=text, principal=local_admin("tester"))
    answer = await dispatch(route_table(), world.engine, request)
    assert isinstance(answer, Answer)
    return answer


async def pages(world: World, path: str, **query: Any) -> AsyncIterator[list[dict[str, Any]]]:
    cursor: dict[str, str] = {}
    while True:
        answer = await get(world, path, **query, **cursor)
        assert answer.status == 200, answer.body
        yield answer.body["items"]
        if answer.body["next"] is None:
            return
        cursor = {"cursor": answer.body["next"]}


async def wide_run(world: World, side: int) -> bytes:
    matrix = {"n": list(range(side)), "m": list(range(side))}
    steps = {"a": {"matrix": matrix, "retry": {"attempts": 2, "delay": 1}}}
    return await world.submit(await world.define(steps=steps))


@pytest.mark.promise("O10")
async def test_ten_thousand_tasks_come_page_by_page(make_world: MakeWorld) -> None:
    world = make_world()
    run_id = await wide_run(world, 100)
    path = f"runs/{id_text(run_id)}/steps"
    found = [page async for page in pages(world, path, limit=200)]
    assert [len(page) for page in found] == [200] * 50 + [0]
    assert [task for page in found for task in page] == await list_tasks(world.engine, run_id)
    assert len((await get(world, path)).body["items"]) == 50
    alias = f"jobs/{(await world.run(run_id))['job']}/runs/{id_text(run_id)}/tasks"
    assert (await get(world, alias, limit=3, cursor=9_998)).body["next"] is None
    await world.close()


@pytest.mark.promise("O10")
async def test_no_task_is_missed_or_told_twice_while_the_run_goes_on(world: World) -> None:
    run_id = await wide_run(world, 15)
    worker = await world.worker()
    ids: list[str] = []
    number = 0
    async for page in pages(world, f"runs/{id_text(run_id)}/steps", limit=10):
        ids += [task["id"] for task in page]
        number += 1
        if number % 5 == 0:
            await worker.work(most=30)
    assert ids == [f"{id_text(run_id)}.{task}" for task in range(225)]


@pytest.mark.promise("O10")
@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_attempts_come_page_by_page_in_order(world: World, limit: int) -> None:
    run_id = await wide_run(world, 5)
    worker = await world.worker()
    await worker.work(by_step(a=[_FAILED, Completed()]), most=20)
    await world.tick(60)
    await worker.work(by_step(a=[_FAILED, Completed()]), most=15)
    await worker.take(3)
    everything = await list_attempts(world.engine, run_id)
    assert {one["outcome"] for one in everything} == {"failed", "completed", None}
    assert max(one["number"] for one in everything) == 2
    found = [page async for page in pages(world, f"runs/{id_text(run_id)}/executions", limit=limit)]
    assert [one for page in found for one in page] == everything
    assert {len(page) for page in found[:-1]} <= {limit}


@pytest.mark.promise("O10")
@pytest.mark.parametrize("cursor", ["x", "-1", "1.2.3", "0x1", "\u0661", "9" * 30, ""])
@pytest.mark.parametrize("what", ["steps", "executions"])
async def test_what_is_no_cursor_is_refused(world: World, what: str, cursor: str) -> None:
    run_id = await world.submit(await world.define(steps={"a": {}}))
    answer = await get(world, f"runs/{id_text(run_id)}/{what}", cursor=cursor)
    assert (answer.status, "is no cursor of this list" in answer.body["detail"]) == (422, True)
    assert (await get(world, f"runs/{id_text(run_id)}/{what}", limit=201)).status == 422
