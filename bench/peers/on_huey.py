"""The program that measures Huey on SQLite: `python on_huey.py MODE < OPTIONS`."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from typing import Any

import huey

begun: list[float] = []
started = threading.Event()


def made(options: dict[str, Any]) -> tuple[Any, Any]:
    """Return a Huey whose commits are flushed, and its no-op."""
    found = huey.SqliteHuey("bench", filename=f"{options['folder']}/huey.db", results=False, fsync=True)
    connection = found.storage.conn
    state = [connection.execute(f"pragma {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    if state != [2, "wal"]:
        raise SystemExit(f"commits are not flushed: {state}")

    @found.task()
    def noop() -> None:
        begun.append(time.perf_counter())
        started.set()

    return found, noop


def consumer(found: Any, options: dict[str, Any]) -> Any:
    """Return a started consumer in this process."""
    made = found.create_consumer(
        workers=options["threads"],
        periodic=False,
        initial_delay=options["delay"],
        backoff=1.0,
        max_delay=options["delay"],
    )
    made.start()
    return made


def drain(options: dict[str, Any]) -> dict[str, Any]:
    """Enqueue no-ops, then work them off."""
    found, noop = made(options)
    for _ in range(options["count"]):
        noop()
    working = consumer(found, options)
    while len(begun) < options["count"]:
        time.sleep(0.01)
    working.stop(graceful=True)
    return {"rate": (options["count"] - 1) / (max(begun) - min(begun))}


def submit(options: dict[str, Any]) -> dict[str, Any]:
    """Enqueue one by one."""
    _, noop = made(options)
    for _ in range(options["warm_up"]):
        noop()
    began = time.perf_counter()
    for _ in range(options["one_by_one"]):
        noop()
    return {"one_by_one": options["one_by_one"] / (time.perf_counter() - began)}


def latency(options: dict[str, Any]) -> dict[str, Any]:
    """Measure from the call to the first line of the task."""
    found, noop = made(options)
    working = consumer(found, options)
    times = []
    for number in range(options["count"] + 5):
        time.sleep(options["pause"])
        started.clear()
        began = time.perf_counter()
        noop()
        started.wait()
        if number >= 5:  # noqa: PLR2004 - the first ones warm up
            times.append((begun[-1] - began) * 1000)
    working.stop(graceful=True)
    return {"p50": statistics.median(times), "p99": statistics.quantiles(times, n=100)[98]}


if __name__ == "__main__":
    mode = {"drain": drain, "submit": submit, "latency": latency}[sys.argv[1]]
    print(json.dumps({**mode(json.load(sys.stdin)), "version": huey.__version__}), flush=True)
