"""Runs that are deleted, by the whole program."""

from __future__ import annotations

import json
import signal
from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, line_of, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

_JOBS: Final = f"""\
{HEAD % "good"}steps:
  - {{name: say, run: "echo word; echo file > kept.txt", artifacts: ["*.txt"]}}
---
{HEAD % "slow"}steps:
  - {{name: sleep, run: "exec sleep 1000"}}
---
{HEAD % "stubborn"}steps:
  - {{name: sleep, run: "trap '' TERM; echo begun; while :; do sleep 0.1; done"}}
"""


def _stubborn(windlass: Windlass) -> str:
    """Return a run that takes its time to end."""
    run = accepted(windlass, "stubborn")
    logs = windlass.start("run", "logs", run, "--follow")
    line_of(logs.stdout, "sleep | begun")
    logs.kill()
    logs.communicate()
    return run


@pytest.mark.promise("O10")
def test_a_deletion_goes_on_without_the_command_and_through_a_kill(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    server = serve(windlass, 2)
    run, other = _stubborn(windlass), _stubborn(windlass)
    asked = windlass("--json", "run", "delete", run, "--no-wait")
    assert (asked.code, asked.json()) == (0, [{"id": run, "job": "stubborn", "deleted": False}])
    assert api("GET", f"runs/{run}")["deleting"] is True
    status, body = api.raw("DELETE", f"runs/{other}")
    assert (status, json.loads(body)["deleting"]) == (202, True)
    waiting = windlass.start("run", "delete", run)
    line_of(waiting.stderr, f"windlass: Run {run} of stubborn is asked to stop")
    waiting.send_signal(signal.SIGINT)
    assert "The deletion goes on without this command." in waiting.communicate()[1]
    kill(server)
    serve(windlass, 2)
    gone = windlass("run", "delete", run)
    assert gone.code in {0, 2}
    until(lambda: windlass("--json", "run", "list").json() == [], "the deletion")


def test_runs_are_deleted_with_all_they_left_live_ones_too(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass, 1)
    run = accepted(windlass, "good")
    ended(windlass, run)
    assert (windlass.home / "artifacts" / run).exists()
    slow = accepted(windlass, "slow")
    assert windlass("run", "delete", run, slow).code == 0
    assert not (windlass.home / "artifacts" / run).exists()
    assert windlass("--json", "run", "list").json() == []
    assert api.raw("DELETE", f"runs/{run}")[0] == 404
    third = accepted(windlass, "good", "--in", "1h")
    assert api.raw("DELETE", f"runs/{third}") == (204, b"")


@pytest.mark.promise("O10")
def test_of_several_things_all_are_found_before_anything_is_done_to_one(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    serve(windlass, 1)
    live = accepted(windlass, "slow")
    for verb in ("delete", "cancel"):
        refused = windlass("run", verb, live, "01234567")
        assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert "There is no run whose id begins with 01234567" in refused.stderr
    run = windlass("--json", "run", "get", live).json()
    assert (run["finishedAt"], run["cancelRequestedAt"], run["deleting"]) == (None, None, False)
    for verb in ("disable", "enable", "delete"):
        for wrong in ("nothing", "slow@1"):
            refused = windlass("job", verb, "good", wrong)
            assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused.stderr
    jobs = {job["alias"]: job["enabled"] for job in windlass("--json", "job", "list").json()}
    assert jobs == {"good": True, "slow": True, "stubborn": True}
    assert windlass("queue", "pause", "side", "No!").code == 2
    assert [queue["name"] for queue in windlass("--json", "queue", "list").json()] == ["default"]
    # What is named twice is done once.
    assert windlass("run", "delete", live, live[:20]).stdout == f"Run {live} of slow is deleted.\n"
    assert windlass("job", "delete", "good", "good").stdout == "Deleted good.\n"
