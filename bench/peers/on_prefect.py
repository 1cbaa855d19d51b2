"""The program that measures Prefect with a server of its own on SQLite: `python on_prefect.py steps1000 < OPTIONS`."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def steps1000(options: dict[str, Any]) -> dict[str, Any]:
    """Measure no-op tasks, a task; what the server has kept of them is counted afterwards."""
    home = Path(options["folder"]) / "prefect"
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(options["patience"]),
        "DO_NOT_TRACK": "1",
    }
    from prefect import flow, task  # noqa: PLC0415 - it reads its settings when it is loaded
    from prefect.task_runners import ThreadPoolTaskRunner  # noqa: PLC0415 - as above

    @task
    def step() -> None:
        """Do nothing."""

    @flow
    def chain(count: int) -> None:
        """Run tasks one after the other."""
        for _ in range(count):
            step()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=options["threads"]))
    def fan(count: int) -> None:
        """Run tasks side by side."""
        for one in [step.submit() for _ in range(count)]:
            one.result()

    count, runs = options["steps"], options["runs"]
    found: dict[str, Any] = {name: _median(one, count, runs) for name, one in (("chain", chain), ("fan", fan))}
    asked = 2 * (count * runs + _WARM)
    return found | {"kept": _kept(home / "prefect.db", asked, options["settle"]) / asked}


#: Tasks of the first flow of each shape, which does not count.
_WARM = 10


def _median(run: Callable[[int], object], count: int, runs: int) -> float:
    """Return the milliseconds a task."""
    run(_WARM)
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        run(count)
        found.append(time.perf_counter() - began)
    return statistics.median(found) / count * 1000


def _kept(path: Path, asked: int, seconds: float) -> int:
    """Return how many tasks the server has as completed; it is told of them later, so it gets `seconds` for that."""
    end = time.monotonic() + seconds
    with sqlite3.connect(path, timeout=seconds) as store:
        while True:
            kept = store.execute("SELECT count(*) FROM task_run WHERE state_type = 'COMPLETED'").fetchone()[0]
            if kept >= asked or time.monotonic() > end:
                return int(kept)
            time.sleep(0.2)


if __name__ == "__main__":
    figures = {"steps1000": steps1000}[sys.argv[1]](json.load(sys.stdin))
    print(json.dumps({**figures, "version": version("prefect")}), flush=True)
