"""What the bench starts ends with it, and with its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import children
from bench.children import ROOT, clear_up, measured, new_folder
from bench.ending import bound, kill_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def lives(pid: int) -> bool:
    """Say whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not so():
        assert time.monotonic() < end, f"not within 30 s: {what}"
        time.sleep(0.01)


def until_gone(pid: int) -> None:
    until(lambda: not lives(pid), f"{pid} has ended")


def test_a_program_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        measured("tests.bench.hanging", "any", {"told": str(told)}, patience=5)
    until_gone(int(told.read_text()))


def test_a_tree_is_killed_that_ended_or_not() -> None:
    process = subprocess.Popen(["sleep", "1000"])  # noqa: S607 - any sleep
    kill_tree(process)
    assert process.returncode == -signal.SIGKILL
    kill_tree(process)


def test_a_bound_process_ends_when_who_started_it_is_killed() -> None:
    started = f"subprocess.Popen({bound(['sleep', '1000'])}).pid"
    code = f"import signal, subprocess\nprint({started}, flush=True)\nsignal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        below = int(parent.stdout.readline())
        until(lambda: Path(f"/proc/{below}/comm").read_text() == "sleep\n", "it is what was asked for")
        parent.kill()
    until_gone(below)


def test_folders_of_benches_that_were_killed_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PEERS", tmp_path)
    gone = subprocess.Popen(["true"])  # noqa: S607 - any that ends
    gone.wait()
    (tmp_path / f"windlass-postgres-{gone.pid}-abc" / "data").mkdir(parents=True)
    (tmp_path / "pgqueuer").mkdir()
    with new_folder("redis") as ours:
        clear_up()
        assert sorted(one.name for one in tmp_path.iterdir()) == ["pgqueuer", Path(ours).name]


def test_who_is_told_to_end_does_what_stands_in_finally(tmp_path: Path) -> None:
    code = (
        "import signal\nfrom pathlib import Path\nfrom bench.ending import end_when_told\nend_when_told()\n"
        "try:\n    print('ready', flush=True)\n    signal.pause()\n"
        f"finally:\n    Path({str(tmp_path / 'done')!r}).touch()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        os.kill(parent.pid, signal.SIGTERM)
    assert parent.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "done").exists()
