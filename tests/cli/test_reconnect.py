"""Followers of a server that goes away: told in one sentence, and taken up again where they were."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter

import pytest

from tests.fixtures.program import Windlass
from tests.security.stage import HEAD, until, up, written

GONE = "windlass: The server went away; waiting for it to come back, up to 1m00s.\n"
BACK = "windlass: The server is back.\n"
STEPS = """\
steps:
  - name: count
    onWorkerLost: retry
    run: |
      for i in 1 2 3; do echo "$WINDLASS_ATTEMPT:$i"; done
      while [ ! -e "$GO" ]; do sleep 0.05; done
      echo "$WINDLASS_ATTEMPT:end"
    env: {GO: %s}
"""


def started(windlass: Windlass) -> str:
    written(windlass, HEAD % "long" + STEPS % (windlass.folder / "go"), "long.yaml")
    windlass("job", "apply", "long.yaml")
    return windlass("run", "start", "long", "--quiet").stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_followers_go_on_with_the_next_server_and_nothing_is_doubled_or_lost(
    windlass: Windlass, number: signal.Signals
) -> None:
    server = up(windlass, WINDLASS_DRAIN_GRACE="0.1s")
    run = started(windlass)
    tail = windlass.start("event", "tail", "--json", "--run", run, "--last", "100")
    watch = windlass.start("run", "watch", run, "--logs")
    waiting = windlass.start("run", "watch", run, "--json")
    logs = windlass.start("run", "logs", run, "--follow")
    before = {process: until(process.stdout, "| 1:3") for process in (watch, logs)}
    first = [tail.stdout.readline() for _ in range(4)] if tail.stdout else []
    server.send_signal(number)
    _, errors = server.communicate(timeout=40)
    assert "ERROR" not in errors
    for process in (tail, watch, waiting, logs):
        until(process.stderr, "went away")
    up(windlass)
    (windlass.folder / "go").touch()
    output, errors = watch.communicate(timeout=40)
    assert (watch.returncode, errors) == (0, BACK)
    printed = before[watch] + output
    assert [line for line in printed.splitlines() if line.startswith("count | ")] == [
        f"count | {attempt}:{what}" for attempt, what in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, "end")]
    ]
    assert printed.count("count started") == 2
    output, errors = waiting.communicate(timeout=40)
    *told, ended = map(json.loads, output.splitlines())
    assert (ended["state"], errors) == ("completed", BACK)
    output, errors = logs.communicate(timeout=40)
    assert (logs.returncode, errors) == (0, BACK)
    assert before[logs] + output == windlass("run", "logs", run).stdout
    events = [*first, *until(tail.stdout, "run.completed").splitlines()]
    stored = windlass("event", "list", "--run", run, "--json").json()
    assert Counter(json.loads(line)["seq"] for line in events) == Counter(event["seq"] for event in stored)
    assert told == stored


def test_a_tail_that_saw_nothing_yet_misses_nothing(windlass: Windlass) -> None:
    server = up(windlass)
    started(windlass)
    tail = windlass.start("event", "tail", "--type", "run.cancel_requested")
    run = windlass("run", "list", "--json").json()[0]["id"]
    until(windlass.start("run", "watch", run, "--logs").stdout, "| 1:3")
    server.kill()
    server.communicate()
    until(tail.stderr, "went away")
    windlass("run", "cancel", run)
    up(windlass)
    assert run in until(tail.stdout, "run.cancel_requested")


@pytest.mark.parametrize(
    ("patience", "told"),
    [
        ("0", "windlass: The server went away; start `windlass up` and follow again.\n"),
        ("0.2s", "windlass: The server did not come back within 0.20s; start `windlass up` and follow again.\n"),
    ],
)
def test_a_server_that_stays_away_is_out_of_reach(windlass: Windlass, patience: str, told: str) -> None:
    server = up(windlass)
    run = started(windlass)
    watching = windlass.start("run", "watch", run, "--logs", "--reconnect", patience)
    until(watching.stdout, "| 1:3")
    server.kill()
    server.communicate()
    _, errors = watching.communicate(timeout=40)
    assert watching.returncode == 3
    assert errors.endswith(told)
    assert len(errors.splitlines()) <= 2


def test_up_ends_at_once_though_somebody_follows_and_does_not_read(windlass: Windlass) -> None:
    server = up(windlass)
    text = HEAD % "loud" + "steps: [{name: shout, run: 'yes | head -c 3000000; echo done'}]\n"
    written(windlass, text, "loud.yaml")
    windlass("job", "apply", "loud.yaml")
    run = windlass("run", "start", "loud", "--wait", "--json").json()["id"]
    stuck = windlass.start("run", "logs", run, "--follow")
    assert stuck.stdout is not None
    stuck.stdout.readline()
    server.send_signal(signal.SIGTERM)
    try:
        _, errors = server.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail("the server waits for a reader")
    assert (server.returncode, "ERROR" in errors) == (0, False)
    stuck.kill()
