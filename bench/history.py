"""The program that measures Windlass over a long history: `python -m bench.history measure < OPTIONS`."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench import jobs, stored_postgres
from bench.ours import Options, assert_flushed, client_of_app, database, opened, until_completed
from bench.stored import Pattern, fill, patterns
from windlass import Windlass
from windlass.client.client import Client
from windlass.ids import first_of, id_text, parse_id

#: Milliseconds of a day; the history reaches back less than runs are kept by default.
_DAY = 24 * 3600 * 1000
_BACK = 25 * _DAY
#: How many latencies do not count: they warm up.
_WARM = 5


async def measure(options: Options) -> dict[str, Any]:
    """Fill the store from size to size, and measure each several times."""
    known = await _patterns(options, await _first_runs(options))
    now = time.time_ns() // 1_000_000
    found: dict[str, Any] = {}
    have, end = 0, now - 60_000
    for size in options["sizes"]:
        first = now - _BACK * size // max(options["sizes"])
        await _fill(options, known, size - have, first=first, last=end)
        have, end = size, first
        middle = id_text(first_of((now + first) // 2))
        async with opened(options, workers=0) as app:
            figures = await app.statistics(since=_BACK / 1000 + 3600)
        if figures["runs"] < size:
            raise SystemExit(f"{figures['runs']} of {size} runs are counted")
        found[str(size)] = [await _once(options, middle) for _ in range(options["rounds"])]
        found[str(size)][0]["megabytes"] = await _megabytes(options)
    return found


async def _patterns(options: Options, run_ids: Sequence[bytes]) -> list[Pattern]:
    if "url" in options:
        return await stored_postgres.patterns(options["url"], run_ids)
    return patterns(database(options), run_ids)


async def _fill(options: Options, known: Sequence[Pattern], count: int, *, first: int, last: int) -> None:
    if "url" in options:
        await stored_postgres.fill(options["url"], known, count, first=first, last=last)
    else:
        fill(database(options), known, count, first=first, last=last)


async def _megabytes(options: Options) -> float:
    if "url" in options:
        return await stored_postgres.megabytes(options["url"])
    return database(options).stat().st_size / 1e6


async def _first_runs(options: Options) -> list[bytes]:
    """Work off the runs that the history is made of: of many jobs, one in twenty failed, one in ten labelled."""
    async with opened(options, workers=8) as app:
        client = await client_of_app(app)
        for number in range(options["jobs"]):
            step = {"name": "only", "type": "python", "config": {"function": "bench.jobs:nothing"}}
            step["config"] |= {"isolation": "inline"}
            bad = step | {"config": step["config"] | {"function": "bench.jobs:broken"}}
            for alias, one in ((f"job-{number}", step), (f"bad-{number}", bad)):
                manifest = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, "steps": [one]}
                await asyncio.to_thread(client.post, "jobdefs", "apply", body={"definitions": [manifest]})
        runs = []
        for number in range(20 * options["jobs"]):
            job = number % options["jobs"]
            alias = f"bad-{job}" if number // options["jobs"] == 0 else f"job-{job}"
            runs.append(await app.submit(alias, labels={"team": "data"} if number % 10 == 0 else None))
        for run in runs:
            await _ended(client, run.id)
        found = [parse_id(run.id) for run in runs]
        return [run_id for run_id in found if run_id is not None]


async def _ended(client: Client, run_id: str) -> None:
    while (await asyncio.to_thread(client.get, "runs", run_id))["finishedAt"] is None:  # noqa: ASYNC110 - the API is asked, as anybody would
        await asyncio.sleep(0.01)


async def _once(options: Options, middle: str) -> dict[str, Any]:
    """Submit, drain, wait for single runs, and read pages."""
    found: dict[str, Any] = {}
    began = time.perf_counter()
    async with opened(options, queues=["closed"]) as app:
        found["open"] = time.perf_counter() - began
        await assert_flushed(app)
        found |= await _submitted(app, options)
    jobs.begun.clear()
    count = options["one_by_one"] + options["bulk"]
    async with opened(options, workers=options["workers"]) as app:
        await until_completed(app, count)
        found["drain"] = (count - 1) / (max(jobs.begun) - min(jobs.begun))
        found["latency"] = await _latency(app, options)
        found["pages"] = await asyncio.to_thread(_pages, await client_of_app(app), options, middle)
    return found


async def _submitted(app: Windlass, options: Options) -> dict[str, float]:
    began = time.perf_counter()
    for _ in range(options["one_by_one"]):
        await app.submit(jobs.noop)
    single = time.perf_counter()
    await app.submit_many(jobs.noop, [None] * options["bulk"])
    return {
        "one_by_one": options["one_by_one"] / (single - began),
        "bulk": options["bulk"] / (time.perf_counter() - single),
    }


async def _latency(app: Windlass, options: Options) -> float:
    """Return the median, in milliseconds, from a submission to the first line of its job."""
    found = []
    for number in range(options["latency"] + _WARM):
        await asyncio.sleep(options["pause"])
        began = time.perf_counter()
        await (await app.submit(jobs.noop)).wait()
        if number >= _WARM:
            found.append((jobs.begun[-1] - began) * 1000)
    return statistics.median(found)


def _pages(client: Client, options: Options, middle: str) -> dict[str, float]:
    """Return the median, in milliseconds, of a page of each list that people look at."""
    lists: dict[str, dict[str, Any]] = {
        "newest": {},
        "of all projects": {"project": "*"},
        "from the middle": {"cursor": middle},
        "failed": {"state": "failed"},
        "failed or cancelled": {"state": ["failed", "cancelled"]},
        "of a job": {"job": "job-0"},
        "of a job, failed": {"job": "bad-0", "state": "failed"},
        "of a job, failed, where none is": {"job": "job-0", "state": "failed"},
        "of a label": {"label": "team=data"},
        "of a label, failed": {"label": "team=data", "state": "failed"},
        "of a label that none has": {"label": "team=none"},
        "running": {"state": "running"},
    }
    return {name: _page(client, options["pages"], query) for name, query in lists.items()}


def _page(client: Client, times: int, query: dict[str, Any]) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        client.get("runs", limit=50, **query)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.load(sys.stdin)))))
