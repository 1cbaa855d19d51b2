"""Several processes on one store: the owner and its callers, `exec` and its signals."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import IO

import pytest

from tests.fixtures.program import PROGRAM, Windlass

SLOW = """\
apiVersion: v1
kind: Job
metadata: {alias: slow}
steps:
  - {name: wait, run: 'echo begin; while [ ! -e go ]; do sleep 0.05; done; echo end'}
  - {name: tidy, dependsOn: wait, triggerRule: always, run: 'echo tidied > tidied'}
"""
QUICK = """\
apiVersion: v1
kind: Job
metadata: {alias: quick}
steps: [{name: say, run: 'echo "hello $WINDLASS_PROJECT"'}]
"""


def until(stream: IO[str] | None, text: str) -> str:
    """Return what a process prints up to the line that holds `text`; its end fails the test."""
    assert stream is not None
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came, but: {read}")


def up(windlass: Windlass, *arguments: str) -> subprocess.Popen[str]:
    process = windlass.start("up", *arguments)
    assert until(process.stdout, "ready").splitlines()[-1].startswith("ready unix://")
    return process


def written(windlass: Windlass, text: str, name: str) -> Path:
    path = windlass.folder / name
    path.write_text(text)
    return path


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    process.communicate(timeout=40)
    return process.returncode


def test_up_says_ready_works_and_ends_in_good_order(windlass: Windlass, home: Path) -> None:
    server = up(windlass)
    assert windlass("job", "apply", written(windlass, QUICK, "quick.yaml")).code == 0
    said = windlass("run", "start", "quick", "--wait", "--json")
    assert (said.code, said.json()["state"]) == (0, "completed")
    assert windlass("run", "logs", said.json()["id"]).stdout == "say | hello default\n"
    assert (home / "windlass.db.sock").stat().st_mode & 0o777 == 0o600
    assert end(server) == 0
    assert not (home / "windlass.db.sock").exists()
    assert windlass("run", "get", said.json()["id"], "--json").json().items() >= said.json().items()


def test_a_second_owner_is_refused_with_the_name_of_the_first(windlass: Windlass) -> None:
    server = up(windlass)
    said = windlass("up", timeout=40)
    assert said.code == 3
    assert str(server.pid) in said.stderr


@pytest.mark.promise("H07")
def test_what_was_accepted_by_a_killed_server_runs_under_the_next(windlass: Windlass) -> None:
    server = up(windlass)
    windlass("job", "apply", written(windlass, QUICK, "quick.yaml"))
    later = windlass("run", "start", "quick", "--in", "1s", "--quiet").stdout.strip()
    server.kill()
    server.communicate()
    up(windlass)
    assert windlass("run", "watch", later, "--json", "--quiet").json()["state"] == "completed"


def test_exec_needs_no_server_and_starts_in_the_folder_of_its_file(windlass: Windlass, home: Path) -> None:
    (windlass.folder / "below").mkdir()
    written(windlass, QUICK.replace("echo", "pwd; echo"), "below/quick.yaml")
    said = windlass("exec", "below/quick.yaml")
    assert said.code == 0
    assert f"say | {windlass.folder}/below\n" in said.stdout
    assert not (home / "windlass.db.sock").exists()
    assert windlass("job", "list", "--json").json() == []
    assert len(windlass("run", "list", "--json").json()) == 1


def test_exec_under_a_server_is_run_by_it(windlass: Windlass) -> None:
    server = up(windlass, "--slots", "2")
    said = windlass("exec", "-", "--json", stdin=QUICK)
    assert said.code == 0
    run = said.json()["id"]
    worker = [
        event for event in windlass("event", "list", "--run", run, "--json").json() if event["type"] == "task.started"
    ]
    assert str(server.pid) in worker[0]["data"]["worker"]


def test_exec_tells_by_its_status_that_the_run_failed(windlass: Windlass) -> None:
    said = windlass("exec", "-", stdin=QUICK.replace("echo", "exit 7; echo"))
    assert said.code == 1
    assert "say: it ended with exit code 7" in said.stdout


@pytest.mark.promise("H11", part="running")
def test_an_interrupt_cancels_the_run_of_exec_and_its_clean_up_still_runs(windlass: Windlass) -> None:
    process = windlass.start("exec", written(windlass, SLOW, "slow.yaml"))
    until(process.stdout, "begin")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "stopping the run" in errors
    assert "cancelled" in output.splitlines()[-1]
    assert (windlass.folder / "tidied").exists()


def test_an_interrupt_of_watch_leaves_the_run_alone(windlass: Windlass) -> None:
    up(windlass)
    windlass("job", "apply", written(windlass, SLOW.replace("-e go", f"-e {windlass.folder}/go"), "slow.yaml"))
    run = windlass("run", "start", "slow", "--quiet").stdout.strip()
    watching = windlass.start("run", "watch", run, "--logs")
    until(watching.stdout, "begin")
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=40)
    assert (watching.returncode, errors.splitlines()[-1]) == (130, "windlass: interrupted")
    assert f"Run {run} goes on: `windlass run watch {run}` follows it" in errors
    assert windlass("run", "get", run, "--json").json()["state"] == "running"
    (windlass.folder / "go").touch()
    assert windlass("run", "watch", run, "--json", "--quiet").json()["state"] == "completed"


def test_two_exec_at_once_share_the_store(windlass: Windlass) -> None:
    first = windlass.start("exec", written(windlass, SLOW, "slow.yaml"))
    until(first.stdout, "begin")
    second = windlass("exec", "-", stdin=QUICK)
    assert second.code == 0
    assert "say | hello default" in second.stdout
    (windlass.folder / "go").touch()
    first.communicate(timeout=40)
    assert first.returncode == 0


def test_an_owner_stays_for_the_runs_that_others_gave_it(windlass: Windlass) -> None:
    (windlass.folder / "other").mkdir()
    first = windlass.start("exec", written(windlass, SLOW, "slow.yaml"))
    until(first.stdout, "begin")
    second = windlass.start("exec", written(windlass, SLOW.replace("slow", "late"), "other/late.yaml"))
    until(second.stdout, "begin")
    (windlass.folder / "go").touch()
    until(first.stdout, "completed in")
    (windlass.folder / "other" / "go").touch()
    second.communicate(timeout=40)
    first.communicate(timeout=40)
    assert (first.returncode, second.returncode) == (0, 0)


def test_commands_at_once_wait_for_each_other(windlass: Windlass) -> None:
    path = written(windlass, QUICK, "quick.yaml")
    processes = [windlass.start("job", "apply", path, "--json") for _ in range(4)]
    outputs = [process.communicate(timeout=50) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert sum('"quick"' in output.partition('"unchanged"')[0] for output, _ in outputs) == 1


def test_a_step_may_not_use_the_store_that_runs_it(windlass: Windlass, home: Path) -> None:
    command = f"WINDLASS_HOME={home} {PROGRAM} job list"
    said = windlass("exec", "-", stdin=QUICK.replace('echo "hello $WINDLASS_PROJECT"', command))
    assert said.code == 1
    assert 'Windlass cannot be used from inside a step (step "say" of run ' in said.stdout


@pytest.mark.parametrize("before", ["", "env -i PATH=$PATH HOME=$HOME "])
def test_a_step_has_no_store_of_its_own_either(windlass: Windlass, before: str) -> None:
    command = f"{before}windlass run list || find $HOME | wc -l"
    said = windlass("exec", "-", stdin=QUICK.replace('echo "hello $WINDLASS_PROJECT"', command))
    assert "say | windlass: Windlass cannot be used from inside a step" in said.stdout
    assert "say | 1\n" in said.stdout  # nothing was made in its home


def test_doctor_after_a_kill_says_that_nobody_works(windlass: Windlass) -> None:
    server = up(windlass)
    windlass("job", "apply", written(windlass, SLOW, "slow.yaml"))
    run = windlass("run", "start", "slow", "--quiet").stdout.strip()
    watching = windlass.start("run", "watch", run, "--logs", "--reconnect", "0")
    until(watching.stdout, "begin")
    said = {one["check"]: one["message"] for one in windlass("doctor", "--json").json()}
    assert said["owner"] == f"process {server.pid} owns the store and works"
    server.kill()  # a zombie until somebody asks for its end: it is dead all the same
    watching.communicate(timeout=40)
    doctor = windlass("doctor", "--json")
    said = {one["check"]: one["message"] for one in doctor.json()}
    assert doctor.code == 1
    assert said["owner"] == "nobody works on runs: `windlass up` does"
    assert "its worker is gone: the next `windlass up` settles it" in said["workers"]
    server.communicate()


def test_the_server_ends_running_steps_after_its_grace(windlass: Windlass) -> None:
    server = windlass.start("up", env={"WINDLASS_DRAIN_GRACE": "1s"})
    until(server.stdout, "ready")
    windlass("job", "apply", written(windlass, SLOW, "slow.yaml"))
    run = windlass("run", "start", "slow", "--quiet").stdout.strip()
    watching = windlass.start("run", "watch", run, "--logs", "--reconnect", "0")
    until(watching.stdout, "begin")
    assert end(server) == 0
    watching.communicate(timeout=40)
    again = up(windlass)
    found = windlass("run", "watch", run, "--json", "--quiet").json()
    assert (found["state"], found["error"]["reason"]) == ("failed", "worker_lost")
    assert "✓ tidy  completed" in windlass("run", "graph", run).stdout
    assert end(again) == 0


def test_exec_goes_on_where_the_process_that_ran_it_is_killed(windlass: Windlass) -> None:
    server = up(windlass)
    text = SLOW.replace("name: wait,", "name: wait, onWorkerLost: retry,")
    process = windlass.start("exec", written(windlass, text, "slow.yaml"))
    until(process.stdout, "begin")
    server.kill()
    server.communicate()
    until(process.stdout, "begin")
    (windlass.folder / "go").touch()
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert "completed in" in output


def test_a_second_interrupt_stops_the_clean_up_of_exec(windlass: Windlass) -> None:
    text = SLOW.replace("echo tidied", "echo tidying; sleep 60")
    process = windlass.start("exec", written(windlass, text, "slow.yaml"))
    until(process.stdout, "begin")
    process.send_signal(signal.SIGINT)
    until(process.stdout, "tidying")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "stopping its clean-up too" in errors


def test_waiting_is_refused_where_nobody_works(windlass: Windlass) -> None:
    windlass("job", "apply", written(windlass, QUICK, "quick.yaml"))
    refused = windlass("run", "start", "quick", "--wait")
    assert (refused.code, refused.stdout) == (3, "")
    assert refused.stderr == (
        "windlass: Nobody works on runs, so there is nothing to wait for: start `windlass up` first.\n"
    )
    assert windlass("run", "list", "--json").json() == []
    run = windlass("run", "start", "quick", "--quiet").stdout.strip()
    for arguments in (("run", "watch", run), ("run", "logs", run, "--follow"), ("event", "tail")):
        assert windlass(*arguments).code == 3
    server = up(windlass)
    assert windlass("run", "watch", run, "--json").code == 0
    assert end(server) == 0
    assert windlass("run", "watch", run, "--json", "--quiet").json()["state"] == "completed"
    assert windlass("run", "logs", run, "--follow").stdout == "say | hello default\n"
