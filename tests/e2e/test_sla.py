"""`sla`, as people meet it."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, kill, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("C19")


def test_a_late_run_is_told_of_once_over_a_crash_and_ends_as_it_would(windlass: Windlass, api: Socket) -> None:
    apply(
        windlass,
        HEAD % "late"
        + "sla: {duration: 0.2s}\nsteps:\n  - {name: a, type: wait, config: {duration: 2s}, onWorkerLost: retry}\n",
    )
    apply(windlass, HEAD % "quick" + 'sla: {duration: 1h}\nsteps:\n  - {name: a, run: "true"}\n')
    late = accepted(windlass, "late")
    kill(serve(windlass))
    serve(windlass)
    quick = accepted(windlass, "quick")
    assert ended(windlass, late)["state"] == ended(windlass, quick)["state"] == "completed"
    (event,) = events(windlass, late, "run.sla_missed")
    shown = windlass("--json", "run", "get", late).json()["sla"]
    assert event["data"] == {"sla": "duration", "due": shown["duration"]["due"]}
    assert events(windlass, quick, "run.sla_missed") == []
    assert "duration by" in windlass("run", "get", late).stdout
    assert "it should have ended by" in windlass("run", "why", late).stdout
    assert [run["id"] for run in windlass("--json", "run", "list", "--sla-missed").json()] == [late]
    assert "sla missed" in windlass("run", "list", "--job", "late").stdout
    assert [run["id"] for run in api("GET", "runs?slaMissed=true")["items"]] == [late]
