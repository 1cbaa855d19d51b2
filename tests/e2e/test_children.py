"""Runs that steps start, by the whole program."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, executed, line_of, log, serve, states
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("K08")
_VERIFY: Final = f"""\
{HEAD % "verify"}parameters:
  region: {{type: string}}
  token: {{type: string, secret: true, default: none}}
steps:
  - name: look
    run: |
      echo "looking at $WINDLASS_PARAM_REGION"
      echo '##windlass::output {{"found": "'$WINDLASS_PARAM_REGION'"}}'
"""
_PARENT: Final = f"""\
{HEAD % "release"}steps:
  - name: verify
    matrix: {{region: [eu, us]}}
    uses: {{job: verify, with: {{region: "${{{{ matrix.region }}}}"}}}}
  - name: tell
    dependsOn: verify
    run: echo "found ${{{{ steps.verify.items['eu'].outputs.found }}}}"
"""
_SLOW: Final = f"""\
{HEAD % "slow"}steps:
  - {{name: sleep, run: "echo asleep; exec sleep 1000"}}
---
{HEAD % "waits"}steps:
  - {{name: child, uses: {{job: slow}}}}
"""
_UNDOES: Final = f"""\
{HEAD % "undo"}steps:
  - {{name: begin, run: "echo undoing; [ $WINDLASS_PARAM_HOW = quick ] || exec sleep 1000"}}
  - {{name: sweep, triggerRule: always, run: echo swept}}
---
{HEAD % "deploys"}steps:
  - {{name: deploy, run: "echo deploying; exec sleep 1000"}}
  - name: undo
    triggerRule: always
    uses: {{job: undo, with: {{how: "${{{{ default(parameters.how, 'quick') }}}}"}}}}
"""


def test_steps_start_runs_and_use_what_they_gave(windlass: Windlass, api: Socket) -> None:
    apply(windlass, f"{_VERIFY}---\n{_PARENT}")
    lint = windlass("job", "lint", "job.yaml")
    assert "not yet in force: job" not in lint.stdout + lint.stderr
    serve(windlass, 1)  # one slot is enough: who waits holds none
    run = accepted(windlass, "release")
    found = ended(windlass, run)
    assert (found["state"], found["counts"]) == ("completed", {"completed": 3})
    assert windlass("run", "logs", run).stdout.strip().endswith("found eu")
    children = api("GET", f"runs/{run}/children")["items"]
    assert [child["trigger"]["key"] for child in children] == ["us", "eu"]
    assert {child["parentId"] for child in children} == {run}
    assert [child["id"] for child in found["children"]] == [child["id"] for child in children]
    assert f"{children[0]['id']}  verify:1" in windlass("run", "get", run).stdout
    assert f"parent      {run}" in windlass("run", "get", children[0]["id"]).stdout


def test_exec_runs_the_children_of_its_run_too(windlass: Windlass) -> None:
    apply(windlass, _VERIFY)
    run = executed(windlass, _PARENT)
    assert (run["state"], run["counts"]) == ("completed", {"completed": 3})


def test_a_cancel_goes_down_to_the_child(windlass: Windlass) -> None:
    apply(windlass, _SLOW)
    serve(windlass, 1)
    run = accepted(windlass, "waits")
    follower = windlass.start("event", "tail", "--type", "task.started", "--last", "10")
    line_of(follower.stdout, "")
    child = None
    while child is None:
        children = windlass("--json", "run", "get", run).json()["children"]
        child = next((one["id"] for one in children if one["state"] == "running"), None)
    graph = windlass("run", "graph", run).stdout
    assert f'run {child} of job "slow"' in graph
    assert windlass("run", "cancel", run).code == 0
    assert ended(windlass, run)["state"] == "cancelled"
    assert ended(windlass, child)["state"] == "cancelled"


def _undoing(windlass: Windlass, *more: str) -> str:
    """Cancel a run that is at work, and return it."""
    apply(windlass, _UNDOES)
    serve(windlass, 1)
    run = accepted(windlass, "deploys", *more)
    line_of(windlass.start("run", "logs", "--follow", run, "--step", "deploy").stdout, "deploying")
    assert windlass("run", "cancel", run).code == 0
    return run


@pytest.mark.promise("H11", part="running")
def test_clean_up_starts_a_run_after_a_cancel(windlass: Windlass) -> None:
    run = _undoing(windlass)
    found = ended(windlass, run)
    assert (found["state"], found["counts"]) == ("cancelled", {"cancelled": 1, "completed": 1})
    (child,) = found["children"]
    assert ended(windlass, child["id"])["state"] == "completed"
    assert [line.split()[-1] for line in log(windlass, child["id"])] == ["undoing", "swept"]


@pytest.mark.promise("H11", part="running")
def test_a_second_cancel_stops_the_run_that_clean_up_started(windlass: Windlass) -> None:
    run = _undoing(windlass, "-p", "how=slow")
    child = ""
    while not child:
        children = windlass("--json", "run", "get", run).json()["children"]
        child = next((one["id"] for one in children if one["state"] == "running"), "")
    line_of(windlass.start("run", "logs", "--follow", child, "--step", "begin").stdout, "undoing")
    assert windlass("run", "cancel", run).code == 0
    assert ended(windlass, run)["state"] == "cancelled"
    assert states(windlass, run) == {"deploy": "cancelled", "undo": "cancelled"}
    assert states(windlass, child) == {"begin": "cancelled", "sweep": "cancelled"}


def test_a_secret_goes_only_where_it_is_declared(windlass: Windlass) -> None:
    apply(windlass, _VERIFY)
    step = "uses: {job: verify, with: {region: eu, %s: 'secret://env/B2_TOKEN'}}"
    for name, state in (("token", "completed"), ("region", "failed")):
        text = f"{HEAD % 'given'}steps:\n  - {{name: v, {step % name}}}\n".replace("region: eu, region", "region")
        (windlass.folder / "given.yaml").write_text(text)
        answer = windlass("--json", "exec", "given.yaml", env={"B2_TOKEN": "tell-nobody-123"})
        run = answer.json()
        assert run["state"] == state, run
        assert "tell-nobody-123" not in answer.stdout + answer.stderr
        if state == "failed":
            assert '"region" would be given a secret; the job must declare it' in run["error"]["message"]
