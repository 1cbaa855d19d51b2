"""Jobs that limit themselves, by the whole program, also when it is killed in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

#: Writes who is at work, so that two at once are seen.
_STEP: Final = """\
steps:
  - name: work
    onWorkerLost: retry
    env: {MARKS: %s}
    run: |
      mkdir "$MARKS/busy" 2> /dev/null || [ "$WINDLASS_ATTEMPT" -gt 1 ] || echo overlap >> "$MARKS/told"
      echo "$WINDLASS_RUN_ID" >> "$MARKS/told"
      sleep 0.1
      rm -rf "$MARKS/busy"
"""


@pytest.mark.promise("C19")
def test_one_run_of_a_job_at_a_time_in_order_also_after_a_kill(windlass: Windlass, tmp_path: Path) -> None:
    apply(windlass, (HEAD % "alone") + "concurrency: {limit: 1}\n" + _STEP % tmp_path)
    runs = [accepted(windlass, "alone") for _ in range(5)]
    waiting = windlass("--json", "run", "get", runs[2]).json()
    assert (waiting["state"], waiting["reason"]) == ("waiting", "concurrency")
    assert (waiting["waitingFor"]["holders"], waiting["waitingFor"]["ahead"]) == ([runs[0]], 1)
    assert f"a place among 1, held by {runs[0]}; 1 wait before it" in windlass("run", "get", runs[2]).stdout
    server = serve(windlass, 4)
    assert ended(windlass, runs[0])["state"] == "completed"
    kill(server)
    serve(windlass, 4)
    assert [ended(windlass, run)["state"] for run in runs] == ["completed"] * 5
    told = (tmp_path / "told").read_text().split()
    assert list(dict.fromkeys(told)) == runs


@pytest.mark.promise("C19")
def test_the_other_strategies(windlass: Windlass, api: Socket) -> None:
    step = "steps: [{name: work, run: exec sleep 1000}]\n"
    texts = [(HEAD % name) + f"concurrency: {{strategy: {name}}}\n" + step for name in ("skip", "fail", "replace")]
    apply(windlass, "---\n".join(texts))
    serve(windlass, 8)
    first = {name: accepted(windlass, name) for name in ("skip", "fail", "replace")}
    skipped = ended(windlass, accepted(windlass, "skip"))
    assert (skipped["state"], skipped["reason"]) == ("cancelled", "concurrency_skip")
    refused = windlass("run", "start", "fail")
    assert refused.code == 2
    assert f'Job "fail" allows one run at a time, and run {first["fail"]} goes on' in refused.stderr
    assert api.raw("POST", "jobs/fail/run", b"{}")[0] == 409
    second = accepted(windlass, "replace")
    replaced = ended(windlass, first["replace"])
    assert replaced["state"] == "cancelled"
    for run in (first["skip"], first["fail"], second):
        windlass("run", "cancel", run)
        assert ended(windlass, run)["state"] == "cancelled"


@pytest.mark.promise("H04", part="limits")
@pytest.mark.promise("H04", part="size while it runs")
@pytest.mark.promise("H04", part="drain")
@pytest.mark.promise("H12")
def test_an_operator_pauses_limits_drains_and_keeps_maintenance(windlass: Windlass) -> None:
    apply(windlass, (HEAD % "quick") + 'steps: [{name: say, run: "true"}]\n')
    server = serve(windlass, 2)
    worker = windlass("--json", "worker", "list").json()[0]["name"]
    assert windlass("queue", "pause", "default", "--why", "disk is full").code == 0
    run = accepted(windlass, "quick")
    assert "disk is full" in windlass("queue", "list").stdout
    assert windlass("--json", "run", "get", run).json()["state"] == "queued"
    assert windlass("queue", "resume", "default").code == 0
    assert ended(windlass, run)["state"] == "completed"
    assert windlass("--json", "queue", "limit", "default", "1").json()["limit"] == 1
    assert windlass("queue", "limit", "default", "0").code == 2
    assert windlass("worker", "slots", worker, "5").code == 0
    assert windlass("--json", "worker", "list").json()[0]["slots"] == 5
    assert windlass("worker", "drain", worker).code == 0
    assert "draining" in windlass("worker", "list").stdout
    assert windlass("worker", "drain", "nobody").code == 2
    assert windlass("worker", "slots", worker, "1").code == 0
    assert windlass("maintenance", "on", "--why", "Move of DB to host2").code == 0
    waiting = accepted(windlass, "quick")
    doctor = windlass("doctor").stdout
    assert "maintenance is on since" in doctor
    assert "Move of DB to host2" in doctor
    refused = windlass("exec", "job.yaml")
    assert (refused.code, "Maintenance is on since 20" in refused.stderr) == (2, True)
    assert "(Move of DB to host2): nothing" in refused.stderr, "the words of the operator stay as they are"
    kill(server)
    serve(windlass, 2)
    assert windlass("--json", "run", "get", waiting).json()["state"] == "queued", "it outlives the server"
    assert windlass("maintenance", "off").code == 0
    assert ended(windlass, waiting)["state"] == "completed"


@pytest.mark.promise("C19")
def test_so_many_starts_in_a_window_also_after_a_kill(windlass: Windlass, api: Socket) -> None:
    rates = "rateLimits: [{resource: mail, limit: 3, window: 2s}]\n"
    step = 'steps: [{name: send, run: "sleep 0.05", onWorkerLost: retry}]\n'
    apply(windlass, f"{HEAD % 'letters'}{rates}{step}---\n{HEAD % 'bills'}queue: other\n{rates}{step}")
    server = serve(windlass, 8)
    runs = [accepted(windlass, name) for name in ("letters", "bills") * 4]
    (cause,) = windlass("--json", "run", "why", runs[-1], "--step", "send").json()["because"]
    assert (cause["kind"], cause["resource"], cause["limit"], cause["window"]) == ("rate_limit", "mail", 3, 2)
    assert (
        'It takes "mail", of which 3 of 3 were taken within 2s; there is room again at'
        in windlass("run", "why", runs[-1]).stdout
    )
    listed = windlass("queue", "list").stdout
    assert "mail 3/3 in 2s" in listed
    queues = windlass("--json", "queue", "list").json()
    assert {(queue["name"], queue["rateLimits"][0]["resource"]) for queue in queues} == {
        ("default", "mail"),
        ("other", "mail"),
    }
    kill(server)
    serve(windlass, 8)
    assert [ended(windlass, run)["state"] for run in runs] == ["completed"] * 8
    attempts = [one for run in runs for one in api("GET", f"runs/{run}/executions")["items"]]
    times = sorted(datetime.fromisoformat(one["startedAt"]) for one in attempts)
    assert len(times) >= 8
    assert all(later - first >= timedelta(seconds=2) for first, later in zip(times, times[3:], strict=False)), times


@pytest.mark.promise("H04", part="limits")
def test_so_many_runs_of_a_project(windlass: Windlass) -> None:
    windlass.env["WINDLASS_MAX_RUNS"] = "2"
    apply(windlass, (HEAD % "brief") + 'steps: [{name: say, run: "sleep 0.2"}]\n')
    runs = [accepted(windlass, "brief") for _ in range(5)]
    waiting = windlass("--json", "run", "get", runs[4]).json()
    assert (waiting["state"], waiting["reason"], waiting["waitingFor"]["ahead"]) == ("waiting", "max_runs", 2)
    assert f"a place among 2, held by {runs[0]}, {runs[1]}; 2 wait before it" in windlass("run", "get", runs[4]).stdout
    assert "No more than 2 runs go on in its project at one time" in windlass("run", "why", runs[4]).stdout
    assert windlass("exec", "job.yaml").code == 0, "what runs here and now is not held back by what nobody serves"
    server = serve(windlass, 4)
    assert ended(windlass, runs[0])["state"] == "completed"
    kill(server)
    serve(windlass, 4)
    assert [ended(windlass, run)["finishedAt"] is not None for run in runs] == [True] * 5


@pytest.mark.promise("H12")
def test_a_pause_of_a_queue_that_nobody_uses_is_done_and_told(windlass: Windlass) -> None:
    apply(windlass, (HEAD % "side") + 'queue: side\nsteps: [{name: say, run: "true"}]\n')
    paused = windlass("queue", "pause", "nosuch")
    assert (paused.code, "No job or task uses a queue nosuch yet." in paused.stderr) == (0, True)
    assert [queue["name"] for queue in windlass("--json", "queue", "list").json()] == ["nosuch"]
    assert "uses a queue" not in windlass("queue", "pause", "side").stderr
    assert "uses a queue" not in windlass("queue", "pause", "default").stderr
    for queue in ("nosuch", "side", "default"):
        assert "is not paused" not in windlass("queue", "resume", queue).stderr
    again = windlass("queue", "resume", "nosuch")
    assert (again.code, "Queue nosuch is not paused." in again.stderr, "Resumed" in again.stdout) == (0, True, False)
    assert windlass("--json", "queue", "list").json() == []


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["queue", "limit", "side", "-1"], "A number below 0 makes no sense here."),
        (["worker", "slots", "w", "-12"], "A number below 0 makes no sense here."),
        (["worker", "slots", "w", "1000000"], "1000000 is not in the range 1<=x<=10000."),
        (["queue", "requeue", "--job", "x"], "--job goes with --all."),
        (["queue", "requeue", "--queue", "x", "one"], "--queue goes with --all."),
        (["queue", "requeue"], "Name tasks or runs to queue again, or give --all, and not both."),
    ],
)
def test_what_makes_no_sense_to_an_operator_is_one_sentence(
    windlass: Windlass, command: list[str], sentence: str
) -> None:
    said = windlass(*command)
    assert (said.code, said.stdout) == (2, "")
    assert sentence in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.promise("H12")
@pytest.mark.promise("W03")
def test_why_names_a_pause_maintenance_and_who_fills_a_queue(windlass: Windlass) -> None:
    apply(windlass, (HEAD % "slow") + "steps: [{name: work, run: exec sleep 1000}]\n")
    serve(windlass, 4)
    assert windlass("queue", "limit", "default", "1").code == 0
    first, second = accepted(windlass, "slow"), accepted(windlass, "slow")

    def cause() -> dict[str, Any]:
        found: dict[str, Any] = windlass("--json", "run", "why", second, "--step", "work").json()["because"][0]
        return found

    until(lambda: windlass("--json", "run", "get", first).json()["state"] == "running", "the first one")
    full = cause()
    assert (full["kind"], full["queue"], full["limit"], full["holders"]) == ("queue_limit", "default", 1, [first])
    assert windlass("queue", "pause", "default", "--why", "disk").code == 0
    paused = cause()
    assert (paused["kind"], paused["why"]) == ("queue_paused", "disk")
    assert "is paused since" in windlass("run", "why", second).stdout
    assert windlass("maintenance", "on", "--why", "Move of DB to host2").code == 0
    on = cause()
    assert (on["kind"], on["why"]) == ("maintenance", "Move of DB to host2")
    for run in (first, second):
        windlass("run", "cancel", run)
