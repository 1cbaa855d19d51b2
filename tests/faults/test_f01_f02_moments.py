"""F1 and F2: the worker, which is the server here, dies at every moment that has a name, one after the other.

The moments are not listed by hand: a first owner lives through the whole load and writes down what comes.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from tests.oracle.load import ENDLESS, JOBS, Crowd, apply_load
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.errors import Unavailable

#: What a worker does with a task (F1) and a server with a request (F2): each of them must be among what was met.
F1: Final = {
    "exchange_within+claims written", "exchange_within+claims committed",  # claimed
    "before the spawn", "after the spawn", "append_chunks written", "append_chunks committed",  # at work
    "end of the process", "before the artifacts", "after the artifacts", "end of the log",  # after the exit
    "exchange_within+reports written", "exchange_within+reports committed",  # told
    "before the folder removal", "after the folder removal",
}  # fmt: skip
F2: Final = {
    "run read", "accept_asked written", "accept_asked committed", "run answered",
    "cancel read", "cancel written", "cancel committed", "cancel answered",
    "wake written", "wake committed",  # in the middle of a turn of the timer
    "settle_all written", "settle_all committed",  # while it settles what the owner before it left
    "leave written", "leave committed",  # while it ends in good order
}  # fmt: skip


#: Bytes that the ledger grows by until a load has shown each of its kinds of work.
_ENOUGH: Final = 2500
#: Loads within which every moment comes that belongs to every load.
TRIES: Final = 3
#: Of the others, such as of upkeep that finds something to do now and then, most must have come.
MOST: Final = 0.9


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """Give an owner of a store with all jobs in it."""
    found = Victim(tmp_path, Ledger(tmp_path / "ledger"), worker_slots="6", drain_grace="0s", heartbeat="200ms")
    apply_load(found, tmp_path)
    yield found
    found.close()
    print(found.log())  # noqa: T201 - shown where the test fails


def live(victim: Victim, crowd: Crowd, client: Client) -> None:
    """Start a run of each job, cancel those without an end, and end the owner in good order, unless it dies before."""
    begun = victim.ledger.size()
    try:
        crowd.again(client)
        for job in JOBS:
            crowd.start(client, job, **({"delay": 0.3} if job == "chain" else {}))
        until(lambda: not victim.lives or victim.ledger.size() > begun + _ENOUGH, "enough of the load")
        crowd.cancel(client, ENDLESS)
        crowd.start(client, "parents")
        until(lambda: not victim.lives or not _endless(client), "the end of what was cancelled")
        client.post("archive", "run", body={})  # its moments come with each load, not when the time for them has come
    except (Unavailable, OSError):
        until(lambda: not victim.lives, "the end of the owner")
    if victim.lives:
        victim.stop()


def _endless(client: Client) -> list[str]:
    return [line for line in open_runs(client) if line.split()[0] in ENDLESS]


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.promise("H07")
@pytest.mark.timeout(900)
def test_f01_f02_death_at_every_moment_loses_and_doubles_nothing(victim: Victim, tmp_path: Path) -> None:
    crowd = Crowd(random.Random(1))  # noqa: S311 - a game
    book = tmp_path / "book"
    assert die(victim, crowd, [f"prepare {when}" for when in ("written", "committed")]) == []  # only in a new store
    client = victim.start_doomed(BOOK=str(book))
    assert client is not None
    live(victim, crowd, client)
    # Two come once in the life of a store.
    moments = [one for one in book.read_text().splitlines() if not one.startswith(("prepare", "note_archive"))]
    assert (F1 | F2) - set(moments) == set()
    # What there is to settle an owner finds that comes after one which died.
    late = [moment for moment in moments if moment.startswith("settle_all")]
    missed = die(victim, crowd, ["after the spawn", *late, *(one for one in moments if one not in late)])
    assert not (F1 | F2).intersection(missed), missed
    assert len(missed) <= (1 - MOST) * len(moments), missed
    client = victim.start()
    crowd.finish(client)
    until(lambda: not open_runs(client), "the end of all runs", patience=120, pace=0.1)
    assert victim.stop() == 0
    assert victim.problems(crowd.told, at_rest=True) == []


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.promise("H07")
@pytest.mark.timeout(900)
def test_f01_f02_a_command_that_runs_a_job_dies_at_every_moment(scene: Scene) -> None:
    (file,) = scene.define(
        job=[
            {"name": "a", **step("echo a; echo a > a.txt", onWorkerLost="retry"), "artifacts": ["*.txt"]},
            {"name": "wait", "type": "wait", "config": {"duration": "200ms"}},
            {"name": "b", **step("echo b"), "when": "steps.a.state == 'completed'"},
        ]
    )
    book = scene.folder / "book"
    assert scene.victim.run_doomed("exec", file, BOOK=str(book)) == 0
    moments = book.read_text().splitlines()
    assert {"start written", "start committed"} | (F1 - {"before the artifacts"}) <= set(moments)
    text = file.read_text()
    for number, moment in enumerate(moments):
        file.write_text(text.replace('"alias": "job"', f'"alias": "job-{number}"'))  # one that the store does not know
        assert scene.victim.run_doomed("exec", file, DOOM=moment) == -signal.SIGKILL, moment
        assert not scene.ledger.living(), moment
        scene.assert_sound()
    client = scene.victim.start()
    scene.settle(client)
    scene.finish()


def die(victim: Victim, crowd: Crowd, moments: list[str]) -> list[str]:
    """Let one owner after the other die at a moment, and ask the oracle each time; return those that never came."""
    missed = []
    for moment in moments:
        if not _dies(victim, crowd, moment):
            missed.append(moment)
        assert not victim.ledger.living(), moment
        found = victim.problems(crowd.told)
        assert not found, f"{moment}:\n" + "\n".join(found)
    return missed


def _dies(victim: Victim, crowd: Crowd, moment: str) -> bool:
    for _ in range(TRIES):
        client = victim.start_doomed(DOOM=moment)
        if client is not None:
            live(victim, crowd, client)
        if victim.wait() == -signal.SIGKILL:
            return True  # else it ended in good order: this time the moment did not come
    return False
