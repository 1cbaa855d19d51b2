"""A cancel in every state, by the command line: asked for, done, and confirmed."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, events, left, line_of, log, pids, rows, serve, states
from tests.fixtures.program import Windlass

_ENDLESS: Final = (
    HEAD % "endless"
    + """\
steps:
  - name: hang
    run: |
      sleep 600 &
      echo "pid $!"
      setsid sleep 600 &
      echo "pid $!"
      echo ready
      wait
  - {name: after, dependsOn: hang, run: echo after}
  - {name: done, dependsOn: hang, triggerRule: all_done, run: echo done}
  - {name: sweep, dependsOn: hang, triggerRule: always, run: echo swept}
"""
)
_QUICK: Final = HEAD % "quick" + 'steps: [{name: say, run: "true"}, {name: sweep, triggerRule: always, run: "true"}]\n'
_ALONE: Final = HEAD % "alone" + 'concurrency: {limit: 1}\nsteps: [{name: say, run: "true"}]\n'
_FAILING: Final = HEAD % "failing" + "steps: [{name: say, run: exit 1}]\n"
_RETRIED: Final = (
    HEAD % "retried" + "steps: [{name: ask, retry: {attempts: 2, strategy: fixed, delay: 1h}, run: exit 75}]\n"
)
_HOLDING: Final = (
    HEAD % "holding" + "steps: [{name: hold, type: wait, config: {duration: 1h}}, {name: after, run: echo after}]\n"
)


def _cancel(windlass: Windlass, run: str) -> None:
    """Cancel a run that is not at work: it is so at once, and the answer says so."""
    asked = windlass("run", "cancel", run)
    assert (asked.code, asked.stdout) == (0, f"Run {run} is cancelled.\n")
    found = windlass("--json", "run", "get", run).json()
    assert (found["state"], found["finishedAt"] is None) == ("cancelled", False)
    assert len(events(windlass, run, "run.cancelled")) == 1


@pytest.mark.promise("H11", part="scheduled")
def test_a_run_for_later_is_cancelled_and_never_starts(windlass: Windlass) -> None:
    apply(windlass, _QUICK)
    run = accepted(windlass, "quick", "--in", "1h")
    _cancel(windlass, run)
    serve(windlass)
    assert events(windlass, run, "run.started") == events(windlass, run, "task.started") == []


@pytest.mark.promise("H11", part="waiting")
def test_runs_that_wait_for_a_run_and_for_a_place_are_cancelled_and_never_start(windlass: Windlass) -> None:
    apply(windlass, f"{_QUICK}---\n{_ALONE}")
    first = accepted(windlass, "alone")
    runs = [accepted(windlass, "quick", "--after", first), accepted(windlass, "alone")]
    for run in runs:
        assert windlass("--json", "run", "get", run).json()["state"] == "waiting"
        _cancel(windlass, run)
    serve(windlass)
    assert ended(windlass, first)["state"] == "completed"
    assert [ended(windlass, run)["state"] for run in runs] == ["cancelled", "cancelled"]
    assert [events(windlass, run, "task.started") for run in runs] == [[], []]


@pytest.mark.promise("H11", part="queued")
def test_a_queued_run_is_cancelled_and_the_next_one_is_not(windlass: Windlass) -> None:
    apply(windlass, _QUICK)
    first, second = accepted(windlass, "quick"), accepted(windlass, "quick")
    _cancel(windlass, first)
    serve(windlass)
    assert ended(windlass, second)["state"] == "completed"
    assert windlass("run", "watch", first).code == 1
    assert events(windlass, first, "task.started") == []


@pytest.mark.promise("H11", part="running")
def test_a_running_run_is_stopped_with_all_its_processes_and_cleans_up(windlass: Windlass) -> None:
    apply(windlass, _ENDLESS)
    serve(windlass)
    run = accepted(windlass, "endless")
    following = windlass.start("run", "logs", "--follow", run, "--step", "hang")
    line_of(following.stdout, "ready")
    asked = windlass("run", "cancel", run)
    assert asked.code == 0
    assert run in asked.stdout
    found = ended(windlass, run)
    assert found["state"] == "cancelled"
    assert found["startedAt"] <= found["cancelRequestedAt"] <= found["finishedAt"]
    assert states(windlass, run) == {
        "hang": "cancelled",
        "after": "cancelled",
        "done": "cancelled",
        "sweep": "completed",
    }
    assert log(windlass, run, "--step", "sweep") == ["swept"]
    types = [event["type"] for event in events(windlass, run, "run.*")]
    assert types[-2:] == ["run.cancel_requested", "run.cancelled"]
    hung = pids("\n".join(log(windlass, run, "--step", "hang")))
    assert len(hung) == 2
    assert left(hung) == []


@pytest.mark.promise("H11", part="running")
def test_a_run_between_two_attempts_and_one_that_holds_are_cancelled(windlass: Windlass) -> None:
    apply(windlass, f"{_RETRIED}---\n{_HOLDING}")
    serve(windlass)
    waited = {"task.retried": "retried", "task.waiting": "holding"}
    runs = {type_: accepted(windlass, job) for type_, job in waited.items()}
    for type_, run in runs.items():
        following = windlass.start("--json", "event", "tail", "--run", run, "--type", type_, "--last", "10")
        line_of(following.stdout, "{")
        _cancel(windlass, run)
        assert set(states(windlass, run).values()) == {"cancelled"}
    assert rows(windlass, runs["task.retried"])["ask"][:3] == ["⊘", "cancelled", "1/2"]


@pytest.mark.promise("H11")
def test_a_final_run_stays_as_it_is(windlass: Windlass) -> None:
    apply(windlass, f"{_QUICK}---\n{_FAILING}")
    serve(windlass)
    for job, state in (("quick", "completed"), ("failing", "failed")):
        run = accepted(windlass, job)
        before = ended(windlass, run)
        refused = windlass("run", "cancel", run)
        assert (refused.code, refused.stdout) == (2, "")
        assert f"already {state}" in refused.stderr
        assert windlass("--json", "run", "get", run).json() == before
    _cancel(windlass, cancelled := accepted(windlass, "quick", "--in", "1h"))
    assert windlass("run", "cancel", cancelled).code == 0
    types = [event["type"] for event in events(windlass, cancelled, "run.cancel*")]
    assert types == ["run.cancel_requested", "run.cancelled"]
