"""`windlass run ...`, `event ...`, `queue ...`, `worker ...`: started, followed, shown, stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.fixtures.program import Windlass

JOB = """\
apiVersion: v1
kind: Job
metadata: {alias: ALIAS}
parameters: {word: {type: string, default: hello}, count: {type: integer, default: 1}}
steps:
  - name: say
    run: 'printf "%s\\n" "$WORD"; printf "\\033[31mred\\033[0m no end"'
    env: {WORD: "${{ parameters.word }}"}
  - {name: after, dependsOn: say, run: "exit CODE"}
"""
_CALLBACK = "callbacks: [{type: notification, on: failed, configuration: {url: 'https://chat.example/hook'}}]\n"
RUN_FIELDS = {
    "sla",
    "id", "project", "job", "revision", "state", "reason", "priority", "queue", "parameters", "labels", "note",
    "trigger", "parentId", "rootId", "planChecksum", "correlationId", "idempotencyKey", "scheduledAt", "createdAt",
    "queuedAt", "startedAt", "finishedAt", "deadline", "cancelRequestedAt", "waitingFor", "progress", "counts",
    "allowedFailures", "error", "outputs", "restoredAt", "deleting", "cleanupUntil",
}  # fmt: skip


def applied(cli: Cli, alias: str, code: int = 0) -> str:
    Path("job.yaml").write_text(JOB.replace("ALIAS", alias).replace("CODE", str(code)))
    assert cli("job", "apply", "job.yaml").code == 0
    return alias


def started(cli: Cli, alias: str, *more: str) -> dict[str, Any]:
    said = cli("run", "start", alias, "--wait", "--json", *more)
    run: dict[str, Any] = said.json()
    assert said.code == (0 if run["state"] == "completed" else 1)
    return run


def test_start_prints_the_run_and_returns_at_once(cli: Cli) -> None:
    applied(cli, "start-1")
    run = cli("run", "start", "start-1", "-p", "word=a b", "-p", "count=3", "--priority", "high", "--json").json()
    assert set(run) == RUN_FIELDS
    assert (run["parameters"], run["priority"]) == ({"word": "a b", "count": 3}, 10)
    assert run["state"] in {"queued", "running"}  # a worker may be quicker than the answer
    assert run["trigger"] == {"type": "manual", "by": "tester"}


def test_wait_follows_to_the_end_and_tells_by_its_status(cli: Cli) -> None:
    good = cli("run", "start", applied(cli, "wait-good"), "--wait")
    assert good.code == 0
    assert "completed" in good.stdout.splitlines()[-1]
    bad = cli("run", "start", applied(cli, "wait-bad", code=3), "--wait")
    assert bad.code == 1
    assert "after: it ended with exit code 3" in bad.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "wrod=x"), 'unknown parameter "wrod"; did you mean "word"?'),
        (("-p", "count=many"), "count must be an integer"),
        (("-p", "word"), 'A parameter is given as name=value, not "word".'),
        (("-p", "word=a", "-p", "word=b"), 'The parameter "word" is given twice.'),
        (("--priority", "urgent"), "is none of critical, high, normal, low"),
        (("--at", "tomorrow"), '--at: "tomorrow" is no time'),
        (("--in", "soon"), '--in: "soon" is no duration'),
        (("--in", "1h", "--at", "2030-01-01"), "--at and --in: give one of them."),
        (("--revision", "99"), "has no revision 99; its newest is 1"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_starts_nothing(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    applied(cli, "wrong-1")
    said = cli("run", "start", "wrong-1", *arguments)
    assert said.code == 2
    assert message in said.stderr
    assert said.stderr.count("\n") == 1
    assert cli("run", "list", "--job", "wrong-1", "--json").json() == []


def test_a_key_stands_for_one_run(cli: Cli) -> None:
    applied(cli, "key-1")
    first = cli("run", "start", "key-1", "--key", "k", "--quiet").stdout
    assert cli("run", "start", "key-1", "--key", "k", "--quiet").stdout == first
    said = cli("run", "start", "key-1", "--key", "k", "-p", "word=other")
    assert said.code == 2
    assert "use another key" in said.stderr
    later = ("run", "start", "key-1", "--key", "later", "--in", "2h", "--json")
    assert cli(*later).json()["id"] == cli(*later).json()["id"]


@pytest.mark.promise("H02")
def test_a_later_start_is_scheduled_and_can_be_cancelled(cli: Cli) -> None:
    applied(cli, "later-1")
    run = cli("run", "start", "later-1", "--in", "2h", "--json").json()
    assert run["state"] == "scheduled"
    assert run["scheduledAt"] > run["createdAt"]
    told = cli("run", "start", "later-1", "--at", "2100-01-01T00:00:00+00:00").stdout
    assert "is scheduled for" in told
    assert cli("run", "cancel", run["id"]).stdout == f"Run {run['id']} is cancelled.\n"
    assert cli("run", "cancel", run["id"]).code == 0
    assert cli("run", "get", run["id"], "--json").json()["state"] == "cancelled"


def test_lists_and_details(cli: Cli) -> None:
    applied(cli, "show-1", code=3)
    run = started(cli, "show-1", "--note", "a note", "-l", "kind=test")
    assert (run["state"], run["counts"]) == ("failed", {"completed": 1, "failed": 1})
    listed = cli("run", "list", "--job", "show-1", "--state", "failed", "-l", "kind=test", "--json").json()
    assert [one["id"] for one in listed] == [run["id"]]
    assert cli("run", "list", "--job", "show-1", "--state", "completed", "--json").json() == []
    assert cli("run", "list", "--job", "show-1", "--since", "2100-01-01", "--json").json() == []
    table = cli("run", "list", "--job", "show-1").stdout
    assert "show-1:1" in table
    assert "✗ failed" in table
    shown = cli("run", "get", run["id"][:18]).stdout
    for text in ("a note", "kind=test", "✓ completed", "✗ failed", "it ended with exit code 3"):
        assert text in shown
    graph = cli("run", "graph", run["id"]).stdout
    assert graph == "✓ say  completed\n✗ after  failed  exit\n"
    assert ":::failed" in cli("run", "graph", run["id"], "--format", "mermaid").stdout


@pytest.mark.parametrize("state", ["runing", "done"])
def test_an_unknown_state_names_those_there_are(cli: Cli, state: str) -> None:
    said = cli("run", "list", "--state", state)
    assert said.code == 2
    assert said.stderr.startswith(f"windlass: Invalid value for '--state': '{state}' is not one of 'scheduled', ")


def test_logs_come_as_lines_with_their_step_and_nothing_that_a_terminal_acts_on(cli: Cli) -> None:
    applied(cli, "logs-1")
    run = started(cli, "logs-1", "-p", "word=h\u00fcllo")
    assert cli("run", "logs", run["id"]).stdout == "say | h\u00fcllo\nsay | red no end\n"
    assert cli("run", "logs", run["id"], "--step", "say").stdout == "h\u00fcllo\nred no end\n"
    assert cli("run", "logs", run["id"], "--follow").stdout == "say | h\u00fcllo\nsay | red no end\n"
    chunks = [json.loads(line) for line in cli("run", "logs", run["id"], "--json").stdout.splitlines()]
    assert "".join(chunk["data"] for chunk in chunks) == "h\u00fcllo\n\x1b[31mred\x1b[0m no end"
    missing = cli("run", "logs", run["id"], "--step", "sya")
    assert missing.code == 2
    assert "it has say, after" in missing.stderr


def test_watch_tells_line_by_line_where_no_terminal_is(cli: Cli) -> None:
    run = started(cli, applied(cli, "watch-1", code=4))
    said = cli("run", "watch", run["id"], "--logs")
    assert said.code == 1
    lines = [line.partition(" ")[2] for line in said.stdout.splitlines()]
    assert any(line.startswith("say completed after ") for line in lines)
    assert any(line.startswith("after failed after ") and line.endswith("exit code 4") for line in lines)
    assert "say | hello" in said.stdout
    quiet = cli("run", "watch", run["id"], "--quiet")
    assert quiet.stdout.count("\n") >= 1
    assert "started" not in quiet.stdout


def test_retry_is_a_new_run_of_the_same(cli: Cli) -> None:
    run = started(cli, applied(cli, "retry-1", code=5), "-p", "word=again")
    again = cli("run", "retry", run["id"], "--wait", "--json")
    assert again.code == 1
    assert again.json()["parameters"] == run["parameters"]
    assert again.json()["trigger"]["run"] == run["id"]
    scheduled = cli("run", "start", "retry-1", "--in", "1h", "--json").json()
    assert "cancel it" in cli("run", "retry", scheduled["id"]).stderr


def test_an_unknown_run_is_one_sentence(cli: Cli) -> None:
    for command in ("get", "watch", "logs", "cancel", "retry", "graph"):
        said = cli("run", command, "01234567")
        assert (said.code, said.stderr.count("\n")) == (2, 1)
        assert said.stderr.startswith("windlass: There is no run")


def test_a_field_without_an_engine_warns_again_at_the_start(cli: Cli) -> None:
    Path("job.yaml").write_text(JOB.replace("ALIAS", "warned").replace("CODE", "0") + _CALLBACK)
    assert "not yet in force: callbacks" in cli("job", "apply", "job.yaml").stderr
    said = cli("run", "start", "warned", "--json")
    assert said.stderr == "warning: not yet in force: callbacks\n"
    assert set(said.json()) == RUN_FIELDS


def test_events_are_listed_by_type_job_and_run(cli: Cli) -> None:
    run = started(cli, applied(cli, "events-1"))
    listed = cli("event", "list", "--run", run["id"], "--json").json()
    types = [event["type"] for event in listed]
    assert types[0] == "run.created"
    assert types[-1] == "run.completed"
    assert all(set(event) == {"seq", "type", "runId", "taskId", "at", "data", "cursor"} for event in listed)
    ends = cli("event", "list", "--job", "events-1", "--type", "run.*", "-n", "1", "--json").json()
    assert [event["type"] for event in ends] == ["run.completed"]
    assert "run.completed" in cli("event", "list", "-n", "1").stdout
    wrong = cli("event", "list", "--type", "run.complete")
    assert 'did you mean "run.completed"?' in wrong.stderr


def test_workers_queues_and_the_database_are_shown(cli: Cli) -> None:
    worker = cli("worker", "list", "--json").json()[0]
    assert (worker["queues"], worker["pool"]) == (["*"], "default")
    applied(cli, "queue-1")
    cli("run", "start", "queue-1", "--in", "1h")
    queues = {queue["name"]: queue["counts"] for queue in cli("queue", "list", "--json").json()}
    assert queues["default"]["scheduled"] >= 1
    assert "default" in cli("queue", "list").stdout
    checked = cli("db", "check", "--json")
    assert (checked.code, checked.json()["sound"]) == (0, True)
    assert cli("db", "upgrade").stdout.startswith("The database has schema ")
    doctor = cli("doctor", "--json")
    assert doctor.code == 0
    assert {one["check"] for one in doctor.json()} >= {"settings", "versions", "owner"}


def test_a_second_cancel_says_that_it_stops_the_clean_up(cli: Cli) -> None:
    text = JOB.replace("ALIAS", "cancel-2").replace('run: "exit CODE"', "triggerRule: always, run: sleep 60")
    Path("long.yaml").write_text(text)
    assert cli("job", "apply", "long.yaml").code == 0
    run = cli("run", "start", "cancel-2", "--quiet").stdout.strip()
    while "after" not in cli("event", "list", "--run", run, "--type", "task.started").stdout:
        assert cli("run", "get", run, "--json").json()["finishedAt"] is None
    assert cli("run", "cancel", run).stdout.endswith("asked once more, its clean-up steps are stopped too.\n")
    assert "asked before: its clean-up steps are stopped too now" in cli("run", "cancel", run).stdout
    assert cli("run", "watch", run, "--json", "--quiet").json()["state"] == "cancelled"


def test_a_run_that_no_worker_takes_says_which_it_lacks(cli: Cli) -> None:
    requires = "requires: {pool: gpu, labels: {disk: ssd}}\nsteps:"
    Path("far.yaml").write_text(JOB.replace("ALIAS", "far").replace("CODE", "0").replace("steps:", requires, 1))
    assert cli("job", "apply", "far.yaml").code == 0
    started = cli("run", "start", "far", "-p", "word=x")
    command = "there is none: start `windlass worker --pool gpu --labels disk=ssd`."
    assert command in started.stderr
    run = cli("run", "list", "--job", "far", "--json").json()[0]["id"]
    shown = cli("run", "get", run).stdout
    assert "a worker that serves queue default in pool gpu with labels disk=ssd, and there is none" in shown
    found = cli("run", "get", run, "--json").json()
    assert found["waitingFor"]["worker"] == {"queue": "default", "pool": "gpu", "labels": {"disk": "ssd"}}
    doctor = {one["check"]: one["message"] for one in cli("doctor", "--json").json()}
    assert "start `windlass worker --pool gpu --labels disk=ssd`" in doctor["queue"]
    cli("run", "cancel", run)
    watched = cli("run", "watch", run)
    assert "in pool gpu" not in watched.stderr
    assert "in pool gpu" not in cli("run", "get", run).stdout


def test_exec_runs_a_manifest_that_no_list_shows(cli: Cli) -> None:
    Path("once.yaml").write_text(JOB.replace("ALIAS", "once").replace("CODE", "0").replace("printf", "pwd; printf", 1))
    said = cli("exec", "once.yaml", "-p", "word=now")
    assert said.code == 0
    assert f"say | {Path.cwd()}\n" in said.stdout
    assert "say | now\n" in said.stdout
    assert cli("job", "get", "once").code == 2
    run = cli("exec", "once.yaml", "--json").json()
    assert set(run) == RUN_FIELDS
    assert run["trigger"]["type"] == "exec"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "once.yaml:1:1: "),
        ("a: [", "once.yaml:2:"),
        (JOB.replace("ALIAS", "x").replace("run:", "runs:"), 'did you mean "run"?'),
        (
            f"{JOB.replace('ALIAS', 'x')}---\n{JOB.replace('ALIAS', 'y')}",
            "exec runs the one job of a file: store them with",
        ),
    ],
)
def test_exec_of_what_cannot_be_run(cli: Cli, text: str, message: str) -> None:
    Path("once.yaml").write_text(text.replace("CODE", "0"))
    said = cli("exec", "once.yaml")
    assert (said.code, said.stdout) == (2, "")
    assert message in said.stderr


def test_exec_of_many_jobs_names_ten_and_how_to_choose(cli: Cli) -> None:
    jobs = (JOB.replace("ALIAS", f"job-{number:02}").replace("CODE", "0") for number in range(13))
    Path("once.yaml").write_text("\n---\n".join(jobs))
    said = cli("exec", "once.yaml")
    assert (said.code, said.stdout) == (2, "")
    assert "holds 13 jobs (job-00, " in said.stderr
    assert "job-09, ...), and exec runs the one job of a file" in said.stderr
    assert "`windlass run start JOB --wait`" in said.stderr


def test_files_that_a_run_kept_are_listed_and_fetched(cli: Cli) -> None:
    Path("keep.yaml").write_text(
        "apiVersion: v1\nkind: Job\nmetadata: {alias: keep}\nsteps:\n"
        "  - name: make\n    run: 'mkdir out; printf \"a\\000b\" > out/report.bin'\n    artifacts: [out/*]\n"
    )
    assert cli("job", "apply", "keep.yaml").code == 0
    run = started(cli, "keep")["id"]
    (kept,) = cli("run", "artifacts", run, "--json").json()
    assert (kept["name"], kept["size"], kept["step"]) == ("out/report.bin", 3, "make")
    assert "path" not in kept
    assert "out/report.bin" in cli("run", "artifacts", run).stdout
    assert cli("run", "artifacts", run, "out/report.bin").stdout == "Wrote report.bin.\n"
    assert Path("report.bin").read_bytes() == b"a\0b"
    again = cli("run", "artifacts", run, "out/report.bin")
    assert (again.code, again.stderr.startswith("windlass: report.bin exists")) == (2, True)
    assert cli("run", "artifacts", run, "out/report.bin", "-o", "report.bin").code == 0
    assert cli("run", "artifacts", run, "out/report.bin", "-o", "-").stdout == "a\0b"
    missing = cli("run", "artifacts", run, "../../etc/passwd")
    assert (missing.code, "kept no file" in missing.stderr) == (2, True)


@pytest.mark.promise("O10")
def test_a_run_with_more_tasks_than_a_page_is_shown_whole(windlass: Windlass) -> None:
    manifest = (
        "apiVersion: v1\nkind: Job\nmetadata: {alias: wide}\nsteps:\n"
        f"  - {{name: many, when: false, matrix: {{n: {list(range(230))}}}, run: 'true'}}\n"
    )
    (windlass.folder / "wide.yaml").write_text(manifest)
    done = windlass("exec", "wide.yaml")
    assert (done.code, "230 skipped" in done.stdout) == (0, True), done
    run = windlass("--json", "run", "list").json()[0]["id"]
    tasks = windlass("--json", "run", "get", run).json()["tasks"]
    assert [task["id"] for task in tasks] == [f"{run}.{number}" for number in range(230)]


@pytest.mark.promise("H08")
@pytest.mark.parametrize(("code", "state", "status"), [(0, "completed", 0), (3, "failed", 1)])
def test_a_program_that_watches_gets_each_event_and_then_the_run(cli: Cli, code: int, state: str, status: int) -> None:
    alias = f"watched-{code}"
    Path("job.yaml").write_text(JOB.replace("ALIAS", alias).replace("CODE", str(code)))
    assert cli("job", "apply", "job.yaml").code == 0
    run = cli("run", "start", alias, "--quiet").stdout.strip()
    for _ in range(2):  # while it goes on, and when it has ended
        watched = cli("run", "watch", run, "--json")
        *events, last = map(json.loads, watched.stdout.splitlines())
        assert (watched.code, watched.stderr) == (status, "")
        assert (last["id"], last["state"]) == (run, state)
        assert events == cli("event", "list", "--run", run, "--json").json()
        assert events[-1]["type"] == f"run.{state}"
    alone = cli("run", "watch", run, "--json", "--quiet")
    assert (alone.code, alone.json()) == (status, last)
    documents = cli("run", "watch", run, "--format", "yaml").stdout.split("---\n")
    assert len(documents) == len(events) + 2
