"""Workers in processes of their own: they, the server, or both are killed, stopped and started anew."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.ids import parse_id

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(180)]
STEP = '. "$EFFECTS"; begin; {}; say end'
WAIT = "until [ -e {go} ]; do sleep 0.02; done"


class Crew:
    """A server without slots, and workers beside it."""

    def __init__(self, folder: Path) -> None:
        """Prepare."""
        self.ledger = Ledger(folder / "ledger")
        self.go = folder / "go"
        self.victim = Victim(folder, self.ledger, worker_slots="0", heartbeat="0.5s", lease="3s", drain_grace="20s")
        self.workers: list[subprocess.Popen[str]] = []
        self.accepted: list[bytes] = []

    def define(self, **jobs: dict[str, Any]) -> None:
        """Store jobs of one step each; `{go}` in a script is the file that steps may wait for."""
        files = []
        for alias, step in jobs.items():
            step["run"] = STEP.format(step["run"].replace("{wait}", WAIT.format(go=self.go)))
            manifest = {
                "apiVersion": "v1",
                "kind": "Job",
                "metadata": {"alias": alias},
                "defaults": {"env": self.ledger.environment()},
                "steps": [{"name": "a", **step}],
            }
            files.append(self.ledger.path.with_name(f"{alias}.yaml"))
            files[-1].write_text(json.dumps(manifest))
        self.victim.apply(*files)

    def work(self, *more: str, slots: int = 4) -> subprocess.Popen[str]:
        """Start a worker and wait until it takes work."""
        worker = self.victim.begin("worker", "--slots", str(slots), *more)
        self.workers.append(worker)
        assert worker.stdout is not None
        for line in worker.stdout:
            if line.startswith("ready "):
                return worker
        raise AssertionError("the worker ended before it was ready")

    def start(self, client: Client, job: str) -> str:
        """Start a run and return its id."""
        found: str = client.post("jobs", job, "run", body={})["id"]
        parsed = parse_id(found)
        assert parsed is not None
        self.accepted.append(parsed)
        return found

    def phases(self, phase: str) -> int:
        """Count what was said to the ledger."""
        return sum(one.phase == phase for one in self.ledger.read())

    def living(self) -> set[int]:
        """Return the processes of steps that live: the server has their variables too, and is none."""
        server = set(self.victim.pids().values()) if self.victim.lives else set()
        return {pid for pid, _ in self.ledger.living()} - server

    def steps(self) -> set[bytes]:
        """Return the runs of which a step lives."""
        living = self.living()
        return {one.run_id for one in self.ledger.read() if one.pid in living}

    def at_rest(self, client: Client) -> None:
        """Wait until every run is final, end everything, and let the oracle look at what is left."""
        until(lambda: not open_runs(client), "the end of all runs")
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
                worker.communicate(timeout=60)
        assert self.victim.stop() == 0
        assert self.victim.problems(self.accepted, at_rest=True) == []
        assert not self.ledger.living()

    def close(self) -> None:
        """End everything that still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            out, _ = worker.communicate()
            print(out)  # noqa: T201 - shown where the test fails
        self.victim.close()
        print(self.victim.log())  # noqa: T201 - shown where the test fails


@pytest.fixture
def crew(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Crew]:
    """Give a server without slots, and a place for workers."""
    request.node.user_properties.append(("store", "sqlite"))
    found = Crew(tmp_path)
    yield found
    found.close()


def attempts(client: Client, run: str) -> list[tuple[int, str]]:
    """Return number and outcome of the attempts of a run."""
    return [(one["number"], one["outcome"]) for one in client.get("runs", run, "executions")["items"]]


@pytest.mark.fault("F1")
def test_what_a_killed_worker_ran_is_lost_and_goes_on_elsewhere_where_it_may(crew: Crew) -> None:
    crew.define(once={"run": "{wait}"}, again={"run": "{wait}", "onWorkerLost": "retry"})
    client = crew.victim.start()
    worker = crew.work()
    once, again = crew.start(client, "once"), crew.start(client, "again")
    until(lambda: crew.phases("start") == 2, "the start of both steps")
    worker.kill()
    worker.wait()
    until(lambda: not crew.living(), "the end of what it had started")
    crew.work()
    until(lambda: crew.phases("start") == 3, "the second start of the one that may")
    crew.go.touch()
    until(lambda: not open_runs(client), "the end of all runs")
    assert client.get("runs", once)["reason"] == "worker_lost"
    assert attempts(client, once) == [(1, "lost")]
    assert attempts(client, again) == [(1, "lost"), (2, "completed")]
    crew.at_rest(client)


@pytest.mark.fault("F2")
def test_steps_of_a_worker_go_on_while_the_server_is_killed_and_starts_anew(crew: Crew) -> None:
    crew.define(once={"run": "{wait}; echo told"})
    client = crew.victim.start()
    crew.work()
    run = crew.start(client, "once")
    until(lambda: crew.phases("start") == 1, "the start of the step")
    crew.victim.kill("owner")
    client = crew.victim.start()
    assert client.get("runs", run)["state"] == "running"
    crew.go.touch()
    until(lambda: client.get("runs", run)["state"] == "completed", "the end of the run")
    assert attempts(client, run) == [(1, "completed")]
    crew.at_rest(client)


@pytest.mark.fault("F2")
def test_when_server_and_worker_are_killed_nothing_is_lost_or_started_twice(crew: Crew) -> None:
    crew.define(once={"run": "{wait}"}, again={"run": "{wait}", "onWorkerLost": "retry"})
    client = crew.victim.start()
    worker = crew.work()
    once, again = crew.start(client, "once"), crew.start(client, "again")
    until(lambda: crew.phases("start") == 2, "the start of both steps")
    crew.victim.kill("owner")
    worker.kill()
    worker.wait()
    until(lambda: not crew.living(), "the end of what it had started")
    client = crew.victim.start()
    crew.work()
    crew.go.touch()
    until(lambda: not open_runs(client), "the end of all runs")
    assert attempts(client, once) == [(1, "lost")]
    assert attempts(client, again) == [(1, "lost"), (2, "completed")]
    crew.at_rest(client)


@pytest.mark.fault("F22")
@pytest.mark.promise("H04", part="drain")
def test_a_worker_that_is_asked_to_end_lets_its_steps_end_and_leaves_the_rest_to_others(crew: Crew) -> None:
    crew.define(once={"run": "{wait}"})
    client = crew.victim.start()
    worker = crew.work(slots=1)
    first, second = crew.start(client, "once"), crew.start(client, "once")
    until(lambda: crew.phases("start") == 1, "the start of a step")
    worker.terminate()
    other = crew.work(slots=1)
    until(lambda: crew.phases("start") == 2, "the start of the other one elsewhere")
    crew.go.touch()
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    until(lambda: not open_runs(client), "the end of all runs")
    assert attempts(client, first) == attempts(client, second) == [(1, "completed")]
    names = {one["name"] for one in client.get("workers")["items"]}
    assert names == {name for name in names if name.endswith(f"-{other.pid}")}
    crew.at_rest(client)


@pytest.mark.fault("F22")
@pytest.mark.promise("H04", part="drain")
def test_a_second_request_stops_what_a_worker_runs(crew: Crew) -> None:
    crew.define(once={"run": "sleep 98765.$TOKEN"})
    client = crew.victim.start()
    worker = crew.work()
    run = crew.start(client, "once")
    until(lambda: crew.phases("start") == 1, "the start of the step")
    worker.terminate()
    until(lambda: worker.poll() is not None or _asked(client, worker), "the first request to be heard")
    worker.terminate()
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    until(lambda: not open_runs(client), "the end of the run")
    assert client.get("runs", run)["reason"] == "worker_lost"
    crew.at_rest(client)


def _asked(client: Client, worker: subprocess.Popen[str]) -> bool:
    """Say whether a worker has no signal pending any more: what it was asked it has heard."""
    del client
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    pending = int(next(line for line in lines if line.startswith("ShdPnd:")).split()[1], 16)
    return not pending & 1 << signal.SIGTERM - 1


@pytest.mark.fault("F22")
def test_a_worker_as_the_first_process_of_a_container_hears_signals_and_reaps_orphans(
    crew: Crew,
) -> None:
    unshare = shutil.which("unshare")
    assert unshare is not None, "unshare is missing: apt-get install util-linux"
    crew.define(orphan={"run": "(setsid sh -c 'sleep 0.1' &) ; true"}, once={"run": "{wait}"})
    client = crew.victim.start()
    before = crew.victim.before
    crew.victim.before = [unshare, "--pid", "--fork", "--mount-proc", "--kill-child"]
    worker = crew.work()
    crew.victim.before = before
    crew.start(client, "orphan")
    until(lambda: not open_runs(client), "the end of the run")
    run = crew.start(client, "once")
    until(lambda: crew.phases("start") == 2, "the start of the step")
    first = int(Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()[0])
    zombies = [
        line
        for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("State:\tZ")
    ]
    assert zombies == []
    os.kill(first, signal.SIGTERM)
    crew.go.touch()
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert attempts(client, run) == [(1, "completed")]
    crew.at_rest(client)


@pytest.mark.fault("F10")
def test_a_server_that_stands_still_for_longer_than_a_lease_takes_no_worker_for_gone(crew: Crew) -> None:
    crew.define(once={"run": "{wait}"}, again={"run": "{wait}", "onWorkerLost": "retry"})
    client = crew.victim.start()
    crew.work()
    once, again = crew.start(client, "once"), crew.start(client, "again")
    until(lambda: crew.phases("start") == 2, "the start of both steps")
    server = crew.victim.pids()["owner"]
    os.kill(server, signal.SIGSTOP)
    until(
        lambda: len(crew.ledger.read()) == 2 and len(crew.steps()) == 1, "the end of the step that may start elsewhere"
    )
    os.kill(server, signal.SIGCONT)
    until(lambda: crew.phases("start") == 3, "its second start")
    crew.go.touch()
    until(lambda: not open_runs(client), "the end of all runs")
    assert attempts(client, once) == [(1, "completed")]
    assert attempts(client, again) == [(1, "lost"), (2, "completed")]
    crew.at_rest(client)


@pytest.mark.fault("F10")
def test_a_worker_that_stands_still_for_longer_than_a_lease_gives_up_what_others_have(crew: Crew) -> None:
    crew.define(again={"run": "{wait}", "onWorkerLost": "retry"})
    client = crew.victim.start()
    still = crew.work()
    run = crew.start(client, "again")
    until(lambda: crew.phases("start") == 1, "the start of the step")
    os.kill(still.pid, signal.SIGSTOP)
    until(lambda: attempts(client, run) == [(1, "lost")], "the end of its lease")
    os.kill(still.pid, signal.SIGCONT)
    until(lambda: crew.phases("start") == 2, "the second start")
    crew.go.touch()
    until(lambda: not open_runs(client), "the end of all runs")
    assert attempts(client, run) == [(1, "lost"), (2, "completed")]
    assert crew.phases("overlap") == 0
    crew.at_rest(client)


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    "moment",
    [
        "exchange_once+claims written",
        "exchange_once+claims committed",
        "exchange_once+reports written",
        "exchange_once+reports committed",
        "exchange_once+reports+claims committed",
        "start written",
        "start committed",
        "start answered",
        "join committed",
        "exchange answered#3",
        "logs answered",
    ],
)
def test_a_server_that_dies_between_a_commit_and_its_answer_starts_nothing_twice(crew: Crew, moment: str) -> None:
    crew.define(plain={"run": "echo out; sleep 0.05"}, held={"run": "echo out", "when": "${{ 1 < 2 }}"})
    client = crew.victim.start_doomed(DOOM=moment)
    assert client is not None
    worker = crew.victim.begin("worker", "--slots", "2")
    crew.workers.append(worker)
    for number in range(10):
        with suppress(Unavailable):
            crew.start(client, ("plain", "held")[number % 2])
    until(lambda: not crew.victim.lives, f"the moment {moment}")
    crew.victim.wait()
    client = crew.victim.start()
    until(lambda: not open_runs(client), "the end of all runs")
    assert {run["state"] for run in client.pages("runs")} == {"completed"}
    assert {number for run in client.pages("runs") for number, _ in attempts(client, run["id"])} == {1}
    crew.at_rest(client)


@pytest.mark.fault("F3")
@pytest.mark.parametrize("seed", range(3))
def test_under_random_kills_of_everybody_no_step_starts_twice_unasked(crew: Crew, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's own chance
    crew.define(
        short={"run": "sleep 0.0$((RANDOM % 10))", "onWorkerLost": "retry"},
        plain={"run": ":"},
        long={"run": "sleep 0.5", "onWorkerLost": "retry"},
    )
    client = crew.victim.start()
    crew.work()
    crew.work()
    for _ in range(6):
        begun = crew.phases("start")
        for _ in range(8):
            crew.start(client, chance.choice(("short", "plain", "long")))
        until(lambda begun=begun: crew.phases("start") > begun, "some start")  # type: ignore[misc]
        who = chance.choice(("server", "worker", "worker", "both"))
        if who in {"worker", "both"}:
            living = [one for one in crew.workers if one.poll() is None]
            doomed = chance.choice(living)
            doomed.kill()
            doomed.wait()
        if who in {"server", "both"}:
            crew.victim.kill("owner")
            client = crew.victim.start()
        if sum(one.poll() is None for one in crew.workers) < 2:
            crew.work()
    crew.at_rest(client)
