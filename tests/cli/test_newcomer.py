"""What a newcomer asks first, and what silence would leave open: what became of it, why there is nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_runs import applied, started
from tests.fixtures.program import PROGRAM, Windlass
from tests.security.stage import HEAD, up, written

WAITS = HEAD % "held" + "steps: [{name: hold, type: wait, config: {duration: 1h}}]\n"


def test_a_deleted_job_still_lists_its_runs_and_tells_which_go_on(cli: Cli) -> None:
    Path("held.yaml").write_text(WAITS)
    cli("job", "apply", "held.yaml")
    runs = [cli("run", "start", "held", "--quiet").stdout.strip() for _ in range(2)]
    said = cli("job", "delete", "held")
    assert said.stdout == (
        "Deleted held; 2 runs of it that have not ended go on, and `windlass run cancel RUN` stops one.\n"
    )
    assert {run["id"] for run in cli("run", "list", "--job", "held", "--json").json()} == set(runs)
    gone = 'windlass: Job "held" was deleted: apply its manifest again to bring it back.\n'
    for command in (("run", "start"), ("job", "get"), ("job", "delete")):
        again = cli(*command, "held")
        assert (again.code, again.stderr) == (2, gone)
    for run in runs:
        cli("run", "cancel", run)
    cli("job", "apply", "held.yaml")
    assert cli("job", "delete", "held").stdout == "Deleted held.\n"


def test_runs_of_a_manifest_that_was_never_stored_are_listed_by_its_name(cli: Cli) -> None:
    text = HEAD % "once" + "steps: [{name: a, run: ':'}]\n"
    run = cli("exec", "-", "--json", stdin=text.encode()).json()
    assert [one["id"] for one in cli("run", "list", "--job", "once", "--json").json()] == [run["id"]]


def test_a_key_that_stands_for_a_run_already_says_so(cli: Cli) -> None:
    applied(cli, "keyed")
    first = cli("run", "start", "keyed", "--key", "k1", "--quiet").stdout
    again = cli("run", "start", "keyed", "--key", "k1")
    assert again.code == 0
    assert re.fullmatch(
        rf"Run {first.strip()} is \w+: the key stands for it already, and no other was started\.\n", again.stdout
    )
    assert cli("run", "start", "keyed", "--key", "k1", "--quiet").stdout == first
    waited = cli("run", "start", "keyed", "--key", "k1", "--wait")
    assert waited.stderr == f"windlass: The key stands for run {first.strip()} already; no other was started.\n"
    assert "created" not in cli("run", "start", "keyed", "--key", "k1", "--json").json()


def test_a_scheduled_run_shows_its_time_in_the_list(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    run = cli("run", "start", applied(cli, "later"), "--at", "2100-05-06T07:08:00Z", "--quiet").stdout.strip()
    told = cli("run", "list", "--job", "later").stdout
    assert "DUE" in told
    assert "2100-05-06 07:08" in told
    cli("run", "cancel", run)


def test_filters_of_output_that_fit_nothing_say_so(cli: Cli) -> None:
    run = started(cli, applied(cli, "quiet"))
    said = cli("run", "logs", run["id"], "--step", "after", "--attempt", "7")
    assert (said.code, said.stdout) == (0, "")
    assert said.stderr == "windlass: There is no output of step after, attempt 7.\n"
    assert cli("run", "logs", run["id"], "--step", "after", "--quiet").stderr == ""
    assert "There is no output" not in cli("run", "logs", run["id"], "--step", "say").stderr


def test_events_name_steps(cli: Cli) -> None:
    run = started(cli, applied(cli, "named"))
    rows = [line.split() for line in cli("event", "list", "--run", run["id"]).stdout.splitlines()]
    assert rows[0] == ["WHEN", "EVENT", "RUN", "STEP", "DATA"]
    assert {(row[2], row[4]) for row in rows[1:] if row[2].startswith("task.")} >= {
        ("task.started", "say"),
        ("task.completed", "after"),
    }


def test_a_run_as_json_has_its_tasks_and_their_attempts(cli: Cli) -> None:
    text = HEAD % "twice" + (
        "steps:\n"
        "  - {name: first, run: 'echo ''##windlass::output {\"n\": 7}'''}\n"
        "  - {name: fails, run: 'exit 4', retry: {attempts: 2, delay: 0s}, dependsOn: first}\n"
    )
    Path("twice.yaml").write_text(text)
    cli("job", "apply", "twice.yaml")
    run = started(cli, "twice")
    found = cli("run", "get", run["id"], "--json").json()
    assert {name: found[name] for name in run} == run
    assert [(task["step"], task["state"], task["outputs"]) for task in found["tasks"]] == [
        ("first", "completed", {"n": 7}),
        ("fails", "failed", {}),
    ]
    assert [(one["number"], one["outcome"], one["exitCode"]) for one in found["tasks"][1]["attempts"]] == [
        (1, "failed", 4),
        (2, "failed", 4),
    ]
    told = cli("run", "get", run["id"]).stdout
    assert "fails #1" in told
    assert "first #1" not in told


def test_a_worker_that_was_killed_is_marked(windlass: Windlass) -> None:
    server = up(windlass)
    assert [worker["state"] for worker in windlass("worker", "list", "--json").json()] == ["running"]
    server.kill()
    server.communicate()
    assert "? lost" in windlass("worker", "list").stdout
    up(windlass)
    assert [worker["state"] for worker in windlass("worker", "list", "--json").json()] == ["running"]


def test_the_shell_completes_files_jobs_and_runs(windlass: Windlass) -> None:
    written(windlass, WAITS, "held.yaml")
    windlass("job", "apply", "held.yaml")
    run = windlass("run", "start", "held", "--quiet").stdout.strip()
    script = windlass("--completion", "bash").stdout

    def complete(*words: str) -> list[str]:
        """Complete as bash does, with its own function; what it leaves to file names stands as `default`."""
        line = " ".join(f"'{word}'" for word in words)
        ask = [
            script,
            'compopt() { echo "${@: -1}"; }',
            f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}",
            "_windlass_completion windlass; printf '%s\\n' \"${COMPREPLY[@]}\"",
        ]
        done = subprocess.run(
            ["/bin/bash", "-c", "\n".join(ask)],
            env=windlass.env,
            cwd=windlass.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert str(PROGRAM.parent) in windlass.env["PATH"]
    assert complete("windlass", "exec", "he") == ["default"]
    assert complete("windlass", "job", "apply", "he") == ["default"]
    assert complete("windlass", "job", "get", "he") == ["held"]
    assert complete("windlass", "run", "list", "--job", "he") == ["held"]
    assert complete("windlass", "run", "get", run[:6]) == [run]
    assert complete("windlass", "run", "cancel", run, "zz") == []
    assert complete("windlass", "run", "st") == ["start"]


def test_a_disabled_job_is_not_started_until_it_is_enabled(cli: Cli) -> None:
    applied(cli, "switch")
    assert cli("job", "disable", "switch").stdout == "Disabled switch.\n"
    assert cli("run", "start", "switch").code == 2
    assert [job["alias"] for job in cli("job", "list", "--disabled", "--json").json()] == ["switch"]
    assert cli("job", "enable", "switch", "--json").json()[0]["enabled"] is True
    assert started(cli, "switch")["state"] == "completed"
    assert cli("job", "list", "--disabled").stderr == "No job fits.\n"


def test_a_run_that_nobody_works_on_says_so(windlass: Windlass) -> None:
    written(windlass, HEAD % "hello" + "steps: [{name: a, run: 'exit 3'}]\n", "hello.yaml")
    windlass("job", "apply", "hello.yaml")
    said = windlass("run", "start", "hello")
    assert (said.code, said.stderr) == (0, "Nobody works on runs: `windlass up` does.\n")
    run = said.stdout.split()[1]
    assert windlass("run", "list", "--state", "failed").stderr == "No run fits.\n"
    windlass("run", "cancel", run)
    assert windlass("run", "graph", run).stdout == "⊘ a  cancelled\n"
