"""Timeouts by the command line: what is asked for, the default, the maximum, and that no process is left."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, events, left, log, pids, rows, serve, states
from tests.fixtures.program import Windlass

_HANGING: Final = (
    HEAD % "hanging"
    + """\
steps:
  - name: hang
    timeout: 2s
    run: |
      sleep 600 &
      echo "pid $!"
      setsid sleep 600 &
      echo "pid $!"
      wait
"""
)
#: A tree of three generations that all ignore the request to end, the last in a session of its own.
_STUBBORN: Final = (
    HEAD % "stubborn"
    + """\
steps:
  - name: hang
    timeout: 3s
    run: |
      trap '' TERM
      echo "pid $$"
      sh -c '
        trap "" TERM
        echo "pid $$"
        setsid sh -c "trap \\"\\" TERM; echo pid \\$\\$; while :; do sleep 600; done" &
        while :; do sleep 600; done
      ' &
      while :; do sleep 600; done
  - {name: after, dependsOn: hang, triggerRule: all_done, run: echo after}
"""
)
_UNSAID: Final = (
    HEAD % "unsaid"
    + """\
steps:
  - {name: unsaid, run: sleep 600}
  - {name: short, dependsOn: unsaid, triggerRule: all_done, timeout: 250ms, run: sleep 600}
  - {name: long, dependsOn: short, triggerRule: all_done, timeout: 12h, run: sleep 600}
"""
)
_WHOLE: Final = (
    HEAD % "whole"
    + """\
timeout: 1s
steps:
  - {name: hang, run: sleep 600}
  - {name: after, dependsOn: hang, triggerRule: all_done, run: echo after}
  - {name: sweep, dependsOn: hang, triggerRule: always, run: echo swept}
"""
)


@pytest.mark.promise("H06", part="processes")
def test_a_timeout_ends_every_process_of_the_step(windlass: Windlass) -> None:
    apply(windlass, _HANGING)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "hanging"))
    assert (run["state"], run["counts"]) == ("failed", {"timeout": 1})
    assert rows(windlass, run["id"])["hang"][1] == "timeout"
    hung = pids("\n".join(log(windlass, run["id"], "--step", "hang")))
    assert len(hung) == 2
    assert left(hung) == []


@pytest.mark.slow
@pytest.mark.promise("H06", part="processes")
def test_a_tree_that_ignores_the_request_to_end_is_killed(windlass: Windlass) -> None:
    apply(windlass, _STUBBORN)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "stubborn"))
    assert states(windlass, run["id"]) == {"hang": "timeout", "after": "completed"}
    hung = pids("\n".join(log(windlass, run["id"], "--step", "hang")))
    assert len(hung) == 3
    assert left(hung) == []


@pytest.mark.promise("H06", part="default and maximum")
def test_a_step_gets_the_default_where_it_says_nothing_and_never_more_than_the_maximum(windlass: Windlass) -> None:
    apply(windlass, _UNSAID)
    serve(windlass, WINDLASS_DEFAULT_TIMEOUT="500ms", WINDLASS_MAX_TIMEOUT="750ms")
    run = ended(windlass, accepted(windlass, "unsaid"))
    assert states(windlass, run["id"]) == {"unsaid": "timeout", "short": "timeout", "long": "timeout"}
    shown = windlass("run", "get", run["id"]).stdout
    for said in ("timeout of 0.5 s", "timeout of 0.25 s", "timeout of 0.75 s"):
        assert said in shown


@pytest.mark.promise("H06", part="default and maximum")
@pytest.mark.parametrize("by", ["job", "setting"])
def test_a_run_past_its_own_time_is_stopped_and_cleans_up(windlass: Windlass, by: str) -> None:
    apply(windlass, _WHOLE if by == "job" else _WHOLE.replace("timeout: 1s\n", ""))
    serve(windlass, **({} if by == "job" else {"WINDLASS_RUN_DEADLINE": "1s"}))
    run = ended(windlass, accepted(windlass, "whole"))
    assert run["state"] == "timeout"
    found = states(windlass, run["id"])
    assert (found["hang"], found["sweep"]) == ("timeout", "completed")
    assert found["after"] != "completed"
    assert events(windlass, run["id"], "run.*")[-1]["type"] == "run.timeout"
