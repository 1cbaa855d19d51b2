"""The owner is killed while steps wait for events and events come: each wait ends once, by an event of its own.

A failure prints its seed; `TESTS_KILL_SEED=... pytest tests/faults/test_event_kill.py` plays the same moves again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.oracle.crash import PATIENCE, Victim, open_runs, until
from tests.oracle.ledger import Ledger
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.ids import parse_id

_RUNS: Final = 12
_JOB: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: gate}
parameters: {n: {type: integer}}
steps:
  - {name: first, type: wait, config: {event: {type: "go.*", filter: {n: "${{ parameters.n }}"}}}}
  - {name: second, type: wait, config: {event: {type: go.on, filter: {n: "${{ parameters.n }}"}}}}
"""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    found = Victim(tmp_path, Ledger(tmp_path / "ledger"), worker_slots="2")
    yield found
    found.close()


def told(client: Client) -> list[int]:
    """Return what the events that were kept say, in order."""
    events = client.events("events", type="go.on", last_event_id="0", follow=False, project="*")
    return [int(event.json()["data"]["n"]) for event in events]


def send(client: Client, number: int) -> bool:
    """Tell an event; False where nobody can say whether it was kept."""
    try:
        client.post("events", body={"type": "go.on", "data": {"n": number}})
    except Unavailable:
        return False
    return True


@pytest.mark.promise("H08")
@pytest.mark.promise("C13")
def test_each_wait_ends_once_by_an_event_of_its_own(victim: Victim, tmp_path: Path) -> None:
    seed = int(os.environ.get("TESTS_KILL_SEED") or random.SystemRandom().randrange(2**32))
    moves = random.Random(seed)  # noqa: S311 - moves of a test
    (tmp_path / "gate.yaml").write_text(_JOB)
    victim.apply(tmp_path / "gate.yaml")
    client = victim.start()
    runs = [client.post("jobs", "gate", "run", body={"parameters": {"n": n}})["id"] for n in range(_RUNS)]
    left = [n for n in range(_RUNS) for _ in range(2)]
    moves.shuffle(left)
    while left:
        for _ in range(moves.randint(1, 6)):
            if left:
                kept = len(told(client))
                if not send(client, left[-1]):
                    break
                assert len(told(client)) == kept + 1
                left.pop()
        for _ in range(moves.randrange(40)):  # anywhere in what follows from an event
            open_runs(client)
        victim.kill("owner")
        client = victim.start()
    until(lambda: not open_runs(client), f"the end of all runs (seed {seed})", patience=PATIENCE, pace=0.1)
    seen: set[int] = set()
    for number, run_id in enumerate(runs):
        run: dict[str, Any] = client.get("runs", run_id)
        assert run["state"] == "completed", f"seed {seed}"
        events = [task["outputs"]["event"] for task in client.get("runs", run_id, "steps")["items"]]
        assert [event["data"]["n"] for event in events] == [number, number], f"seed {seed}"
        assert events[0]["seq"] < events[1]["seq"], f"seed {seed}"
        assert seen.isdisjoint(event["seq"] for event in events), f"seed {seed}"
        seen |= {event["seq"] for event in events}
        ends = [one["type"] for one in client.get("runs", run_id, "events")["items"] if one["type"] == "task.completed"]
        assert len(ends) == len(events), f"seed {seed}"
    victim.stop()
    accepted = [found for run_id in runs if (found := parse_id(run_id)) is not None]
    assert victim.problems(accepted, at_rest=True) == [], f"seed {seed}"
