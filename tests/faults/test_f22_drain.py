"""F22: an owner is asked to end while it works; F28: a step ends its owner each time."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from windlass.client.client import Client
from windlass.ids import parse_id

STEP = '. "$EFFECTS"; begin; {}; say end'


@pytest.fixture
def victim(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Victim]:
    """Give an owner with few slots and a short grace."""
    request.node.user_properties.append(("store", "sqlite"))
    found = Victim(tmp_path, Ledger(tmp_path / "ledger"), worker_slots="4", drain_grace="2s")
    yield found
    found.close()
    print(found.log())  # noqa: T201 - shown where the test fails


def define(victim: Victim, **jobs: dict[str, Any]) -> None:
    """Store jobs of one step each."""
    files = []
    for alias, step in jobs.items():
        manifest = {
            "apiVersion": "v1",
            "kind": "Job",
            "metadata": {"alias": alias},
            "defaults": {"env": victim.ledger.environment()},
            "steps": [{"name": "a", **step}],
        }
        files.append(victim.ledger.path.with_name(f"{alias}.yaml"))
        files[-1].write_text(json.dumps(manifest))
    victim.apply(*files)


def start(client: Client, job: str) -> bytes:
    """Start a run."""
    run_id = parse_id(client.post("jobs", job, "run", body={})["id"])
    assert run_id is not None
    return run_id


def ends(client: Client) -> dict[str, tuple[str, str | None]]:
    """Return state and reason of all runs by their job."""
    return {run["job"]: (run["state"], run["reason"]) for run in client.pages("runs")}


def phases(victim: Victim, phase: str) -> int:
    """Count what was said to the ledger."""
    return sum(one.phase == phase for one in victim.ledger.read())


@pytest.mark.fault("F22")
@pytest.mark.promise("H04", part="drain")
def test_a_request_to_end_lets_short_steps_end_and_stops_the_others(victim: Victim) -> None:
    define(
        victim,
        short={"run": STEP.format("sleep 0.5")},
        endless={"run": STEP.format("sleep 98765.$TOKEN")},
        again={"run": STEP.format('[ "$WINDLASS_ATTEMPT" = 2 ] || sleep 98765.$TOKEN'), "onWorkerLost": "retry"},
    )
    client = victim.start()
    accepted = [start(client, job) for job in ("short", "endless", "again")]
    until(lambda: phases(victim, "start") == 3, "the start of all steps")
    assert victim.stop() == 0
    assert not victim.ledger.living()
    assert victim.problems(accepted) == []
    client = victim.start()
    until(lambda: not open_runs(client), "the end of all runs")
    assert ends(client) == {
        "short": ("completed", None),
        "endless": ("failed", "worker_lost"),
        "again": ("completed", None),
    }
    assert victim.stop() == 0
    assert victim.problems(accepted, at_rest=True) == []


@pytest.mark.fault("F22")
@pytest.mark.promise("H04", part="drain")
def test_a_second_request_does_not_wait(tmp_path: Path) -> None:
    victim = Victim(tmp_path, Ledger(tmp_path / "ledger"), drain_grace="1h")
    try:
        define(victim, endless={"run": STEP.format("sleep 98765.$TOKEN")})
        client = victim.start()
        accepted = [start(client, "endless")]
        until(lambda: phases(victim, "start") == 1, "the start of the step")
        victim.ask_to_end()
        assert victim.stop() == 0
        assert not victim.ledger.living()
        assert victim.problems(accepted, at_rest=True) == []
    finally:
        victim.close()


@pytest.mark.fault("F22")
@pytest.mark.promise("H04", part="drain")
def test_f22_who_was_asked_to_end_takes_nothing_more(tmp_path: Path) -> None:
    victim = Victim(tmp_path, Ledger(tmp_path / "ledger"), worker_slots="1", drain_grace="20s")
    try:
        define(victim, short={"run": STEP.format("sleep 1")}, next={"run": STEP.format(":")})
        client = victim.start()
        accepted = [start(client, "short")]
        until(lambda: phases(victim, "start") == 1, "the start of the step")
        accepted.append(start(client, "next"))
        assert victim.stop() == 0
        assert (phases(victim, "start"), phases(victim, "end")) == (1, 1)
        assert victim.problems(accepted) == []
        client = victim.start()
        until(lambda: not open_runs(client), "the end of all runs")
        assert set(ends(client).values()) == {("completed", None)}
        assert victim.stop() == 0
        assert victim.problems(accepted, at_rest=True) == []
    finally:
        victim.close()


@pytest.mark.fault("F28")
@pytest.mark.promise("H07")
def test_a_step_that_ends_its_worker_each_time_is_set_aside(victim: Victim) -> None:
    owner = victim.ledger.path.with_name("owner")
    kill = f'until [ -s {owner} ]; do sleep 0.02; done; kill -9 "$(cat {owner})"; sleep 98765.$TOKEN'
    define(victim, poison={"run": STEP.format(kill), "onWorkerLost": "retry"}, good={"run": STEP.format(":")})
    client = victim.start()
    accepted = [start(client, "poison")]
    for number in (1, 2, 3):
        owner.write_text(str(victim.pids()["owner"]))
        assert victim.wait() == -signal.SIGKILL
        owner.unlink()
        assert phases(victim, "start") == number
        assert not victim.ledger.living()
        assert victim.problems(accepted) == []
        client = victim.start()
    accepted.append(start(client, "good"))
    until(lambda: not open_runs(client), "the end of all runs")
    assert ends(client) == {"poison": ("failed", "quarantined"), "good": ("completed", None)}
    assert victim.stop() == 0
    assert victim.problems(accepted, at_rest=True) == []
