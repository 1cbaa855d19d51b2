"""The program that measures Windlass through its public interface: `python -m bench.ours MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench import jobs
from bench.api import assert_durable, check_history, client_in
from windlass import Windlass
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import WindlassError
from windlass.store.lockfile import find_owner

Options = dict[str, Any]


def database(options: Options) -> Path:
    """Return the database of this measurement."""
    return Path(options["folder"]) / "windlass.db"


def opened(options: Options, **more: Any) -> Windlass:
    """Return an application on the database: that of the `url`, else one in SQLite."""
    return Windlass(options.get("url") or f"sqlite:///{database(options)}", **more)


async def drain(options: Options) -> dict[str, Any]:
    """Accept no-ops while nobody takes them, then let one process work; count all of it through the API."""
    count = options["count"]
    async with opened(options, queues=["closed"]) as app:
        await app.submit_many(jobs.noop, [None] * count)
    async with opened(options, workers=options["workers"]) as app:
        await assert_flushed(app)
        await until_completed(app, count)
        durable = time.perf_counter()
        await asyncio.to_thread(check_history, _client_of(database(options)), count)
    first, last = min(jobs.begun), max(jobs.begun)
    return {"rate": (count - 1) / (last - first), "until_durable": count / (durable - first)}


async def archive(options: Options) -> dict[str, Any]:
    """Let many final runs leave for the archive while as many no-ops are drained as without it before."""
    count, runs = options["count"], options["runs"]
    async with opened(options, workers=options["workers"]) as app:
        await app.submit_many(jobs.noop, [None] * runs)
        await until_completed(app, runs)
    alone = await _drained(options, count, archiving=False)
    beside = await _drained(options, count, archiving=True)
    return {"alone": alone["drain"], "beside": beside["drain"], "rate": beside["archive"]}


async def _drained(options: Options, count: int, *, archiving: bool) -> dict[str, float]:
    """Drain no-ops, and archive all that is final meanwhile; return the rates of both."""
    jobs.begun.clear()
    os.environ["WINDLASS_RETENTION"] = "0s" if archiving else "30d"
    async with opened(options, queues=["closed"]) as app:
        await app.submit_many(jobs.noop, [None] * count)
    async with opened(options, workers=options["workers"]) as app:
        client = await client_of_app(app)
        began, moved = time.perf_counter(), 0
        while archiving and moved < options["runs"]:  # the archiver of the store itself takes its part
            await asyncio.to_thread(client.post, "archive", "run", body={})
            moved = (await asyncio.to_thread(client.get, "archive", "figures"))["runs"]
        took = time.perf_counter() - began
        await until_completed(app, count)
    drained = (count - 1) / (max(jobs.begun) - min(jobs.begun))
    return {"drain": drained, "archive": moved / took}


async def until_completed(app: Windlass, count: int) -> None:
    """Return when all runs are final and durable; before all have begun the store is asked once a second at most."""
    client = await client_of_app(app)

    async def left() -> bool:
        page = await asyncio.to_thread(client.get, "queues")
        return any(one["counts"] for one in page["items"])

    looks = 0
    while len(jobs.begun) < count:
        await asyncio.sleep(0.01)
        looks += 1
        if looks % 100 == 0 and not await left() and len(jobs.begun) < count:
            raise SystemExit(f"only {len(jobs.begun)} of {count} runs began, and none is left")
    while await left():  # noqa: ASYNC110 - the API is asked, as anybody would
        await asyncio.sleep(0.001)


async def submit(options: Options) -> dict[str, Any]:
    """Accept runs one by one, by many callers at once, and in bulk; nobody takes them."""
    async with opened(options, workers=0) as app:
        await assert_flushed(app)
        for _ in range(options["warm_up"]):  # until the log of the database is written over, and no longer grows
            await app.submit(jobs.noop)
        one_by_one, callers = options["one_by_one"], options["callers"]
        began = time.perf_counter()
        for _ in range(one_by_one):
            await app.submit(jobs.noop)
        single = one_by_one / (time.perf_counter() - began)

        async def caller() -> None:
            for _ in range(one_by_one // callers):
                await app.submit(jobs.noop)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        together = one_by_one // callers * callers / (time.perf_counter() - began)
        began = time.perf_counter()
        await app.submit_many(jobs.noop, [None] * options["bulk"])
        return {
            "one_by_one": single,
            "many_callers": together,
            "bulk": options["bulk"] / (time.perf_counter() - began),
        }


async def latency(options: Options) -> dict[str, Any]:
    """Measure from the call of `submit` to the first line of the job, while nothing else is to be done."""
    async with opened(options, workers=options["workers"]) as app:
        await assert_flushed(app)
        await client_of_app(app)
        found = []
        for number in range(options["count"] + 5):
            await asyncio.sleep(options["pause"])
            began = time.perf_counter()
            run = await app.submit(jobs.noop)
            await run.wait()
            if number >= 5:  # noqa: PLR2004 - the first ones warm up
                found.append((jobs.begun[-1] - began) * 1000)
    return {"p50": statistics.median(found), "p99": statistics.quantiles(found, n=100)[98]}


async def flow40(options: Options) -> dict[str, Any]:
    """Measure a flow of steps in sequence: isolated in a process that is warm, in a thread, and on the event loop."""
    ways = {
        "isolated": ("process", "fibonacci"),
        "thread": ("thread", "fibonacci"),
        "inline": ("inline", "fibonacci_here"),
    }
    async with opened(options, workers=options["workers"]) as app:
        await assert_flushed(app)
        client = await client_of_app(app)
        found = {}
        for name, (isolation, function) in ways.items():
            config = {
                "function": f"bench.jobs:{function}",
                "isolation": isolation,
                "arguments": {"number": options["number"]},
            }
            if isolation == "process":
                config["environment"] = {"PYTHONPATH": str(Path(__file__).parents[1])}
            steps = [{"name": f"s{number}", "type": "python", "config": config} for number in range(options["steps"])]
            await _apply(client, name, steps)
            found[name] = await _median_run(app, name, options["runs"])
    return found


async def steps1000(options: Options) -> dict[str, Any]:
    """Measure no-op steps, a step: one after the other, and all but two side by side."""
    count = options["steps"]
    config = {"function": "bench.jobs:nothing", "isolation": "inline"}
    chain = [{"name": f"s{number}", "type": "python", "config": config} for number in range(count)]
    middle = [f"m{number}" for number in range(count - 2)]
    fan = [
        {"name": "first", "type": "python", "config": config, "next": middle},
        *({"name": name, "type": "python", "config": config} for name in middle),
        {"name": "last", "type": "python", "config": config, "dependsOn": middle},
    ]
    async with opened(options, workers=options["workers"]) as app:
        await assert_flushed(app)
        client = await client_of_app(app)
        found = {}
        for name, steps in {"chain": chain, "fan": fan}.items():
            await _apply(client, name, steps)
            found[name] = await _median_run(app, name, options["runs"]) / count * 1000
    return found


async def _median_run(app: Windlass, alias: str, runs: int) -> float:
    """Return how many seconds a run takes from its submission to its end, one run to warm up not counted."""
    found = []
    for number in range(runs + 1):
        began = time.perf_counter()
        run = await app.submit(alias)
        await run.wait()
        if number:
            found.append(time.perf_counter() - began)
    return statistics.median(found)


async def _apply(client: Client, alias: str, steps: list[dict[str, Any]]) -> None:
    manifest = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, "steps": steps}
    await asyncio.to_thread(client.post, "jobdefs", "apply", body={"definitions": [manifest]})


async def client_of_app(app: Windlass) -> Client:
    """Return a client of the application's own socket, once it listens; on PostgreSQL one in this process."""
    if app._settings.database_url.startswith("postgresql:"):  # noqa: SLF001 - the bench knows the program
        return client_in(app)
    path = Path(app._settings.database_url.removeprefix("sqlite:///"))  # noqa: SLF001 - the bench knows the program
    while True:
        owner = find_owner(path)
        if owner is not None and owner.socket is not None:
            return Client(UnixTransport(owner.socket, patience=120.0))
        await asyncio.sleep(0.01)


def _client_of(path: Path) -> Client:
    owner = find_owner(path)
    if owner is None or owner.socket is None:
        raise SystemExit("nobody serves the database")
    return Client(UnixTransport(owner.socket, patience=120.0))


async def assert_flushed(app: Windlass) -> None:
    """End the program unless every commit is flushed to the disk."""
    if app._settings.database_url.startswith("postgresql:"):  # noqa: SLF001 - as above
        await assert_durable(app)
        return
    connection = app._backend._engine.store.connection  # type: ignore[union-attr]  # noqa: SLF001 - as above
    found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    if found != [2, "wal"]:
        raise SystemExit(f"commits are not flushed: synchronous and journal_mode are {found}")


MODES: dict[str, Callable[[Options], Coroutine[Any, Any, dict[str, Any]]]] = {
    "archive": archive,
    "drain": drain,
    "submit": submit,
    "latency": latency,
    "flow40": flow40,
    "steps1000": steps1000,
}

if __name__ == "__main__":
    try:
        figures = asyncio.run(MODES[sys.argv[1]](json.load(sys.stdin)))
    except WindlassError as error:
        figures = {"unmeasured": str(error)}
    print(json.dumps(figures))
