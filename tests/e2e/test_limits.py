"""Jobs that limit themselves, by the whole program, also when it is killed in between."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, serve
from tests.fixtures.program import Windlass

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


@pytest.mark.promise("H04")
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
    assert "drains" in windlass("worker", "list").stdout
    assert windlass("worker", "drain", "nobody").code == 2
    assert windlass("worker", "slots", worker, "1").code == 0
    assert windlass("maintenance", "on", "--why", "new disks").code == 0
    waiting = accepted(windlass, "quick")
    doctor = windlass("doctor").stdout
    assert "maintenance is on since" in doctor
    assert "new disks" in doctor
    refused = windlass("exec", "job.yaml")
    assert (refused.code, "Maintenance is on" in refused.stderr) == (2, True)
    kill(server)
    serve(windlass, 2)
    assert windlass("--json", "run", "get", waiting).json()["state"] == "queued", "it outlives the server"
    assert windlass("maintenance", "off").code == 0
    assert ended(windlass, waiting)["state"] == "completed"
