"""The program that measures the steps of absurd on PostgreSQL: `python on_absurd_flows.py MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from importlib.metadata import version
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd
from absurdctl import BUNDLED_SCHEMA_SQL


def fibonacci(number: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)  # noqa: PLR2004 - where it ends


def worker_of(url: str, ended: asyncio.Event) -> AsyncAbsurd:
    """Return a worker that knows a task of steps in sequence, each of which keeps what it returns."""
    found = AsyncAbsurd(url)

    def step(number: int | None) -> Any:
        async def run() -> int | None:
            return None if number is None else fibonacci(number)

        return run

    @found.register_task(name="chain")
    async def chain(parameters: Any, context: Any) -> None:
        for count in range(parameters["steps"]):
            await context.step(f"s{count}", step(parameters["number"]))
        ended.set()

    return found


async def state_of(caller: AsyncAbsurd, task: str) -> str | None:
    """Return the state of a task; end the program where it has failed."""
    found = await caller.fetch_task_result(task)
    if found is not None and found.state in {"failed", "cancelled"}:
        raise SystemExit(f"a task of absurd ended as {found.state}: {found.failure}")
    return None if found is None else found.state


async def median(options: dict[str, Any]) -> float:
    """Return how many seconds a task takes from its submission to its end, one run to warm up not counted."""
    async with await psycopg.AsyncConnection.connect(options["url"], autocommit=True) as connection:
        await connection.execute(BUNDLED_SCHEMA_SQL.encode())
        caller = AsyncAbsurd(connection)
        await caller.create_queue("default")
        ended = asyncio.Event()
        worker = worker_of(options["url"], ended)
        working = asyncio.create_task(worker.start_worker(poll_interval=options["polling"]))
        parameters = {"steps": options["steps"], "number": options.get("number")}
        times = []
        for _ in range(options["runs"] + 1):
            began = time.perf_counter()
            spawned = await caller.spawn("chain", parameters, queue="default")
            await ended.wait()  # nobody is asked before
            ended.clear()
            while await state_of(caller, spawned["task_id"]) != "completed":  # noqa: ASYNC110 - it is asked, as it does itself
                await asyncio.sleep(0.001)
            times.append(time.perf_counter() - began)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await worker.close()
        return statistics.median(times[1:])


async def flow40(options: dict[str, Any]) -> dict[str, Any]:
    """Measure a flow of light steps."""
    return {"inline": await median(options)}


async def steps1000(options: dict[str, Any]) -> dict[str, Any]:
    """Measure no-op steps, a step: one after the other, as absurd has them."""
    return {"chain": await median(options) / options["steps"] * 1000}


if __name__ == "__main__":
    modes = {"flow40": flow40, "steps1000": steps1000}
    figures = asyncio.run(modes[sys.argv[1]](json.load(sys.stdin)))
    print(json.dumps({**figures, "version": version("absurd-sdk")}), flush=True)
