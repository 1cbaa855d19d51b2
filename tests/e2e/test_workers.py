"""Workers in processes of their own, as people use them: what their steps leave, and what an operator does to them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, line_of, log, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]
LEASE = {"WINDLASS_HEARTBEAT": "0.5s", "WINDLASS_LEASE": "3s"}


class Site:
    """A server without slots, and workers beside it."""

    def __init__(self, windlass: Windlass) -> None:
        """Start the server."""
        self._windlass = windlass
        self.server = serve(windlass, 0, SAID="by-nobody-else", **LEASE)

    def __call__(self, *more: str) -> subprocess.Popen[str]:
        """Start a worker, which has no secrets of its own, and wait until it takes work."""
        worker = self._windlass.start("worker", *more)
        line_of(worker.stdout, "ready")
        return worker


@pytest.fixture
def work(windlass: Windlass) -> Site:
    """Give a server without slots; called, it starts a worker."""
    return Site(windlass)


def test_a_step_elsewhere_leaves_output_files_progress_and_results_as_one_here(
    windlass: Windlass, work: Site, tmp_path: Path
) -> None:
    work("--slots", "2")
    times = tmp_path / "times"
    apply(
        windlass,
        HEAD % "all"
        + f"""steps:
  - name: make
    run: |
      echo "the token is $TOKEN"
      head -c 9000000 /dev/zero > large.bin
      echo small > small.txt
      echo once >> {times}
    env: {{TOKEN: "secret://env/SAID"}}
    artifacts: ["*.bin", "*.txt"]
  - name: kept
    dependsOn: [make]
    cache: {{key: ["1"]}}
    artifacts: ["out.txt"]
    run: |
      echo kept >> {times}
      echo result > out.txt
  - name: pause
    dependsOn: [kept]
    type: wait
    config: {{duration: 100ms}}
  - name: child
    dependsOn: [pause]
    uses: {{job: below}}
""",
    )
    (windlass.folder / "job.yaml").write_text(HEAD % "below" + "steps: [{name: a, run: 'echo below'}]\n")
    assert windlass("job", "apply", "job.yaml").code == 0
    first, second = (ended(windlass, accepted(windlass, "all")) for _ in range(2))
    assert (first["state"], second["state"]) == ("completed", "completed"), (first, second)
    assert times.read_text().split() == ["once", "kept", "once"]
    assert "make | the token is ***" in log(windlass, first["id"])
    for run in (first, second):
        files = {
            one["name"]: one["size"] for one in Socket(windlass.home)("GET", f"runs/{run['id']}/artifacts")["items"]
        }
        assert files == {"large.bin": 9_000_000, "small.txt": 6, "out.txt": 7}
    assert windlass("run", "artifacts", second["id"], "out.txt", "--output", "-").stdout == "result\n"
    staged = [path for path in (windlass.home / "workers").glob("*/artifacts/**/*") if path.is_file()]
    assert staged == []


@pytest.mark.promise("H04", part="size while it runs")
def test_workers_are_listed_sized_and_drained_while_they_run(windlass: Windlass, work: Site, tmp_path: Path) -> None:
    one, two = work("--slots", "1"), work("--slots", "3", "--pool", "batch", "--labels", "disk=fast", "--queues", "a,b")
    listed = {row["pid"]: row for row in windlass("--json", "worker", "list").json()}
    assert set(listed) == {one.pid, two.pid}
    shown = [listed[two.pid][name] for name in ("pool", "labels", "queues", "slots", "busy", "state")]
    assert shown == ["batch", {"disk": "fast"}, ["a", "b"], 3, 0, "running"]
    go, ledger = tmp_path / "go", tmp_path / "ledger"
    ledger.touch()
    step = f"steps: [{{name: a, run: 'echo x >> {ledger}; until [ -e {go} ]; do sleep 0.02; done'}}]\n"
    apply(windlass, HEAD % "hold" + step)
    runs = [accepted(windlass, "hold") for _ in range(3)]
    until(lambda: ledger.read_text().count("x") == 1, "the start of one")
    assert windlass("worker", "slots", listed[one.pid]["name"], "2").code == 0
    until(lambda: ledger.read_text().count("x") == 2, "the start of another one")
    assert windlass("worker", "drain", listed[one.pid]["name"]).code == 0
    go.touch()
    for run in runs[:2]:
        assert ended(windlass, run)["state"] == "completed"
    assert Socket(windlass.home)("GET", f"runs/{runs[2]}")["state"] == "queued"
    assert windlass("worker", "slots", listed[one.pid]["name"], "1").code == 0
    assert ended(windlass, runs[2])["state"] == "completed"


@pytest.mark.fault("F21")
def test_what_may_start_elsewhere_is_stopped_while_no_server_answers_and_the_rest_goes_on(
    windlass: Windlass, work: Site, tmp_path: Path
) -> None:
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    ledger.touch()
    work("--slots", "4")
    apply(
        windlass,
        HEAD % "two"
        + f"""steps:
  - name: again
    onWorkerLost: retry
    run: |
      trap 'echo stopped >> {ledger}; exit 1' TERM
      echo again >> {ledger}
      [ "$WINDLASS_ATTEMPT" = 2 ] || while :; do sleep 0.05; done
  - name: once
    dependsOn: []
    run: |
      echo once >> {ledger}
      until [ -e {go} ]; do sleep 0.05; done
""",
    )
    run = accepted(windlass, "two")
    until(lambda: len(ledger.read_text().split()) == 2, "both steps")
    kill(work.server)
    until(lambda: "stopped" in ledger.read_text(), "the end of the step that may start again")
    serve(windlass, 0, **LEASE)
    until(lambda: ledger.read_text().split().count("again") == 2, "its second attempt")
    go.touch()
    assert ended(windlass, run)["state"] == "completed"
    attempts = Socket(windlass.home)("GET", f"runs/{run}/executions")["items"]
    assert sorted((one["step"], one["number"], one["outcome"]) for one in attempts) == [
        ("again", 1, "lost"),
        ("again", 2, "completed"),
        ("once", 1, "completed"),
    ]


def test_a_step_of_such_a_worker_cannot_use_the_store(windlass: Windlass, work: Site) -> None:
    work("--slots", "1")
    script = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('windlass.db.sock'); "
        "s.sendall(b'GET /api/v1/workers HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'); "
        "print(s.makefile().readline().split()[1])"
    )
    run = f'cd {windlass.home}; env -i /usr/bin/python3 -c "{script}"; /usr/bin/python3 -c "{script}"'
    apply(windlass, HEAD % "spy" + f"steps:\n  - name: a\n    run: |\n      {run}\n")
    found = ended(windlass, accepted(windlass, "spy"))
    assert found["state"] == "completed"
    assert log(windlass, found["id"]) == ["a | 403", "a | 403"]


def test_a_worker_of_an_application_runs_its_code_in_place(windlass: Windlass, work: Site) -> None:
    (windlass.folder / "shop.py").write_text(
        "import os\nfrom windlass import Windlass, job\n\napp = Windlass()\n\n\n@job\nasync def who() -> dict:\n"
        "    return {'pid': os.getpid()}\n\n\napp.register(who)\n"
    )
    apply(
        windlass,
        HEAD % "who"
        + "requires: {pool: shop}\n"
        + "steps: [{name: a, type: python, config: {function: 'shop:who', isolation: inline}}]\n",
    )
    worker = work("--app", "shop:app", "--pool", "shop")
    assert ended(windlass, accepted(windlass, "who"))["outputs"] == {"pid": worker.pid}
    wrong = windlass("worker", "--app", "shop:nobody")
    assert (wrong.code, wrong.stderr.count("\n")) == (2, 1)
    assert "--app shop:nobody" in wrong.stderr


def test_two_workers_share_what_there_is(windlass: Windlass, work: Site) -> None:
    names = {f"{worker.pid}" for worker in (work("--slots", "2"), work("--slots", "2"))}
    apply(windlass, HEAD % "many" + f"steps: [{{name: a, run: 'sleep 0.05', matrix: {{n: {list(range(24))}}}}}]\n")
    run = ended(windlass, accepted(windlass, "many"))
    attempts = Socket(windlass.home)("GET", f"runs/{run['id']}/executions?limit=200")["items"]
    shares = [sum(one["worker"].endswith(f"-{pid}") for one in attempts) for pid in names]
    assert sum(shares) == 24
    assert min(shares) >= 6
