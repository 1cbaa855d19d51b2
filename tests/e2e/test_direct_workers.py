"""Workers on PostgreSQL, as people use them: straight on the database, or through a server that an address names."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of, log
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]


@pytest.fixture
def address(windlass: Windlass, postgres: PostgresServer, request: pytest.FixtureRequest) -> str:
    """Start a server without slots on PostgreSQL, and return its address."""
    request.node.user_properties.append(("store", "postgres"))
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.empty()))
    server = windlass.start("up", env={"WINDLASS_WORKER_SLOTS": "0"})
    return line_of(server.stdout, "ready").split()[1]


def begin(windlass: Windlass, *more: str, **env: str) -> subprocess.Popen[str]:
    """Start a worker and wait until it takes work."""
    worker = windlass.start("worker", *more, env=env)
    line_of(worker.stdout, "ready")
    return worker


@pytest.mark.parametrize("way", ["database", "server"])
def test_a_step_leaves_output_files_and_results_whichever_way_its_worker_works(
    windlass: Windlass, address: str, tmp_path: Path, way: str
) -> None:
    env = {} if way == "database" else {"WINDLASS_URL": address, "WINDLASS_DATABASE_URL": "memory://"}
    secret = {"SAID": "by-the-worker"} if way == "database" else {}
    worker = begin(windlass, "--slots", "2", **env, **secret)
    times = tmp_path / "times"
    apply(
        windlass,
        HEAD % "all"
        + f"""requires: {{labels: {{os: linux}}}}
steps:
  - name: make
    run: |
      echo small > small.txt
      echo '##windlass::output {{"made": 1}}'
      echo made >> {times}
    artifacts: ["*.txt"]
  - name: kept
    dependsOn: [make]
    when: "${{{{ steps.make.outputs.made == 1 }}}}"
    cache: {{key: ["1"]}}
    run: echo kept >> {times}
"""
        + ("""  - {name: told, run: 'echo "it is $IT"', env: {IT: "secret://env/SAID"}}\n""" if secret else ""),
    )
    first, second = (ended(windlass, accepted(windlass, "all")) for _ in range(2))
    assert (first["state"], second["state"]) == ("completed", "completed"), (first, second)
    assert times.read_text().split() == ["made", "kept", "made"]
    assert windlass("run", "artifacts", second["id"], "small.txt", "--output", "-").stdout == "small\n"
    if secret:
        assert "told | it is ***" in log(windlass, first["id"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


@pytest.mark.promise("H04", part="size while it runs")
def test_a_worker_on_the_database_is_listed_sized_drained_and_takes_work_again(
    windlass: Windlass, address: str, tmp_path: Path
) -> None:
    assert address.startswith("unix://")
    one = begin(windlass, "--slots", "1")
    two = begin(windlass, "--slots", "3", "--pool", "batch", "--labels", "disk=fast", "--queues", "a,b")
    listed = {row["pid"]: row for row in windlass("--json", "worker", "list").json()}
    assert set(listed) == {one.pid, two.pid}
    shown = [listed[two.pid][name] for name in ("pool", "labels", "queues", "slots", "busy", "state")]
    assert shown == ["batch", {"disk": "fast"}, ["a", "b"], 3, 0, "running"]
    assert listed[two.pid]["facts"]["os"] == "linux"
    name, go, ledger = listed[one.pid]["name"], tmp_path / "go", tmp_path / "ledger"
    ledger.touch()
    step = f"steps: [{{name: a, run: 'echo x >> {ledger}; until [ -e {go} ]; do sleep 0.02; done'}}]\n"
    apply(windlass, HEAD % "hold" + step)
    runs = [accepted(windlass, "hold") for _ in range(3)]
    until(lambda: ledger.read_text().count("x") == 1, "the start of one")
    assert windlass("worker", "slots", name, "2").code == 0
    until(lambda: ledger.read_text().count("x") == 2, "the start of another one")
    assert windlass("worker", "drain", name).code == 0
    go.touch()
    for run in runs[:2]:
        assert ended(windlass, run)["state"] == "completed"
    assert windlass("run", "get", runs[2], "--json").json()["state"] == "queued"
    assert windlass("worker", "slots", name, "1").code == 0
    assert ended(windlass, runs[2])["state"] == "completed"


def test_commands_find_a_server_by_its_address(windlass: Windlass, address: str, home: Path) -> None:
    windlass.env |= {"WINDLASS_URL": address, "WINDLASS_DATABASE_URL": "memory://"}
    apply(windlass, HEAD % "there" + "steps: [{name: a, run: ':'}]\n")
    assert windlass("job", "get", "there").code == 0
    windlass.env["WINDLASS_URL"] = f"unix://{home}/nowhere.sock"
    refused = windlass("job", "list")
    assert refused.code == 3
    assert refused.stderr.count("\n") == 1
    assert "which WINDLASS_URL names" in refused.stderr
