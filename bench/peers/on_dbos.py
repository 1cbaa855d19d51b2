"""The program that measures DBOS on SQLite, flows also on PostgreSQL: `python on_dbos.py MODE < OPTIONS`."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import sqlalchemy
from dbos import DBOS
from dbos._dbos import _get_dbos_instance

begun: list[float] = []
started = threading.Event()


@DBOS.workflow()
def noop() -> None:
    """Do nothing but note the time."""
    begun.append(time.perf_counter())
    started.set()


@DBOS.step()
def step() -> None:
    """Do nothing."""


@DBOS.step()
async def step_async() -> None:
    """Do nothing."""


@DBOS.step()
def fibonacci_step(number: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return fibonacci(number)


def fibonacci(number: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)  # noqa: PLR2004 - where it ends


@DBOS.workflow()
def chain(count: int) -> None:
    """Run steps one after the other."""
    for _ in range(count):
        step()


@DBOS.workflow()
async def fan(count: int) -> None:
    """Run steps side by side."""
    await asyncio.gather(*(step_async() for _ in range(count)))


@DBOS.workflow()
def flow(count: int, number: int) -> None:
    """Run light steps one after the other."""
    for _ in range(count):
        fibonacci_step(number)


def launch(options: dict[str, Any], *queues: str) -> None:
    """Start DBOS; it works on `queues` and no others.

    Without a `url` it keeps its work in SQLite, in WAL mode and with commits that are flushed.
    """
    if "url" in options:
        start(options["url"], queues)
        return
    path = f"{options['folder']}/dbos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("pragma journal_mode = wal")
    start(f"sqlite:///{path}", queues)
    with _get_dbos_instance()._sys_db.engine.connect() as connection:  # noqa: SLF001 - the bench knows the program
        state = [
            connection.execute(sqlalchemy.text(f"pragma {name}")).scalar() for name in ("synchronous", "journal_mode")
        ]
    if state != [2, "wal"]:
        raise SystemExit(f"commits are not flushed: {state}")


def start(url: str, queues: Sequence[str]) -> None:
    """Start DBOS on a database, as an executor of its own."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "executor_id": str(os.getpid()),
            "log_level": "ERROR",
        }
    )
    DBOS.listen_queues(list(queues))
    DBOS.launch()


def drain(options: dict[str, Any]) -> dict[str, Any]:
    """Enqueue no-ops on a queue that nobody works on, then let it be worked on."""
    launch(options)
    DBOS.register_queue("work", polling_interval_sec=options["polling"])
    for _ in range(options["count"]):
        DBOS.enqueue_workflow("work", noop)
    DBOS.destroy()
    launch(options, "work")
    while len(begun) < options["count"]:
        time.sleep(0.01)
    return {"rate": (options["count"] - 1) / (max(begun) - min(begun))}


def submit(options: dict[str, Any]) -> dict[str, Any]:
    """Enqueue one by one."""
    launch(options)
    DBOS.register_queue("closed")
    for _ in range(options["warm_up"]):
        DBOS.enqueue_workflow("closed", noop)
    began = time.perf_counter()
    for _ in range(options["one_by_one"]):
        DBOS.enqueue_workflow("closed", noop)
    return {"one_by_one": options["one_by_one"] / (time.perf_counter() - began)}


def latency(options: dict[str, Any]) -> dict[str, Any]:
    """Measure from the call to the first line of the workflow."""
    launch(options, "open")
    DBOS.register_queue("open", polling_interval_sec=options["polling"])
    times = []
    for number in range(options["count"] + 5):
        time.sleep(options["pause"])
        started.clear()
        began = time.perf_counter()
        DBOS.enqueue_workflow("open", noop)
        started.wait()
        if number >= 5:  # noqa: PLR2004 - the first ones warm up
            times.append((begun[-1] - began) * 1000)
    return {"p50": statistics.median(times), "p99": statistics.quantiles(times, n=100)[98]}


def flow40(options: dict[str, Any]) -> dict[str, Any]:
    """Measure a flow of light steps in this process."""
    launch(options)
    return {"inline": _median(lambda: flow(options["steps"], options["number"]), options["runs"])}


def steps1000(options: dict[str, Any]) -> dict[str, Any]:
    """Measure no-op steps, a step."""
    launch(options)
    count, runs = options["steps"], options["runs"]
    return {
        "chain": _median(lambda: chain(count), runs) / count * 1000,
        "fan": _median(lambda: asyncio.run(fan(count)), runs) / count * 1000,
    }


def _median(run: Any, runs: int) -> float:
    found = []
    for number in range(runs + 1):
        began = time.perf_counter()
        run()
        if number:
            found.append(time.perf_counter() - began)
    return statistics.median(found)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    modes = {"drain": drain, "submit": submit, "latency": latency, "flow40": flow40, "steps1000": steps1000}
    print(json.dumps({**modes[sys.argv[1]](asked), "version": version("dbos")}), flush=True)
    DBOS.destroy()
