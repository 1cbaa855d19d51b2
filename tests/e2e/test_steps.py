"""What a step may see and use: secrets masked, a clean environment, limits; and how many run at one time."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, executed, log, serve
from tests.fixtures.program import Windlass

_SECRETS: Final = (
    HEAD % "secrets"
    + """\
parameters: {code: {type: string, secret: true, required: true}}
steps:
  - name: tell
    env:
      CODE: "${{ parameters.code }}"
      TOKEN: secret://env/GREETING
      KEY: secret://file/FOLDER/key
    run: |
      echo "code <$CODE> token <$TOKEN> key <$KEY>"
      printf %s "$CODE" | base64
      echo "lengths ${#CODE} ${#TOKEN} ${#KEY}" >&2
"""
)
_ENVIRONMENT: Final = (
    HEAD % "environment"
    + """\
steps:
  - {name: show, env: {OWN: yes}, run: "env | cut -d= -f1 | sort"}
"""
)
_LIMITS: Final = (
    HEAD % "limits"
    + """\
steps:
  - {name: files, type: shell, config: {run: ulimit -n, limits: {open_files: 64}}}
  - {name: memory, type: shell, config: {run: ulimit -v, limits: {memory: 512MiB}}}
  - name: processor
    type: shell
    config: {run: "while :; do :; done", limits: {cpu_seconds: 1}}
"""
)
#: Two cells see each other; a third one is there only once another has ended.
_SLOTS: Final = (
    HEAD % "slots"
    + """\
steps:
  - name: many
    matrix: {n: [1, 2, 3, 4]}
    run: |
      mkdir "FOLDER/$WINDLASS_TASK_ID"
      ls FOLDER | grep -c .
      until [ -e FOLDER.go ]; do sleep 0.05; done
      ls FOLDER | wc -l
      rmdir "FOLDER/$WINDLASS_TASK_ID"
"""
)


@pytest.mark.promise("C10", part=("environment", "file"))
@pytest.mark.promise("O13", part="masked")
def test_secrets_reach_a_step_and_never_its_log(windlass: Windlass, api: Socket) -> None:
    folder = windlass.folder / "secret-files"
    folder.mkdir()
    (folder / "key").write_text("hush-hush-hush")
    apply(windlass, _SECRETS.replace("FOLDER", str(folder)))
    serve(windlass, GREETING="swordfish-42", WINDLASS_SECRET_DIRS=str(folder))
    run = accepted(windlass, "secrets", "-p", "code=open-sesame!")
    assert ended(windlass, run)["state"] == "completed"
    assert sorted(log(windlass, run, "--step", "tell")) == [
        "***",
        "code <***> token <***> key <***>",
        "lengths 12 12 14",
    ]
    raw = windlass("run", "logs", run, "--raw").stdout
    status, by_http = api.raw("GET", f"runs/{run}/logs")
    assert status == 200
    shown = windlass("--json", "run", "get", run).stdout + windlass("--json", "event", "list").stdout
    for secret in ("open-sesame!", "swordfish-42", "hush-hush-hush"):
        assert secret not in raw + by_http.decode() + shown


@pytest.mark.promise("C10", part=("environment", "file"))
@pytest.mark.parametrize(
    "reference", ["secret://env/WINDLASS_TOKEN", "secret://env/NOT_THERE", "secret://file/etc/passwd"]
)
def test_a_secret_that_may_not_be_read_fails_the_step_that_asks_for_it(windlass: Windlass, reference: str) -> None:
    text = HEAD % "ask" + f"steps: [{{name: ask, env: {{TOKEN: '{reference}'}}, run: echo never}}]\n"
    run = executed(windlass, text)
    assert run["state"] == "failed"
    assert run["error"]["step"] == "ask"
    assert "never" not in log(windlass, run["id"])


@pytest.mark.promise("O13", part="environment")
def test_a_step_sees_nothing_of_the_servers_own_environment(windlass: Windlass) -> None:
    apply(windlass, _ENVIRONMENT)
    hidden = ("PRIVATE", "AWS_SECRET_ACCESS_KEY", "LD_LIBRARY_PATH")
    serve(windlass, **dict.fromkeys(hidden, "/nowhere"))
    run = accepted(windlass, "environment")
    assert ended(windlass, run)["state"] == "completed"
    names = set(log(windlass, run, "--step", "show"))
    assert names >= {"OWN", "PATH", "HOME", "TMPDIR", "WINDLASS_RUN_ID", "WINDLASS_STEP", "WINDLASS_ATTEMPT"}
    assert not names & {*hidden, "WINDLASS_HOME"}


@pytest.mark.promise("O13", part="limits")
def test_limits_hold(windlass: Windlass) -> None:
    run = executed(windlass, _LIMITS)
    assert (run["state"], run["counts"]) == ("failed", {"completed": 2, "failed": 1})
    assert log(windlass, run["id"], "--step", "files") == ["64"]
    assert log(windlass, run["id"], "--step", "memory") == [str(512 * 1024)]
    assert run["error"]["step"] == "processor"


@pytest.mark.promise("H04", part="size at start")
@pytest.mark.parametrize("slots", [1, 3])
def test_as_many_attempts_run_at_one_time_as_the_worker_has_slots(windlass: Windlass, slots: int) -> None:
    folder = windlass.folder / "running"
    folder.mkdir()
    apply(windlass, _SLOTS.replace("FOLDER", str(folder)))
    serve(windlass, slots)
    run = accepted(windlass, "slots")
    following = windlass.start("run", "logs", "--follow", run)
    assert following.stdout is not None
    seen = [int(following.stdout.readline().partition("| ")[2]) for _ in range(slots)]
    assert max(seen) == slots
    (folder.parent / "running.go").touch()
    assert ended(windlass, run)["state"] == "completed"
    counted = [int(line.partition("| ")[2]) for line in log(windlass, run)]
    assert len(counted) == 8
    assert max(counted) == slots
    (worker,) = windlass("--json", "worker", "list").json()
    assert worker["slots"] == slots
