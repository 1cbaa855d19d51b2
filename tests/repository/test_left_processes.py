"""The watch over processes that tests leave behind."""

from __future__ import annotations

import os
import signal

import pytest

LEAVES_ONE = """
import os, subprocess
def test_that_leaves_a_process(tmp_path, pytestconfig):
    process = subprocess.Popen(["sleep", "1000"], env={environment}, cwd={folder})
    (pytestconfig.rootpath / "pid").write_text(str(process.pid))
    process.returncode = 0  # the test forgets it
"""


@pytest.mark.parametrize(
    ("environment", "folder"),
    [("None", "'/'"), ("{'PLACE': str(tmp_path)}", "'/'"), ("{}", "tmp_path")],
    ids=["by mark", "by environment", "by folder"],
)
def test_a_process_that_is_left_fails_the_run_and_is_killed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, environment: str, folder: str
) -> None:
    monkeypatch.setattr("tests.fixtures.left_processes._GRACE", 0.0)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(LEAVES_ONE.format(environment=environment, folder=folder))
    result = pytester.runpytest_inprocess("-p", "tests.fixtures.left_processes")
    result.assert_outcomes(passed=1, errors=1)
    pid = int((pytester.path / "pid").read_text())
    result.stdout.fnmatch_lines([f"*processes that tests started still run: {pid} sleep 1000*"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_run_that_leaves_nothing_passes(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("import subprocess\ndef test_it(): subprocess.run(['true'], check=True)")
    pytester.runpytest_inprocess("-p", "tests.fixtures.left_processes").assert_outcomes(passed=1)
