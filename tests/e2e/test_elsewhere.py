"""Commands on a PostgreSQL store from a home without a server: who works is what the store says, not who is here."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]


@pytest.fixture
def there(windlass: Windlass, postgres: PostgresServer, request: pytest.FixtureRequest) -> dict[str, str]:
    """Name a store in PostgreSQL, and return what sets the home of processes elsewhere."""
    request.node.user_properties.append(("store", "postgres"))
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.empty()))
    return {"WINDLASS_HOME": f"{windlass.home}-elsewhere"}


def test_a_run_is_waited_for_that_others_work_on(windlass: Windlass, there: dict[str, str]) -> None:
    assert windlass("db", "upgrade").code == 0
    apply(windlass, HEAD % "say" + "steps: [{name: a, run: echo said}]\n")
    refused = windlass("run", "start", "say", "--wait")
    assert (refused.code, "Nobody works on runs, so there is nothing to wait for" in refused.stderr) == (3, True)
    lonely = windlass("run", "start", "say")
    assert lonely.stderr == "Nobody works on runs: `windlass up` does.\n"
    told = {one["check"]: one["message"] for one in windlass("doctor", "--json").json()}
    assert told["owner"] == "nobody works on runs: `windlass up` does"
    line_of(windlass.start("worker", "--slots", "1", env=there).stdout, "ready")
    waited = windlass("run", "start", "say", "--wait")
    assert (waited.code, "✓ Run" in waited.stdout) == (0, True), waited
    followed = windlass("run", "logs", "--follow", accepted(windlass, "say"))
    assert (followed.code, followed.stdout) == (0, "a | said\n")
    assert windlass("run", "start", "say").stderr == ""
    told = {one["check"]: one["message"] for one in windlass("doctor", "--json").json()}
    assert told["owner"].startswith("1 at work: ")
    assert told["server"].startswith("no server is there, only workers")
    assert [one["state"] for one in windlass("--json", "worker", "list").json()] == ["running"]


def test_what_no_worker_takes_is_said_with_the_command_that_starts_one(
    windlass: Windlass, there: dict[str, str]
) -> None:
    line_of(windlass.start("up", env=there | {"WINDLASS_WORKER_SLOTS": "0"}).stdout, "ready")
    apply(windlass, HEAD % "far" + "requires: {pool: gpu}\nsteps: [{name: a, run: 'true'}]\n")
    started = windlass("run", "start", "far")
    assert started.stderr == "Nobody works on runs: `windlass worker --pool gpu` does.\n"
    assert "start `windlass worker --pool gpu`" in windlass("doctor").stdout
    assert windlass("queue", "pause", "default").code == 0
    assert "start `windlass worker --pool gpu`" in windlass("run", "why", accepted(windlass, "far")).stdout
    line_of(windlass.start("worker", "--pool", "gpu", env=there).stdout, "ready")
    held = windlass("run", "start", "far")
    assert 'is queued. Queue "default" is paused' in held.stdout, held


def test_a_worker_that_was_asked_to_end_is_seen_from_elsewhere(
    windlass: Windlass, there: dict[str, str], tmp_path: Path
) -> None:
    worker = windlass.start("worker", "--slots", "2", env=there | {"WINDLASS_DRAIN_GRACE": "100s"})
    line_of(worker.stdout, "ready")
    go, begun = tmp_path / "go", tmp_path / "begun"
    apply(
        windlass,
        HEAD % "hold" + f"steps: [{{name: a, run: 'touch {begun}; until [ -e {go} ]; do sleep 0.02; done'}}]\n",
    )
    run = accepted(windlass, "hold")
    until(begun.exists, "the step")
    worker.send_signal(signal.SIGTERM)
    until(lambda: [one["state"] for one in windlass("--json", "worker", "list").json()] == ["ending"], "its state")
    (seen,) = windlass("--json", "worker", "list").json()
    assert (seen["draining"], seen["busy"], seen["silentSince"]) == (True, 1, None)
    waits = windlass("run", "why", accepted(windlass, "hold")).stdout
    assert "Every worker that serves it was told to take no more" in waits
    assert windlass("worker", "slots", seen["name"], "3").code == 0
    assert windlass("--json", "worker", "get", seen["name"]).json()["state"] == "ending", "it stays so"
    assert "nobody takes work: 1 drains" in windlass("doctor").stdout
    go.touch()
    assert worker.wait(30) == 0
    assert ended(windlass, run)["state"] == "completed"
    assert windlass("--json", "worker", "list").json() == []
