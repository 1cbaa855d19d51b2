"""Runs on their way through the queue: order, times, attempts, and what runs their steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, events, rows, serve
from tests.fixtures.program import Windlass

_QUICK: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: quick}
steps:
  - {name: say, run: "true"}
"""
_RETRIED: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: retried}
steps:
  - name: ask
    retry: {attempts: 3, strategy: exponential, delay: 0.1, jitter: false, on: ["exit:75"]}
    run: |
      echo "attempt $WINDLASS_ATTEMPT"
      exit 75
  - name: other
    triggerRule: all_done
    retry: {attempts: 3, delay: 0.1, on: ["exit:75"]}
    run: exit 76
"""
_CAPPED: Final = f"""\
{HEAD % "capped"}steps:
  - {{name: ask, retry: {{attempts: 5, delay: 0.1, maxDelay: 0.15, jitter: false}}, run: exit 75}}
---
{HEAD % "spread"}steps:
  - {{name: ask, retry: {{attempts: 5, strategy: fixed, delay: 0.1, jitter: true}}, run: exit 75}}
"""
_ENGINES: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: engines}
steps:
  - name: plain
    type: process
    config: {command: [printf, '##windlass::output {"rows": 42}\\n%s\\n', "$HOME; no shell"]}
  - name: scripted
    env: {ROWS: "${{ steps.plain.outputs.rows }}"}
    run: |
      echo "$ROWS rows"
      echo "a warning" >&2
      echo "##windlass::output {\\"twice\\": $((ROWS * 2))}"
      exit 7
    allowFailure: true
"""


@pytest.mark.promise("H01")
def test_urgent_runs_start_first_and_equal_ones_in_their_order(windlass: Windlass) -> None:
    apply(windlass, _QUICK)
    queued: dict[str, list[str]] = {}
    for priority in ("low", "normal", "high", "critical", "high", "low"):
        run = windlass("--json", "run", "start", "quick", "--priority", priority).json()
        assert run["state"] == "queued"
        queued.setdefault(priority, []).append(run["id"])
    serve(windlass, 1)
    runs = [run for priority in ("critical", "high", "normal", "low") for run in queued[priority]]
    assert [windlass("run", "watch", run).code for run in runs] == [0] * len(runs)
    started = windlass("--json", "event", "list", "--type", "run.started").json()
    assert [event["runId"] for event in started] == runs


@pytest.mark.promise("H01")
def test_low_that_has_waited_long_enough_goes_before_critical(windlass: Windlass) -> None:
    apply(windlass, _QUICK)
    weight = {"WINDLASS_PRIORITY_WEIGHT": "1ms"}  # 14 points are less than one command takes to start
    runs = []
    for priority in ("low", "critical"):
        started = windlass("--json", "run", "start", "quick", "--priority", priority, env=weight)
        runs.append(started.json()["id"])
    serve(windlass, 1, **weight)
    assert [ended(windlass, run)["state"] for run in runs] == ["completed", "completed"]
    started = windlass("--json", "event", "list", "--type", "run.started").json()
    assert [event["runId"] for event in started] == runs


@pytest.mark.promise("H02")
def test_a_run_for_later_starts_at_its_time_and_not_before(windlass: Windlass) -> None:
    apply(windlass, _QUICK)
    serve(windlass)
    for option in ("--in", "--at"):
        when = "1s" if option == "--in" else (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        run = windlass("--json", "run", "start", "quick", option, when).json()
        assert (run["state"], run["startedAt"]) == ("scheduled", None)
        found = ended(windlass, run["id"])
        assert found["state"] == "completed"
        assert found["createdAt"] < found["scheduledAt"] <= found["queuedAt"] <= found["startedAt"]
    past = windlass("--json", "run", "start", "quick", "--at", "2020-01-01T00:00:00Z").json()
    assert past["state"] in {"queued", "running", "completed"}
    assert ended(windlass, past["id"])["state"] == "completed"


@pytest.mark.promise("H05", part="retries")
def test_delays_are_capped_and_jitter_keeps_within_half_of_them(windlass: Windlass) -> None:
    apply(windlass, _CAPPED)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "capped"))
    assert (run["state"], rows(windlass, run["id"])["ask"][2]) == ("failed", "5/5")
    retried = events(windlass, run["id"], "task.retried")
    delays = [datetime.fromisoformat(e["data"]["at"]) - datetime.fromisoformat(e["at"]) for e in retried]
    assert [round(delay.total_seconds(), 3) for delay in delays] == [0.1, 0.15, 0.15, 0.15]
    spread = ended(windlass, accepted(windlass, "spread"))
    retried = events(windlass, spread["id"], "task.retried")
    assert len(retried) == 4
    for event in retried:
        delay = datetime.fromisoformat(event["data"]["at"]) - datetime.fromisoformat(event["at"])
        assert 0.05 <= delay.total_seconds() <= 0.1


@pytest.mark.promise("H05", part="retries")
def test_a_step_is_retried_with_growing_delays_until_its_last_attempt(windlass: Windlass) -> None:
    apply(windlass, _RETRIED)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "retried"))
    assert (run["state"], run["reason"], run["counts"]) == ("failed", "task_failed", {"failed": 2})
    shown = rows(windlass, run["id"])
    assert shown["ask"][:3] == ["✗", "failed", "3/3"]
    assert shown["other"][:3] == ["✗", "failed", "1/3"]
    logged = windlass("run", "logs", run["id"], "--step", "ask").stdout
    assert logged.splitlines() == ["attempt 1", "attempt 2", "attempt 3"]
    assert windlass("run", "logs", run["id"], "--step", "ask", "--attempt", "2").stdout == "attempt 2\n"
    retried = events(windlass, run["id"], "task.retried")
    delays = [datetime.fromisoformat(e["data"]["at"]) - datetime.fromisoformat(e["at"]) for e in retried]
    assert [round(delay.total_seconds(), 3) for delay in delays] == [0.1, 0.2]
    assert [event["data"]["attempt"] for event in retried] == [1, 2]


@pytest.mark.promise("C14", part="processes")
def test_processes_and_scripts_run_as_steps(windlass: Windlass) -> None:
    apply(windlass, _ENGINES)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "engines"))
    assert (run["state"], run["allowedFailures"], run["outputs"]) == ("completed", 1, {"twice": 84})
    found = events(windlass, run["id"], "task.*")
    codes = {event["type"]: event["data"]["exitCode"] for event in found if "exitCode" in event["data"]}
    assert codes == {"task.completed": 0, "task.failed": 7}
    shown = rows(windlass, run["id"])
    assert shown["plain"][-1] == "rows=42"
    assert shown["scripted"][-1] == "twice=84"
    assert "$HOME; no shell\n" in windlass("run", "logs", run["id"], "--step", "plain").stdout
    scripted = windlass("--json", "run", "logs", run["id"], "--step", "scripted").stdout
    assert '"a warning\\n"' in scripted
    assert "42 rows" in scripted
