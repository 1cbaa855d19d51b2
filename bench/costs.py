"""The program that measures what each piece of work costs PostgreSQL and a worker: `python -m bench.costs measure`.

Every kind of work is done many times by the public way; what it cost is what was used meanwhile, divided by how often.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from bench.api import anything_left, assert_durable, client_in
from bench.children import ROOT
from bench.ending import bound, ended_after
from bench.served import PROGRAM
from bench.usage import Usage, used
from windlass import Windlass
from windlass.client.client import Client

Options = dict[str, Any]
#: Seconds after which every process of the server has told what it did: an idle one does so ten seconds later.
_TOLD: Final = 10.5
#: Tables that are vacuumed after work, as the server itself would some time.
_TABLES: Final = "queue, runs, tasks, events"
#: What runs leave behind for good, with its indexes.
_SIZE: Final = "SELECT pg_database_size(current_database()) - pg_total_relation_size('queue')"


class Costs:
    """What was found so far, in a database of its own."""

    def __init__(self, options: Options, app: Windlass, asking: asyncpg.Connection) -> None:
        """Measure through an application that submits, and by a connection that asks the server."""
        self.options, self.app, self.asking = options, app, asking
        self.client: Client = client_in(app)
        self.found: dict[str, dict[str, float]] = {}

    async def of(self, name: str, count: float, work: Callable[[], Awaitable[object]], **workers: int) -> None:
        """Do some work and note what a piece of it cost; `workers` are processes by name."""
        before = await self._used(workers)
        await work()
        after = await self._used(workers)
        self.found[name] = {kind: round(cost, 3) for kind, cost in after.since(before, count).items()}

    async def paused(self) -> None:
        """Hand nothing out until `until_done`."""
        await asyncio.to_thread(self.client.post, "queues", "default", "pause", body={})

    async def until_done(self) -> None:
        """Let what was accepted be handed out; return when every run is final."""
        await asyncio.to_thread(self.client.post, "queues", "default", "resume")
        while await asyncio.to_thread(anything_left, self.client):  # noqa: ASYNC110 - the API is asked, as anybody would
            await asyncio.sleep(0.1)

    async def vacuumed(self) -> None:
        """Let the server remove what is gone, as it would by itself later."""
        await self.asking.execute(f"VACUUM (ANALYZE) {_TABLES}")

    async def _used(self, workers: dict[str, int]) -> Usage:
        await asyncio.sleep(_TOLD)
        return await used(self.asking, self.options["server"], {**workers, "submitter": os.getpid()})


async def measure(options: Options) -> dict[str, Any]:
    """Measure each kind of work in turn."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(Windlass(options["url"], workers=0))
        await assert_durable(app)
        costs = Costs(options, app, await stack.enter_async_context(_asking(options["url"])))
        await _define(costs.client, options)
        empty = await costs.asking.fetchval(_SIZE)
        await _accepted(costs)
        await _worked_off(costs, empty)
        await _parts(costs)
        await _idle(costs)
    return {"costs": costs.found}


async def _accepted(costs: Costs) -> None:
    """Accept runs while nobody works: by callers who wait for each of theirs, and in bulk."""
    options = costs.options

    async def caller() -> None:
        for _ in range(options["single"] // options["callers"]):
            await costs.app.submit("noop")

    async def callers() -> None:
        await asyncio.gather(*(caller() for _ in range(options["callers"])))

    await costs.of("a run accepted, of many callers", options["single"], callers)
    await costs.of(
        "a run accepted in bulk",
        options["runs"],
        lambda: costs.app.submit_many("noop", [None] * options["runs"]),
    )
    await costs.of("a run accepted, vacuum", options["runs"] + options["single"], costs.vacuumed)


async def _worked_off(costs: Costs, empty: int) -> None:
    """Let one worker work those off, in batches as large as its slots; then others one at a time."""
    options = costs.options
    count = options["runs"] + options["single"]
    await costs.paused()
    with _worker(options["url"], options["slots"]) as worker:
        await costs.of("a run worked off, in batches", count, costs.until_done, worker=worker)
    await costs.of("a run worked off, vacuum", count, costs.vacuumed)
    ended = await asyncio.to_thread(lambda: sum(1 for _ in costs.client.pages("runs", state=["completed"])))
    if ended != count:
        raise SystemExit(f"only {ended} of {count} runs were completed")
    size = await costs.asking.fetchval(_SIZE)
    costs.found["a run that is kept"] = {"stored, bytes": round((size - empty) / count, 1)}
    await costs.paused()
    await costs.app.submit_many("noop", [None] * options["single"])
    with _worker(options["url"], 1) as worker:
        await costs.of("a run worked off, one at a time", options["single"], costs.until_done, worker=worker)


async def _parts(costs: Costs) -> None:
    """Measure steps of longer runs, lines of output and events from outside."""
    options = costs.options
    with _worker(options["url"], options["slots"]) as worker:

        def of_runs(alias: str, runs: int) -> Callable[[], Awaitable[None]]:
            async def work() -> None:
                for _ in range(runs):
                    await (await costs.app.submit(alias)).wait()

            return work

        await of_runs("chain", 1)()
        for alias in ("chain", "fan"):
            steps = options["flows"] * options["steps"]
            await costs.of(f"a step of a {alias}", steps, of_runs(alias, options["flows"]), worker=worker)
        await of_runs("lines", 1)()
        await costs.of("a thousand lines of 60 bytes", options["lines"] / 1000, of_runs("lines", 1), worker=worker)

        async def told() -> None:
            for number in range(options["events"]):
                await costs.app.send_event("bench.told", {"number": number})

        await costs.of("an event from outside", options["events"], told, worker=worker)


async def _idle(costs: Costs) -> None:
    """Let workers wait for work; note what each costs in a second, and its connections."""
    options = costs.options
    ask = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    without = await costs.asking.fetchval(ask)

    async def rest() -> None:
        await asyncio.sleep(options["idle"])

    await costs.of("a second without workers", options["idle"], rest)
    with _several(options["url"], options["workers"]) as workers:
        await rest()  # what they did to begin is no part of it
        count = options["idle"] * len(workers)
        names = {f"worker {number}": pid for number, pid in enumerate(workers)}
        await costs.of("a second of an idle worker", count, rest, **names)
        found = costs.found["a second of an idle worker"]
        found["worker, us"] = round(sum(found.pop(f"{name}, us") for name in names), 3)
        found["connections"] = (await costs.asking.fetchval(ask) - without) / len(workers)


async def _define(client: Client, options: Options) -> None:
    """Store the jobs that are measured."""
    config = {"function": "bench.jobs:nothing", "isolation": "inline"}
    names = [f"s{number}" for number in range(options["steps"])]
    step = {"type": "python", "config": config}
    text = "line %08.0f of a log that somebody follows as it is written"
    lines = {"type": "process", "config": {"command": ["seq", "-f", text, str(options["lines"])]}}
    made = {
        "noop": [{"name": "only", **step}],
        "chain": [{"name": name, **step} for name in names],
        "fan": [
            {"name": names[0], **step, "next": names[1:-1]},
            *({"name": name, **step} for name in names[1:-1]),
            {"name": names[-1], **step, "dependsOn": names[1:-1]},
        ],
        "lines": [{"name": "only", **lines}],
    }
    definitions = [
        {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, "steps": steps}
        for alias, steps in made.items()
    ]
    await asyncio.to_thread(client.post, "jobdefs", "apply", body={"definitions": definitions})


@asynccontextmanager
async def _asking(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def _several(url: str, count: int) -> Iterator[list[int]]:
    """Run workers as people start them until the block ends; give their processes."""
    if not count:
        yield []
        return
    with _started(url, [PROGRAM, "worker", "--slots", "4"]) as one, _several(url, count - 1) as others:
        yield [one, *others]


def _worker(url: str, slots: int) -> AbstractContextManager[int]:
    """Run an application that works, in whose event loop its jobs run: what is measured is not their processes."""
    return _started(url, [sys.executable, "-m", "bench.working", url, str(slots)])


@contextmanager
def _started(url: str, command: Sequence[str]) -> Iterator[int]:
    """Run a worker in a process and a home of its own until the block ends; give the process."""
    env = os.environ | {
        "WINDLASS_HOME": f"{os.environ['WINDLASS_HOME']}-{os.urandom(4).hex()}",
        "WINDLASS_DATABASE_URL": url,
        "PYTHONPATH": str(ROOT),
    }
    with subprocess.Popen(bound(command), env=env, stdout=subprocess.PIPE, text=True) as worker, ended_after(worker):  # noqa: S603 - our own program
        for line in worker.stdout or ():
            if line.startswith("ready"):
                break
        else:
            raise SystemExit("a worker ended before it was ready")
        yield worker.pid


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.load(sys.stdin)))))
