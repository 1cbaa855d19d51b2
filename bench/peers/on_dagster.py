"""The program that measures Dagster on SQLite: `python on_dagster.py steps1000 < OPTIONS`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, In, Nothing, Out, in_process_executor, job, op

#: It tells every step to the terminal otherwise.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@op(out=Out(Nothing))
def begin() -> None:
    """Do nothing, before all others."""


@op(ins={"before": In(Nothing)}, out=Out(Nothing))
def step() -> None:
    """Do nothing."""


def chain(count: int) -> Any:
    """Return a job of steps one after the other."""

    @job(name="chain", executor_def=in_process_executor)
    def made() -> None:
        before = begin()
        for number in range(count - 1):
            before = step.alias(f"s{number}")(before=before)

    return made


def fan(count: int) -> Any:
    """Return a job of steps side by side, with one before and one after them."""

    @job(name="fan", executor_def=in_process_executor)
    def made() -> None:
        first = begin()
        step.alias("last")(before=[step.alias(f"m{number}")(before=first) for number in range(count - 2)])

    return made


def steps1000(options: dict[str, Any]) -> dict[str, Any]:
    """Measure no-op steps, a step; runs and their events are kept, and counted afterwards."""
    count, runs = options["steps"], options["runs"]
    home = Path(options["folder"]) / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    found = {}
    with DagsterInstance.from_config(str(home)) as instance:
        for name, shape in {"chain": chain, "fan": fan}.items():
            shape(10).execute_in_process(instance=instance, run_config=_QUIET)
            made, times = shape(count), []
            for _ in range(runs):
                began = time.perf_counter()
                ended = made.execute_in_process(instance=instance, run_config=_QUIET)
                times.append(time.perf_counter() - began)
                kept = instance.get_run_stats(ended.run_id).steps_succeeded
                if kept != count:
                    raise SystemExit(f"{kept} of {count} steps are kept as succeeded")
            found[name] = statistics.median(times) / count * 1000
    return found


if __name__ == "__main__":
    figures = {"steps1000": steps1000}[sys.argv[1]](json.load(sys.stdin))
    print(json.dumps({**figures, "version": version("dagster")}), flush=True)
