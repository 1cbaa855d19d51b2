"""Figures of runs and the health of jobs and parts, by the installed program and over HTTP."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, serve
from tests.fixtures.program import Windlass


@pytest.mark.promise("H09")
@pytest.mark.promise("O05", part=("statistics", "health"))
def test_runs_are_counted_over_a_restart_and_jobs_say_how_they_are(windlass: Windlass, api: Socket) -> None:
    apply(windlass, HEAD % "good" + "steps: [{name: a, run: echo}]\n")
    apply(windlass, HEAD % "bad" + "steps: [{name: a, run: exit 3, retry: {attempts: 2, delay: 0.01}}]\n")
    server = serve(windlass)
    for job in ("good", "good", "bad"):
        ended(windlass, accepted(windlass, job))
    assert api("GET", "statistics")["counts"] == {"completed": 2, "failed": 1}
    kill(server)
    serve(windlass)
    ended(windlass, accepted(windlass, "good"))
    whole = api("GET", "statistics?since=2020-01-01T00:00:00Z")
    assert (whole["runs"], whole["successRate"]) == (4, 0.75)
    bad = windlass("--json", "job", "get", "bad", "--statistics", "--since", "1h").json()
    assert (bad["counts"], bad["attempts"], bad["durations"]["p50"] > 0) == ({"failed": 1}, 2, True)
    assert "ended      3 completed\n" in windlass("job", "get", "good", "--statistics").stdout
    listed = windlass("job", "list", "--health").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["JOB", "HEALTH"], ["bad", "failing"], ["good", "healthy"]]
    health = api("GET", "health")
    assert (health["status"], {part["status"] for part in health["parts"]}) == ("ok", {"ok"})
    assert {"store", "writer", "workers", "timer", "supervisor", "disk"} < {part["name"] for part in health["parts"]}
