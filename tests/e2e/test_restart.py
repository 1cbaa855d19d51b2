"""A server that is killed, by the command line and by HTTP: what was accepted goes on, what was known is known."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import (
    HEAD,
    Socket,
    accepted,
    apply,
    ended,
    events,
    kill,
    left,
    line_of,
    pids,
    serve,
    states,
)
from tests.fixtures.program import Windlass

_LONG: Final = (
    HEAD % "long"
    + """\
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
)
_QUICK: Final = HEAD % "quick" + 'steps: [{name: say, run: "true"}]\n'
_BLOCKING: Final = HEAD % "blocking" + "steps: [{name: hang, run: 'echo ready; sleep 600'}]\n"
_RETRIED: Final = (
    HEAD % "retried"
    + """\
steps:
  - {name: ask, retry: {attempts: 3, strategy: fixed, delay: 2s, jitter: false}, run: '[ "$WINDLASS_ATTEMPT" = 3 ]'}
"""
)
_HOLDING: Final = HEAD % "holding" + "steps: [{name: hold, type: wait, config: {duration: 2s}}]\n"
_JOIN: Final = (
    HEAD % "join"
    + """\
steps:
  - {name: a, run: "true", next: join}
  - {name: b, run: exit 1, allowFailure: true, next: join}
  - {name: c, onWorkerLost: retry, run: 'echo ready; [ "$WINDLASS_ATTEMPT" = 2 ] || exec sleep 600', next: join}
  - {name: join, run: "true", next: end}
  - {name: end, run: "true"}
"""
)


@pytest.mark.promise("C13", part="restarts")
def test_a_run_goes_on_from_where_it_was_when_the_server_is_killed(windlass: Windlass) -> None:
    journal = windlass.folder / "journal"
    apply(windlass, _LONG.replace("JOURNAL", str(journal)))
    server = serve(windlass)
    run = accepted(windlass, "long")
    following = windlass.start("run", "logs", "--follow", run, "--step", "third")
    hung = pids(line_of(following.stdout, "pid "))
    kill(server)
    between = windlass("--json", "run", "get", run).json()
    assert (between["state"], between["counts"]) == ("running", {"completed": 2, "pending": 1, "running": 1})
    serve(windlass)
    after = ended(windlass, run)
    assert journal.read_text().splitlines() == ["first", "second", "third 1", "third 2", "fourth 42"]
    assert (after["state"], after["counts"]) == ("completed", {"completed": 4})
    assert after["startedAt"] == between["startedAt"]
    assert [e["data"]["attempt"] for e in events(windlass, run, "task.started")] == [1, 1, 1, 2, 1]
    assert left(hung) == []


@pytest.mark.promise("C13", part="restarts")
def test_predecessors_that_are_final_and_those_outstanding_are_known_after_a_kill(
    windlass: Windlass, api: Socket
) -> None:
    apply(windlass, _JOIN)
    server = serve(windlass, 4)
    run = accepted(windlass, "join")
    following = windlass.start("run", "logs", "--follow", run, "--step", "c")
    line_of(following.stdout, "ready")
    tail = windlass.start("--json", "event", "tail", "--run", run, "--last", "100")
    line_of(tail.stdout, '{"seq"')
    while states(windlass, run)["b"] != "failed":
        line_of(tail.stdout, "{")
    kill(server)
    assert states(windlass, run) == {
        "a": "completed",
        "b": "failed",
        "c": "running",
        "join": "pending",
        "end": "pending",
    }
    serve(windlass, 4)
    assert ended(windlass, run)["state"] == "completed"
    tasks = {task["step"]: task for task in api("GET", f"runs/{run}/steps")["items"]}
    assert {step: (task["state"], task["attempt"]) for step, task in tasks.items()} == {
        "a": ("completed", 1),
        "b": ("failed", 1),
        "c": ("completed", 2),
        "join": ("completed", 1),
        "end": ("completed", 1),
    }
    attempts = api("GET", f"runs/{run}/executions")["items"]
    assert sorted((one["number"], one["outcome"]) for one in attempts) == [
        (1, "completed"), (1, "completed"), (1, "completed"), (1, "failed"), (1, "lost"), (2, "completed"),
    ]  # fmt: skip


@pytest.mark.promise("H07")
def test_nothing_that_waits_in_any_state_is_lost_when_the_server_is_killed(windlass: Windlass) -> None:
    apply(windlass, f"{_QUICK}---\n{_BLOCKING}---\n{_RETRIED}---\n{_HOLDING}")
    before = [accepted(windlass, "quick", "--in", "4s")]
    server = serve(windlass, 1)
    for job, sign in (("retried", "task.retried"), ("holding", "task.waiting")):
        before.append(accepted(windlass, job))
        tail = windlass.start("--json", "event", "tail", "--run", before[-1], "--type", sign, "--last", "9")
        line_of(tail.stdout, "{")
    blocking = accepted(windlass, "blocking")
    following = windlass.start("run", "logs", "--follow", blocking, "--step", "hang")
    line_of(following.stdout, "ready")
    before += [accepted(windlass, "quick", "--priority", priority) for priority in ("low", "critical")]
    kill(server)
    serve(windlass)
    assert {run: ended(windlass, run)["state"] for run in before} == dict.fromkeys(before, "completed")
    lost = ended(windlass, blocking)
    assert (lost["state"], lost["error"]["reason"]) == ("failed", "worker_lost")
    assert len(windlass("--json", "run", "list").json()) == len(before) + 1
    assert [len(events(windlass, run, "task.started")) for run in before] == [1, 3, 1, 1, 1]


@pytest.mark.promise("C13", part="history")
@pytest.mark.promise("O08", part=("runs", "attempts"))
def test_runs_tasks_and_attempts_can_be_read_after_a_restart(windlass: Windlass, api: Socket) -> None:
    apply(windlass, f"{_RETRIED.replace('2s', '1ms')}---\n{_QUICK}")
    server = serve(windlass)
    retried, quick = accepted(windlass, "retried"), accepted(windlass, "quick")
    for run in (retried, quick):
        assert ended(windlass, run)["state"] == "completed"
    kill(server)
    serve(windlass)
    assert [run["id"] for run in api("GET", "runs")["items"]] == [quick, retried]
    assert [run["id"] for run in api("GET", "jobs/retried/runs")["items"]] == [retried]
    (task,) = api("GET", f"jobs/retried/runs/{retried}/tasks")["items"]
    assert (task["step"], task["state"], task["attempt"], task["maxAttempts"]) == ("ask", "completed", 3, 3)
    attempts = api("GET", f"runs/{retried}/executions")["items"]
    assert [(one["number"], one["outcome"], one["exitCode"]) for one in attempts] == [
        (1, "failed", 1), (2, "failed", 1), (3, "completed", 0),
    ]  # fmt: skip
    for one in attempts:
        assert one["startedAt"] <= one["finishedAt"]
        assert one["cpuSeconds"] > 0
        assert one["maxRssBytes"] > 2**16
    told = [event["type"] for event in api("GET", f"runs/{quick}/events")["items"]]
    assert told == [
        "run.created", "run.queued", "task.queued", "run.started", "task.started", "task.completed", "run.completed",
    ]  # fmt: skip
