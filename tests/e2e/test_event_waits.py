"""Steps that wait, by the whole program: no slot held, through kills of the server, each ended once."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, kill, line_of, serve, states
from tests.fixtures.program import Windlass

_GATE: Final = HEAD % "gate" + (
    "steps:\n"
    "  - {name: ask, run: 'true'}\n"
    "  - {name: answer, type: wait, config: {event: {type: 'deploy.*', filter: {env: prod}}, timeout: 1h}}\n"
    '  - {name: say, run: echo "$V", env: {V: "${{ steps.answer.outputs.event.data.version }}"}}\n'
)
_QUICK: Final = HEAD % "quick" + "steps: [{name: a, run: 'true'}]\n"
_CHAIN: Final = HEAD % "chain" + (
    "steps: [{name: other, type: wait, config: {event: {type: run.completed, filter: {job: quick}}}}]\n"
)
_TIMES: Final = HEAD % "times" + (
    "parameters: {at: {type: string}}\n"
    "steps:\n"
    "  - {name: a, type: wait, config: {duration: 1s}}\n"
    "  - {name: b, type: wait, config: {until: '${{ parameters.at }}'}}\n"
)


def _until(windlass: Windlass, run: str, type_: str, step: int) -> None:
    """Return once a run has told an event of a step."""
    tail = windlass.start("--json", "event", "tail", "--run", run, "--type", type_, "--last", "100")
    while json.loads(line_of(tail.stdout, "{"))["taskId"] != f"{run}.{step}":
        pass
    tail.terminate()
    tail.communicate()


@pytest.mark.promise("H08")
@pytest.mark.promise("C13")
def test_waits_hold_no_slot_and_are_ended_once_through_kills_of_the_server(windlass: Windlass) -> None:
    apply(windlass, f"{_GATE}---\n{_QUICK}---\n{_CHAIN}---\n{_TIMES}")
    server = serve(windlass, slots=1)
    gate, chain = accepted(windlass, "gate"), accepted(windlass, "chain")
    times = accepted(windlass, "times", "-p", "at=2020-01-01T00:00:00Z")
    _until(windlass, gate, "task.waiting", 1)
    _until(windlass, chain, "task.waiting", 0)
    because = windlass("run", "why", gate).stdout
    assert "It waits for an event deploy.* with env=prod, until" in because
    assert windlass("event", "send", "deploy.done", "-p", "env=test").code == 0
    kill(server)
    told = windlass("--json", "event", "send", "deploy.done", "-p", "env=prod", "-p", "version=1.2").json()
    server = serve(windlass, slots=1)
    quick = accepted(windlass, "quick")
    assert ended(windlass, quick)["state"] == "completed", "the one slot is free while others wait"
    kill(server)
    serve(windlass, slots=1)
    run = ended(windlass, gate)
    assert run["state"] == "completed"
    assert windlass("run", "logs", gate, "--step", "say").stdout == "1.2\n"
    assert run["tasks"][1]["outputs"]["event"]["seq"] == told["seq"]
    found = ended(windlass, chain)
    assert found["outputs"]["event"]["runId"] == quick
    assert [event["type"] for event in events(windlass, chain, "task.completed")] == ["task.completed"]
    assert ended(windlass, times)["state"] == "completed"
    assert states(windlass, times) == {"a": "completed", "b": "completed"}


@pytest.mark.promise("H08")
def test_events_from_outside_are_told_by_http_listed_and_followed(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _GATE)
    serve(windlass)
    tail = windlass.start("--json", "event", "tail", "--type", "deploy.*", "--type", "run.completed", "--last", "0")
    run = accepted(windlass, "gate")
    body = {"type": "deploy.started", "source": "ci", "data": {"env": "prod", "version": "7", "at": 5}}
    told = api("POST", "events", body)
    assert (told["type"], told["source"], told["data"]) == ("deploy.started", "ci", body["data"])
    line = json.loads(line_of(tail.stdout, "{"))
    assert line == {**told, "cursor": line["cursor"]}, "told with the place to go on from"
    assert json.loads(line_of(tail.stdout, "{"))["runId"] == run
    listed: list[dict[str, Any]] = windlass("--json", "event", "list", "--type", "deploy.*").json()
    assert listed == [line]
    assert windlass("--json", "--project", "other", "event", "list", "--type", "deploy.*").json() == []
    shown = windlass("event", "list", "--type", "deploy.*").stdout
    assert "deploy.started" in shown
    assert "env=prod" in shown
    for wrong in ({"type": "run.completed"}, {"type": "a b"}, {"type": "x", "data": [1]}, {"type": "x", "more": 1}, {}):
        assert api.raw("POST", "events", json.dumps(wrong).encode())[0] == 422
    refused = windlass("event", "send", "run.completed")
    assert (refused.code, refused.stderr.count("\n")) == (2, 1)


def test_a_secret_is_not_waited_for(windlass: Windlass) -> None:
    manifest = HEAD % "hush" + (
        "parameters: {token: {type: string, secret: true}}\n"
        "steps: [{name: a, type: wait, config: {event: {type: x, filter: {token: '${{ parameters.token }}'}}}}]\n"
    )
    apply(windlass, manifest)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "hush", "-p", "token=open-sesame"))
    assert (run["state"], run["error"]["reason"]) == ("failed", "secret_in_event")
    assert "open-sesame" not in json.dumps(run)
