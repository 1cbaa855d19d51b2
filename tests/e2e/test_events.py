"""Events by HTTP and by the command line: stored, by type, and on from a cursor."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, line_of, serve
from tests.fixtures.program import Windlass

_GOOD: Final = HEAD % "good" + 'steps: [{name: say, run: "true"}]\n'
_BAD: Final = HEAD % "bad" + "steps: [{name: say, retry: {attempts: 2, delay: 0.05, jitter: false}, run: exit 75}]\n"
_TOLD: Final = [
    "run.created", "run.queued", "task.queued", "run.started", "task.started", "task.completed", "run.completed",
]  # fmt: skip


def _read(api: Socket, query: str, **headers: str) -> list[dict[str, Any]]:
    """Return the stored events of a stream that ends with the newest."""
    status, content = api.raw("GET", f"events?follow=false&{query}", None, **headers)
    assert status == 200, content
    return [json.loads(line[5:]) for line in content.decode().splitlines() if line.startswith("data:")]


@pytest.mark.promise("H08")
def test_stored_events_are_read_by_type_and_on_from_any_of_them(windlass: Windlass, api: Socket) -> None:
    apply(windlass, f"{_GOOD}---\n{_BAD}")
    server = serve(windlass)
    good, bad = accepted(windlass, "good"), accepted(windlass, "bad")
    assert [ended(windlass, run)["state"] for run in (good, bad)] == ["completed", "failed"]
    later = accepted(windlass, "good", "--in", "1h")
    windlass("run", "cancel", later)
    whole = _read(api, "after=0")
    assert [event["seq"] for event in whole] == sorted({event["seq"] for event in whole})
    assert [event["type"] for event in whole if event["runId"] == good] == _TOLD
    types = {event["type"] for event in whole}
    assert types >= {"run.scheduled", "run.cancelled", "run.failed", "task.retried", "task.failed"}
    for number, event in enumerate(whole):
        assert _read(api, "after=0", **{"Last-Event-ID": event["cursor"]}) == whole[number + 1 :]
    ends = _read(api, "after=0&type=run.completed,run.failed")
    assert [(event["type"], event["runId"]) for event in sorted(ends, key=lambda one: str(one["type"]))] == [
        ("run.completed", good),
        ("run.failed", bad),
    ]
    kill(server)
    serve(windlass)
    assert _read(api, "after=0") == whole


@pytest.mark.promise("H08")
def test_a_follower_hears_what_it_asked_for_as_it_comes(windlass: Windlass) -> None:
    apply(windlass, f"{_GOOD}---\n{_BAD}")
    serve(windlass)
    first = accepted(windlass, "good")
    ended(windlass, first)
    tail = windlass.start("--json", "event", "tail", "--type", "run.completed", "--type", "run.failed", "--last", "1")
    heard = [json.loads(line_of(tail.stdout, "{"))]
    runs = []
    for job in ("bad", "good", "bad"):
        runs.append(accepted(windlass, job))
        heard.append(json.loads(line_of(tail.stdout, "{")))
    assert [(event["type"], event["runId"]) for event in heard] == [
        ("run.completed", first),
        ("run.failed", runs[0]),
        ("run.completed", runs[1]),
        ("run.failed", runs[2]),
    ]
