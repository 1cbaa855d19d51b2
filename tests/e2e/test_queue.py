"""Runs on their way through the queue: order, attempts, timeouts, and a server that is killed."""

from __future__ import annotations

import subprocess
import time
from datetime import datetime
from typing import Any, Final

import pytest

from tests.fixtures.left_processes import ends
from tests.fixtures.program import Windlass

#: Seconds that a process has to be gone, once it was killed.
_DEADLINE: Final = 10.0
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
_HANGING: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: hanging}
steps:
  - name: hang
    timeout: 1s
    run: |
      sleep 600 &
      echo "pid $!"
      setsid sleep 600 &
      echo "pid $!"
      wait
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
_LONG: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: long}
steps:
  - name: first
    run: |
      echo first >> "JOURNAL"
      echo '##windlass::output {"rows": 42}'
  - name: second
    run: echo second >> "JOURNAL"
  - name: third
    onWorkerLost: retry
    run: |
      echo "third $WINDLASS_ATTEMPT" >> "JOURNAL"
      echo "pid $$"
      if [ "$WINDLASS_ATTEMPT" = 1 ]; then exec sleep 600; fi
  - name: fourth
    run: echo fourth ${{ steps.first.outputs.rows }} >> "JOURNAL"
"""


def _apply(windlass: Windlass, text: str) -> None:
    (windlass.folder / "job.yaml").write_text(text)
    applied = windlass("job", "apply", "job.yaml")
    assert applied.code == 0, applied.stderr


def _serve(windlass: Windlass, slots: str = "2") -> subprocess.Popen[str]:
    server = windlass.start("up", env={"WINDLASS_WORKER_SLOTS": slots})
    assert server.stdout is not None
    assert any(line.startswith("ready") for line in server.stdout)
    return server


def _run(windlass: Windlass, job: str) -> dict[str, Any]:
    """Start a run of `job` and return it when it has ended."""
    started: dict[str, Any] = windlass("--json", "run", "start", job, "--wait").json()
    found: dict[str, Any] = windlass("--json", "run", "get", started["id"]).json()
    return found


def _rows(windlass: Windlass, run: str) -> dict[str, list[str]]:
    """Return the words of each line that `run get` shows of a step, by the step's name."""
    lines = windlass("run", "get", run).stdout.partition("STEP ")[2].splitlines()[1:]
    return {words[0]: words[1:] for words in map(str.split, lines)}


def _events(windlass: Windlass, run: str, type_: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = windlass("--json", "event", "list", "--run", run, "--type", type_).json()
    return found


def _pids(text: str) -> list[int]:
    return [int(line.removeprefix("pid ")) for line in text.splitlines() if line.startswith("pid ")]


@pytest.mark.promise("H01")
def test_urgent_runs_start_first_and_equal_ones_in_their_order(windlass: Windlass) -> None:
    _apply(windlass, _QUICK)
    queued: dict[str, list[str]] = {}
    for priority in ("low", "normal", "high", "critical", "high", "low"):
        run = windlass("--json", "run", "start", "quick", "--priority", priority).json()
        assert run["state"] == "queued"
        queued.setdefault(priority, []).append(run["id"])
    _serve(windlass, "1")
    runs = [run for priority in ("critical", "high", "normal", "low") for run in queued[priority]]
    assert [windlass("run", "watch", run).code for run in runs] == [0] * len(runs)
    events = windlass("--json", "event", "list", "--type", "run.started").json()
    assert [event["runId"] for event in events] == runs


@pytest.mark.promise("H05")
def test_a_step_is_retried_with_growing_delays_until_its_last_attempt(windlass: Windlass) -> None:
    _apply(windlass, _RETRIED)
    _serve(windlass)
    run = _run(windlass, "retried")
    assert (run["state"], run["reason"], run["counts"]) == ("failed", "task_failed", {"failed": 2})
    rows = _rows(windlass, run["id"])
    assert rows["ask"][:3] == ["✗", "failed", "3/3"]
    assert rows["other"][:3] == ["✗", "failed", "1/3"]
    logged = windlass("run", "logs", run["id"], "--step", "ask").stdout
    assert logged.splitlines() == ["attempt 1", "attempt 2", "attempt 3"]
    assert windlass("run", "logs", run["id"], "--step", "ask", "--attempt", "2").stdout == "attempt 2\n"
    retried = _events(windlass, run["id"], "task.retried")
    delays = [datetime.fromisoformat(e["data"]["at"]) - datetime.fromisoformat(e["at"]) for e in retried]
    assert [round(delay.total_seconds(), 3) for delay in delays] == [0.1, 0.2]
    assert [event["data"]["attempt"] for event in retried] == [1, 2]


@pytest.mark.promise("H06")
def test_a_timeout_ends_every_process_of_the_step(windlass: Windlass) -> None:
    _apply(windlass, _HANGING)
    _serve(windlass)
    run = _run(windlass, "hanging")
    assert (run["state"], run["counts"]) == ("failed", {"timeout": 1})
    assert _rows(windlass, run["id"])["hang"][1] == "timeout"
    pids = _pids(windlass("run", "logs", run["id"], "--step", "hang").stdout)
    assert len(pids) == 2
    deadline = time.monotonic() + _DEADLINE
    assert [pid for pid in pids if not ends(pid, deadline)] == []


@pytest.mark.promise("C14")
def test_processes_and_scripts_run_as_steps(windlass: Windlass) -> None:
    _apply(windlass, _ENGINES)
    _serve(windlass)
    run = _run(windlass, "engines")
    assert (run["state"], run["allowedFailures"], run["outputs"]) == ("completed", 1, {"twice": 84})
    events = _events(windlass, run["id"], "task.*")
    ends = {event["type"]: event["data"]["exitCode"] for event in events if "exitCode" in event["data"]}
    assert ends == {"task.completed": 0, "task.failed": 7}
    rows = _rows(windlass, run["id"])
    assert rows["plain"][-1] == "rows=42"
    assert rows["scripted"][-1] == "twice=84"
    assert "$HOME; no shell\n" in windlass("run", "logs", run["id"], "--step", "plain").stdout
    scripted = windlass("--json", "run", "logs", run["id"], "--step", "scripted").stdout
    assert '"a warning\\n"' in scripted
    assert "42 rows" in scripted


@pytest.mark.promise("C13")
def test_a_run_goes_on_from_where_it_was_when_the_server_is_killed(windlass: Windlass) -> None:
    journal = windlass.folder / "journal"
    _apply(windlass, _LONG.replace("JOURNAL", str(journal)))
    server = _serve(windlass)
    run = windlass("--json", "run", "start", "long").json()["id"]
    following = windlass.start("run", "logs", "--follow", run, "--step", "third")
    assert following.stdout is not None
    (pid,) = _pids(following.stdout.readline())
    server.kill()
    server.communicate()
    between = windlass("--json", "run", "get", run).json()
    assert (between["state"], between["counts"]) == ("running", {"completed": 2, "pending": 1, "running": 1})
    _serve(windlass)
    assert windlass("run", "watch", run).code == 0
    assert journal.read_text().splitlines() == ["first", "second", "third 1", "third 2", "fourth 42"]
    after = windlass("--json", "run", "get", run).json()
    assert (after["state"], after["counts"]) == ("completed", {"completed": 4})
    assert after["startedAt"] == between["startedAt"]
    assert [e["data"]["attempt"] for e in _events(windlass, run, "task.started")] == [1, 1, 1, 2, 1]
    assert ends(pid, time.monotonic() + _DEADLINE)
