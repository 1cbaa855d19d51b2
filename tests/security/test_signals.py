"""Signals at any moment: runs are asked to stop, clean-up steps run, nothing is left behind, no traceback."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.fixtures.left_processes import ends, processes_of
from tests.fixtures.program import PROGRAM, Windlass
from tests.security.stage import job, until, up, written

ENDLESS = "while :; do sleep 0.02; done"
STEPS = (
    f"[{{name: wait, run: 'echo begin; (setsid sh -c \"{ENDLESS}\" &); {ENDLESS}'}}, "
    "{name: tidy, run: 'echo tidied > tidied', dependsOn: wait, triggerRule: always}]"
)
NOHUP = shutil.which("nohup") or "nohup"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def left(windlass: Windlass) -> list[int]:
    """Return the processes of a test that still run and do not end by themselves."""
    deadline = time.monotonic() + 10
    return [pid for pid in processes_of("nobody's", windlass.home.parent) if not ends(pid, deadline)]


@pytest.mark.promise("H11")
@pytest.mark.parametrize("number", SIGNALS)
def test_exec_stops_its_run_and_cleans_up(windlass: Windlass, number: signal.Signals) -> None:
    process = windlass.start("exec", written(windlass, job(STEPS), "job.yaml"))
    until(process.stdout, "begin")
    process.send_signal(number)
    output, errors = process.communicate(timeout=40)
    assert process.returncode == 1
    assert errors == "windlass: interrupted, stopping the run; Ctrl-C again to hurry\n"
    assert "cancelled" in output.splitlines()[-1]
    assert (windlass.folder / "tidied").exists()
    assert left(windlass) == []


def test_the_second_signal_stops_the_clean_up_and_the_third_leaves(windlass: Windlass) -> None:
    steps = STEPS.replace("echo tidied > tidied", f"echo tidies; {ENDLESS}")
    process = windlass.start("exec", written(windlass, job(steps), "job.yaml"))
    until(process.stdout, "begin")
    process.send_signal(signal.SIGINT)
    until(process.stdout, "tidies")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "stopping its clean-up too" in errors
    assert left(windlass) == []
    assert [run["state"] for run in windlass("run", "list", "--json").json()] == ["cancelled"]


@pytest.mark.parametrize("seed", range(6))
def test_signals_at_any_moment_leave_nothing_behind(windlass: Windlass, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - a moment, no secret
    process = windlass.start("exec", written(windlass, job(STEPS), "job.yaml"))
    moment = chance.choice(["home", "database", "begin"])
    if moment == "begin":
        until(process.stdout, "begin")
    else:
        place = windlass.home if moment == "home" else windlass.home / "windlass.db"
        while not place.exists():
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
    for _ in range(chance.randint(1, 4)):
        if process.poll() is None:
            process.send_signal(chance.choice(SIGNALS))
    output, errors = process.communicate(timeout=40)
    assert process.returncode in {1, 130, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT}, errors
    assert "Traceback" not in errors
    assert "unexpected" not in errors
    assert left(windlass) == [], output
    assert windlass("db", "check").code == 0


def test_nohup_stays_in_force(windlass: Windlass) -> None:
    steps = "[{name: wait, run: 'echo begin; while [ ! -e go ]; do sleep 0.02; done'}]"
    written(windlass, job(steps), "job.yaml")
    with subprocess.Popen(
        [NOHUP, PROGRAM, "exec", "job.yaml"],
        env=windlass.env,
        cwd=windlass.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        until(process.stdout, "begin")
        process.send_signal(signal.SIGHUP)
        (windlass.folder / "go").touch()
        output, _ = process.communicate(timeout=40)
    assert process.returncode == 0, output


@pytest.mark.promise("H07")
@pytest.mark.parametrize("number", SIGNALS)
def test_up_ends_in_good_order_and_further_signals_hurry(windlass: Windlass, number: signal.Signals) -> None:
    server = up(windlass, WINDLASS_DRAIN_GRACE="1h")
    windlass("job", "apply", written(windlass, job(STEPS), "job.yaml"))
    run = windlass("run", "start", "job", "--quiet").stdout.strip()
    watching = windlass.start("run", "watch", run, "--logs", "--reconnect", "0")
    until(watching.stdout, "begin")
    while server.poll() is None:
        server.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.2)
    _, errors = server.communicate(timeout=40)
    assert "Asked to end: tasks that run (1) have 3600 s, a second signal stops them" in errors
    _, told = watching.communicate(timeout=40)
    assert server.returncode in {0, -number}, errors  # the last one may come when all is done
    assert "Traceback" not in errors + told
    assert left(windlass) == []
    assert not (windlass.home / "windlass.db.sock").exists()
    assert windlass("db", "check").code == 0


def test_watching_leaves_the_run_alone(windlass: Windlass, home: Path) -> None:
    up(windlass)
    windlass("job", "apply", written(windlass, job(STEPS), "job.yaml"))
    run = windlass("run", "start", "job", "--quiet").stdout.strip()
    for number in SIGNALS:
        watching = windlass.start("run", "watch", run, "--logs")
        until(watching.stdout, "begin")
        watching.send_signal(number)
        _, errors = watching.communicate(timeout=40)
        assert watching.returncode in {130, -number}
        assert "Traceback" not in errors
    assert windlass("run", "get", run, "--json").json()["state"] == "running"
    assert (home / "windlass.db.sock").exists()
    windlass("run", "cancel", run)
