"""Runs that wait for other runs, by the whole program."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, kill, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("H03")
_JOBS: Final = f"""\
{HEAD % "good"}steps:
  - {{name: say, run: "true"}}
---
{HEAD % "bad"}steps:
  - {{name: say, run: exit 3}}
"""


def test_runs_start_in_the_order_of_what_they_wait_for(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    first = accepted(windlass, "good")
    second = accepted(windlass, "good", "--after", first)
    third = accepted(windlass, "good", "--after", f"{second[:18]}:success", "--after", f"{first}:always")
    found = windlass("--json", "run", "get", third).json()
    assert found["state"] == "waiting"
    assert [run["id"] for run in found["waitingFor"]["runs"]] == [first, second]
    shown = windlass("run", "get", third).stdout
    assert f"run {first} of good (always), run {second} of good (success)" in " ".join(shown.split())
    listed = windlass("--json", "run", "list", "--state", "waiting").json()
    assert [run["id"] for run in listed] == [third, second]
    serve(windlass, 2)
    assert ended(windlass, third)["state"] == "completed"
    started = windlass("--json", "event", "list", "--type", "run.started").json()
    assert [event["runId"] for event in started] == [first, second, third]
    assert len(events(windlass, third, "run.waiting")) == 1


def test_a_failure_ends_what_waited_for_success_and_starts_what_waited_for_it(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    serve(windlass, 2)
    first = accepted(windlass, "bad", "--in", "1s")
    hopeful = accepted(windlass, "good", "--after", first)
    alarm = accepted(windlass, "good", "--after", f"{first}:failure")
    watched = windlass("run", "watch", hopeful)
    assert watched.code == 1
    assert f'Run {first} of job "bad", which had to complete before this one, failed.' in watched.stdout
    assert ended(windlass, hopeful)["reason"] == "dependency_failed"
    assert ended(windlass, alarm)["state"] == "completed"


def test_what_cannot_be_waited_for_is_refused_in_one_sentence(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    for after, sentence in (
        ("01900000-0000-7000-8000-000000000000", "There is no run 01900000-0000-7000-8000-000000000000."),
        ("nothing", 'There is no run "nothing"; give its id, or at least 6 digits of its beginning.'),
        ("nothing:sucess", 'There is no condition "sucess"; did you mean "success"?'),
    ):
        answer = windlass("run", "start", "good", "--after", after)
        assert answer.code == 2
        assert sentence in answer.stderr
    assert windlass("--json", "run", "list").json() == []


def test_over_http_dependencies_are_texts_or_objects(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass, 1)
    first = api("POST", "jobs/good/run", {"delay": "1h"})["id"]
    second = api("POST", "jobs/good/run", {"delay": 3600})["id"]
    waiting = api("POST", "jobs/good/run", {"dependsOn": [first, {"run": second, "condition": "always"}]})
    conditions = [run["condition"] for run in waiting["waitingFor"]["runs"]]
    assert (waiting["state"], conditions) == ("waiting", ["success", "always"])
    status, content = api.raw("POST", "jobs/good/run", b'{"dependsOn": [{"id": "x"}]}')
    assert status == 422
    assert b"dependsOn" in content
    assert api("POST", f"runs/{waiting['id']}/cancel")["state"] == "cancelled"


@pytest.mark.promise("H07")
def test_a_dependency_survives_the_death_of_the_server(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    server = serve(windlass, 1)
    first = accepted(windlass, "good", "--in", "1h")
    second = accepted(windlass, "good", "--after", f"{first}:always")
    kill(server)
    assert windlass("run", "cancel", first).code == 0
    serve(windlass, 1)
    assert ended(windlass, second)["state"] == "completed"
