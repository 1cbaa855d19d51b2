"""What is found again: jobs and runs by filters, logs by step, attempt and line."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, log, serve
from tests.fixtures.program import Windlass

_JOBS: Final = f"""\
{HEAD % "nightly-load, title: Load of orders, labels: {team: data, tier: one}"}steps: [{{name: say, run: "true"}}]
---
{HEAD % "nightly-clean, labels: {team: data}"}steps: [{{name: say, run: exit 3}}]
---
{HEAD % "report, title: Orders of a day, labels: {team: ops}"}steps: [{{name: say, run: "true"}}]
"""
_TALKING: Final = (
    HEAD % "talking"
    + """\
steps:
  - name: tell
    retry: {attempts: 2, delay: 0.05, jitter: false}
    run: |
      echo "tell $WINDLASS_ATTEMPT"
      echo "aside" >&2
      [ "$WINDLASS_ATTEMPT" = 2 ]
  - {name: each, matrix: {n: [1, 2]}, run: "echo each ${{ matrix.n }}"}
"""
)


def _jobs(windlass: Windlass, *filters: str) -> list[str]:
    return [job["alias"] for job in windlass("--json", "job", "list", *filters).json()]


def _runs(windlass: Windlass, *filters: str) -> list[str]:
    return [run["id"] for run in windlass("--json", "run", "list", *filters).json()]


@pytest.mark.promise("O01", part="search")
def test_jobs_are_searched_and_filtered(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass)
    assert _jobs(windlass) == ["nightly-clean", "nightly-load", "report"]
    assert _jobs(windlass, "--label", "team=data") == ["nightly-clean", "nightly-load"]
    assert _jobs(windlass, "--label", "team=data", "--label", "tier=one") == ["nightly-load"]
    assert _jobs(windlass, "--label", "team=none") == []
    for query, found in {
        "text=orders": ["nightly-load", "report"],
        "text=nightly": ["nightly-clean", "nightly-load"],
        "text=orders&label=team%3Dops": ["report"],
        "text=%25": [],
    }.items():
        assert [job["alias"] for job in api("GET", f"jobs?{query}")["items"]] == found, query


@pytest.mark.promise("O08", part="runs")
def test_runs_are_found_by_job_state_label_and_time(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass)
    load = accepted(windlass, "nightly-load", "-l", "day=monday", "-l", "by=ann", "--note", "first of all")
    clean = accepted(windlass, "nightly-clean", "-l", "day=monday")
    report = accepted(windlass, "report", "-l", "day=tuesday")
    found = [ended(windlass, run) for run in (load, clean, report)]
    assert [run["state"] for run in found] == ["completed", "failed", "completed"]
    assert (found[0]["labels"], found[0]["note"]) == ({"day": "monday", "by": "ann"}, "first of all")
    assert _runs(windlass) == [report, clean, load]
    assert _runs(windlass, "--job", "nightly-clean") == [clean]
    assert _runs(windlass, "--state", "completed") == [report, load]
    assert _runs(windlass, "--state", "failed", "--state", "completed") == [report, clean, load]
    assert _runs(windlass, "-l", "day=monday") == [clean, load]
    assert _runs(windlass, "-l", "day=monday", "-l", "by=ann") == [load]
    assert _runs(windlass, "-l", "day=monday", "--state", "failed") == [clean]
    assert _runs(windlass, "--since", found[1]["createdAt"]) == [report, clean]
    assert _runs(windlass, "--until", found[1]["createdAt"]) == [load]
    assert _runs(windlass, "-n", "1") == [report]
    assert [run["id"] for run in api("GET", "runs?label=day%3Dmonday&state=failed")["items"]] == [clean]


def test_logs_are_found_by_step_cell_and_attempt(windlass: Windlass) -> None:
    apply(windlass, _TALKING)
    serve(windlass)
    run = accepted(windlass, "talking")
    assert ended(windlass, run)["state"] == "completed"
    assert sorted(log(windlass, run, "--step", "tell", "--attempt", "1")) == ["aside", "tell 1"]
    assert sorted(log(windlass, run, "--step", "tell")) == ["aside", "aside", "tell 1", "tell 2"]
    assert sorted(log(windlass, run, "--step", "each")) == ["each 1", "each 2"]
    assert log(windlass, run, "--step", "each", "--key", "2") == ["each 2"]
    assert sorted(log(windlass, run)) == [
        "each[1] | each 1",
        "each[2] | each 2",
        "tell | aside",
        "tell | aside",
        "tell | tell 1",
        "tell | tell 2",
    ]
