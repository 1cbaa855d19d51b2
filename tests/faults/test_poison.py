"""A step that ends what it runs in, time after time, is set aside with the dead letters; the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, kill, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H05"), pytest.mark.fault("F28"), pytest.mark.timeout(180)]
#: The parent of a step's process is the supervisor.
POISON = "steps:\n  - {{name: a, onWorkerLost: retry, run: 'echo x >> {ledger}; kill -9 $PPID; exec sleep 98765'}}\n"


def answered(windlass: Windlass, *arguments: str) -> Any:
    """Return what a command answers: just after a supervisor was lost the server asks everybody to come again."""
    found: list[Any] = []

    def ask() -> bool:
        answer = windlass("--json", *arguments)
        if answer.code == 3 and "try again in a moment" in answer.stderr:
            return False
        assert answer.code == 0, answer.stderr
        found.append(answer.json())
        return True

    until(ask, "an answer")
    return found[0]


def final(windlass: Windlass, run: str) -> dict[str, Any]:
    """Wait until a run is final, and return it."""
    until(lambda: answered(windlass, "run", "get", run)["finishedAt"] is not None, "the end of the run")
    found: dict[str, Any] = answered(windlass, "run", "get", run)
    return found


def attempts(windlass: Windlass, run: str) -> list[tuple[int, str]]:
    found = Socket(windlass.home)("GET", f"runs/{run}/executions")["items"]
    return [(one["number"], one["outcome"]) for one in found]


def test_a_step_that_kills_its_supervisor_is_a_dead_letter_after_the_third_time(
    windlass: Windlass, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    apply(windlass, HEAD % "poison" + POISON.format(ledger=ledger))
    serve(windlass)
    run = accepted(windlass, "poison")
    assert final(windlass, run)["state"] == "failed"
    assert attempts(windlass, run) == [(1, "lost"), (2, "lost"), (3, "lost")]
    assert ledger.read_text().split() == ["x"] * 3
    (letter,) = answered(windlass, "queue", "dead")
    assert (letter["runId"], letter["step"], letter["reason"]) == (run, "a", "quarantined")
    assert "its workers were lost too often in a row" in windlass("run", "why", run).stdout.lower()
    (windlass.folder / "good.yaml").write_text(HEAD % "good" + "steps:\n  - {name: a, run: echo fine}\n")
    assert windlass("job", "apply", "good.yaml").code == 0
    assert ended(windlass, accepted(windlass, "good"))["state"] == "completed"
    assert windlass("doctor").code == 0
    # By hand it gets as many chances again, in a run of its own.
    (again,) = answered(windlass, "queue", "requeue", run)
    assert final(windlass, again["newRunId"])["state"] == "failed"
    assert ledger.read_text().split() == ["x"] * 6


def test_what_ran_beside_it_is_not_set_aside_with_it(windlass: Windlass, tmp_path: Path) -> None:
    ledger, quiet = tmp_path / "ledger", tmp_path / "quiet"
    poison = "steps:\n  - {name: a, onWorkerLost: retry, run: 'sleep 0.5; echo x >> %s; kill -9 $PPID; sleep 98765'}\n"
    # They take longer than it needs to end what they run in: they are lost with it, time after time.
    innocent = "steps:\n  - {name: a, onWorkerLost: retry, run: 'echo x >> %s; sleep 1'}\n"
    apply(windlass, HEAD % "innocent" + innocent % quiet)
    (windlass.folder / "poison.yaml").write_text(HEAD % "poison" + poison % ledger)
    assert windlass("job", "apply", "poison.yaml").code == 0
    serve(windlass)
    before = [accepted(windlass, "innocent") for _ in range(2)]
    run = accepted(windlass, "poison")
    behind = [answered(windlass, "run", "start", "innocent")["id"] for _ in range(2)]
    assert final(windlass, run)["reason"] == "quarantined"
    assert [final(windlass, one)["state"] for one in (*before, *behind)] == ["completed"] * 4
    assert ledger.read_text().split() == ["x"] * 3
    (letter,) = answered(windlass, "queue", "dead")
    assert letter["runId"] == run


def test_losses_are_counted_over_restarts_of_the_server(windlass: Windlass, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    step = "steps:\n  - {name: a, onWorkerLost: retry, run: 'echo x >> %s; exec sleep 98765'}\n"
    apply(windlass, HEAD % "long" + step % ledger)
    server = serve(windlass, WINDLASS_DRAIN_GRACE="0s")
    run = accepted(windlass, "long")
    for number in (1, 2):
        until(lambda number=number: ledger.exists() and len(ledger.read_text().split()) == number, "an attempt")
        kill(server)
        server = serve(windlass, WINDLASS_DRAIN_GRACE="0s")
    until(lambda: len(ledger.read_text().split()) == 3, "the third attempt")
    # Ended in good order, the worker stops the step: that is no fault of the step's.
    server.terminate()
    server.communicate()
    server = serve(windlass, WINDLASS_DRAIN_GRACE="0s")
    until(lambda: len(ledger.read_text().split()) == 4, "the fourth attempt")
    assert windlass("--json", "queue", "dead").json() == []
    kill(server)
    serve(windlass)
    assert ended(windlass, run)["state"] == "failed"
    assert attempts(windlass, run) == [(number, "lost") for number in (1, 2, 3, 4)]
    (lost, *_) = events(windlass, run, "task.lost")[::-1]
    assert lost["data"]["reason"] == "quarantined"
    (letter,) = windlass("--json", "queue", "dead").json()
    assert letter["runId"] == run
