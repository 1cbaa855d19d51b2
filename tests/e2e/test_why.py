"""`run why`, as a person and a program ask it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, line_of, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("W03")

_LOAD = f"""\
{HEAD % "load"}steps:
  - {{name: ask, run: exit 3, retry: {{attempts: 2, delay: 0}}}}
  - {{name: use, dependsOn: ask, run: "true"}}
  - {{name: tell, dependsOn: use, run: "true"}}
"""


def kinds(explained: dict[str, Any]) -> list[str]:
    found, causes = [], explained["because"]
    while causes:
        found.append(causes[0]["kind"])
        causes = causes[0].get("because", [])
    return found


def test_a_failed_run_is_explained_in_sentences_and_as_json(windlass: Windlass) -> None:
    apply(windlass, _LOAD)
    serve(windlass)
    run = accepted(windlass, "load")
    ended(windlass, run)
    assert windlass("run", "why", run).stdout.splitlines() == [
        f"Run {run[:18]} of load: ✗ failed",
        '  Step "ask" failed.',
        "    Attempt 2 of 2 failed: it ended with exit code 3.",
    ]
    lines = windlass("run", "why", run, "--step", "tell").stdout.splitlines()
    assert lines[0] == "Step tell: − skipped"  # noqa: RUF001 - a minus sign, as everywhere
    assert lines[-1].strip() == "Attempt 2 of 2 failed: it ended with exit code 3."
    explained = windlass("--json", "run", "why", run, "--step", "tell").json()
    assert kinds(explained) == ["trigger_rule", "step", "trigger_rule", "step", "attempt"]
    wrong = windlass("run", "why", run, "--step", "aks")
    assert (wrong.code, 'did you mean "ask"?' in wrong.stderr) == (2, True)


def test_without_a_server_it_says_that_nobody_works(windlass: Windlass) -> None:
    apply(windlass, _LOAD)
    run = accepted(windlass, "load")
    explained = windlass("--json", "run", "why", run).json()
    assert (explained["subject"], explained["state"]) == ({"run": run, "job": "load"}, "queued")
    assert kinds(explained) == ["step", "no_worker"]
    waits = windlass("run", "why", run, "--step", "use").stdout
    assert 'Step "ask" is in the queue.' in waits


def test_http_says_the_same(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _LOAD)
    serve(windlass)
    run = accepted(windlass, "load")
    ended(windlass, run)
    assert api("GET", f"runs/{run}/why") == windlass("--json", "run", "why", run).json()
    assert kinds(api("GET", f"runs/{run}/why?step=ask")) == ["attempt"]
    status, problem = api.raw("GET", f"runs/{run}/why?key=x")
    assert (status, b"give the step too" in problem) == (422, True)
    assert api.raw("GET", f"runs/{run}/why?step=no")[0] == 404


@pytest.mark.promise("W03")
def test_who_starts_or_follows_a_run_that_cannot_begin_is_told_why(windlass: Windlass) -> None:
    job = HEAD + 'concurrency: {limit: 1, strategy: %s}\nsteps: [{name: say, run: "true"}]\n'
    apply(windlass, "---\n".join(job % (name, name) for name in ("queue", "skip")))
    serve(windlass, 2)
    assert windlass("queue", "pause", "default", "--why", "Move to Host2").code == 0
    first = accepted(windlass, "queue")
    second = windlass("run", "start", "queue")
    assert "is waiting. It waits for the only place (concurrency), held by " in second.stdout
    assert first in second.stdout
    holder = accepted(windlass, "skip")
    skipped = windlass("run", "start", "skip")
    assert skipped.code == 0, "it was accepted, and skipped as its job wants"
    assert "is cancelled. Its job lets 1 run go on at one time and skips the others" in skipped.stdout
    assert holder in skipped.stdout
    watched = windlass.start("run", "watch", first)
    line = line_of(watched.stdout, f"run {first} of queue is queued")
    assert 'Queue "default" is paused since ' in line
    assert "(Move to Host2)" in line
    assert windlass("queue", "resume", "default").code == 0
    assert ended(windlass, first)["state"] == "completed"
