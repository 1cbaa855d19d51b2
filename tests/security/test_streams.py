"""Standard streams that are closed, full or nobody's: no traceback, no descriptor of the store in their place."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.program import PROGRAM, Answer, Windlass
from tests.security.stage import OK, job, written

BASH = shutil.which("bash") or "bash"
FULL = "windlass: Standard output cannot be written: No space left on device.\n"


def shell(windlass: Windlass, script: str) -> Answer:
    """Run a script of bash in which W stands for the program."""
    text = script.replace("W ", f"{shlex.quote(str(PROGRAM))} ")
    done = subprocess.run(
        [BASH, "-c", text],
        env=windlass.env,
        cwd=windlass.folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "nexpected" not in done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_commands_do_without_closed_streams(windlass: Windlass, home: Path, closed: str) -> None:
    written(windlass, OK, "ok.yaml")
    assert shell(windlass, f"W job apply ok.yaml {closed}").code == 0
    assert shell(windlass, f"W exec ok.yaml {closed}").code == 0
    assert shell(windlass, f"W job lint nothing.yaml {closed}").code == 2
    assert windlass("db", "check").code == 0
    assert [job["alias"] for job in windlass("job", "list", "--json").json()] == ["ok"]
    assert (home / "windlass.db").read_bytes()[:15] == b"SQLite format 3"


def test_closed_standard_input_is_an_empty_text(windlass: Windlass) -> None:
    said = shell(windlass, "W job lint - <&-")
    assert (said.code, said.stdout) == (1, "-:1:1: the text holds no document\n")


@pytest.mark.parametrize("command", ["version", "config", "job list --json", "job lint bad.yaml", "event list"])
def test_full_standard_output_is_one_sentence(windlass: Windlass, command: str) -> None:
    written(windlass, OK.replace("steps", "stops"), "bad.yaml")
    written(windlass, OK, "ok.yaml")
    windlass("job", "apply", "ok.yaml")
    windlass("run", "start", "ok")
    said = shell(windlass, f"W {command} >/dev/full")
    assert (said.code, said.stderr) == (3, FULL)


def test_full_standard_error_changes_nothing(windlass: Windlass) -> None:
    written(windlass, OK, "ok.yaml")
    said = shell(windlass, "W exec ok.yaml 2>/dev/full")
    assert said.code == 0
    assert "a | hi\n" in said.stdout
    assert shell(windlass, "W job lint nothing.yaml 2>/dev/full").code == 2
    assert shell(windlass, "W version >/dev/full 2>&1").code == 3


def test_a_reader_that_goes_away_is_no_error(windlass: Windlass) -> None:
    written(windlass, OK.replace("hi", "$(seq 20000)"), "ok.yaml")
    assert windlass("exec", "ok.yaml").code == 0
    for command in ("event list --json", "--help", "config", "job schema"):
        said = shell(windlass, f"set -o pipefail; W {command} | head -1; echo ${{PIPESTATUS[0]}}")
        assert (said.stdout.splitlines()[1:], said.stderr) == (["0"], ""), command


@pytest.mark.promise("H11")
@pytest.mark.parametrize("reader", ["| head -1", ">/dev/full"])
def test_a_run_that_nobody_reads_of_is_stopped_and_cleaned_up(windlass: Windlass, reader: str) -> None:
    steps = "[{name: wait, run: 'while :; do echo x; sleep 0.01; done'}, {name: tidy, run: 'touch tidied', %s}]"
    written(windlass, job(steps % "dependsOn: wait, triggerRule: always"), "job.yaml")
    said = shell(windlass, f"W exec job.yaml {reader}")
    assert "nobody reads the output any more, stopping the run" in said.stderr
    assert [run["state"] for run in windlass("run", "list", "--json").json()] == ["cancelled"]
    assert (windlass.folder / "tidied").exists()
