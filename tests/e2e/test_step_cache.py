"""`cache`, as people meet it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, executed, kill, log, rows, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("C19")

_REPORT = f"""\
{HEAD % "report"}parameters:
  day: {{type: string, default: "1"}}
steps:
  - name: load
    run: |
      echo worked; echo "of $DAY" > out.csv
      echo '##windlass::output {{"rows": 42}}'
    env: {{DAY: "${{{{ parameters.day }}}}"}}
    artifacts: ["*.csv"]
    cache: true
  - {{name: use, dependsOn: load, run: 'echo "$WINDLASS_OUTPUT_LOAD_ROWS rows"', cache: {{ttl: 1h}}}}
"""
_FAMILY = f"""\
{HEAD % "inner"}steps:
  - {{name: work, run: echo worked, cache: true}}
---
{HEAD % "outer"}steps:
  - {{name: child, uses: {{job: inner}}, cache: true}}
"""


def test_the_second_run_takes_what_the_first_has_worked_for(windlass: Windlass) -> None:
    apply(windlass, _REPORT)
    kill(serve(windlass))
    serve(windlass)
    first = accepted(windlass, "report")
    assert ended(windlass, first)["outputs"] == {"rows": 42}
    second = accepted(windlass, "report")
    run = ended(windlass, second)
    assert (run["state"], run["outputs"], log(windlass, second)) == ("completed", {"rows": 42}, [])
    assert [(task["reason"], task["keptFrom"]) for task in run["tasks"]] == [("cached", first)] * 2
    assert " ".join(rows(windlass, second)["load"]).endswith(f"0 cached from run {first[:18]} rows=42")
    assert f"cached from run {first[:13]}" in windlass("run", "graph", second).stdout
    assert "kept" not in windlass("run", "graph", second).stdout
    assert [event["data"]["from"] for event in events(windlass, second, "task.cached")] == [first, first]
    files = windlass("--json", "run", "artifacts", second).json()
    assert [(file["name"], file["size"]) for file in files] == [("out.csv", 5)]
    other = accepted(windlass, "report", "-p", "day=2")
    ended(windlass, other)
    why = windlass("run", "why", other, "--step", "load").stdout
    assert f"The newest kept result, of run {first}, has another content: env, parameters." in why
    fresh = accepted(windlass, "report", "--no-cache")
    assert "load | worked" in log(windlass, ended(windlass, fresh)["id"])
    assert "asked to take no earlier result" in windlass("run", "why", fresh, "--step", "load").stdout
    last = accepted(windlass, "report")
    assert {task["keptFrom"] for task in ended(windlass, last)["tasks"]} == {fresh}


def test_results_outlive_a_crash_and_their_run(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _REPORT)
    server = serve(windlass)
    first = accepted(windlass, "report")
    ended(windlass, first)
    kill(server)
    serve(windlass)
    run = api("POST", "jobs/report/run", {})
    assert [task["reason"] for task in ended(windlass, run["id"])["tasks"]] == ["cached", "cached"]
    assert windlass("run", "delete", first).code == 0
    run = api("POST", "jobs/report/run", {"noCache": False})
    assert [task["reason"] for task in ended(windlass, run["id"])["tasks"]] == [None, None]
    status, body = api.raw("POST", "jobs/report/run", json.dumps({"noCache": 1}).encode())
    assert (status, b"noCache" in body) == (422, True)
    told = api.raw("GET", "/metrics")[1].decode()
    assert 'windlass_tasks_cached_total{job="*"} 2' in told or "windlass_tasks_cached_total" in told
    assert "windlass_cache_entries 2" in told


def test_a_child_run_takes_results_unless_its_family_was_asked_not_to(windlass: Windlass) -> None:
    apply(windlass, _FAMILY)
    serve(windlass)
    found = []
    for more in ((), (), ("--no-cache",)):
        run = ended(windlass, accepted(windlass, "outer", *more))
        (child,) = run["children"]
        (task,) = windlass("--json", "run", "get", child["id"]).json()["tasks"]
        found.append((run["state"], run["tasks"][0]["reason"], task["reason"]))
    assert found == [("completed", None, None), ("completed", None, "cached"), ("completed", None, None)]


def test_exec_takes_results_too(windlass: Windlass) -> None:
    first = executed(windlass, _REPORT)
    second = executed(windlass, _REPORT)
    third = executed(windlass, _REPORT, "--no-cache")
    reasons = [
        [task["reason"] for task in windlass("--json", "run", "get", run["id"]).json()["tasks"]]
        for run in (first, second, third)
    ]
    assert reasons == [[None, None], ["cached", "cached"], [None, None]]
