"""What became of everything after a kill: what steps noted outside of the store, held against what the store says."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.children import NotMeasured
from bench.ending import tree
from bench.entry import Entry, versions
from bench.served import command
from bench.settings import PATIENCE
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.model.state import RUN_FINAL

#: Seconds.
AIM = 20.0
#: What others take, as listed in the design.
LISTED = {"Dagu, s, listed": 135, "Airflow, listed": "minutes"}
#: A step that notes its start outside of the store, works for a while, and notes its end.
STEP = """
note() { echo "$WINDLASS_RUN_ID $WINDLASS_ATTEMPT $(date +%s.%N) $1" >> "$LEDGER"; }
note begin; sleep 2; note end
"""
#: Steps that have begun before a kill: some that may start again, some that may not.
BEGUN: Final = 4


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of everything after one kill."""

    #: From the kill to the next start of a step, and to the next start of one that was cut off.
    seconds: float
    again: float
    accepted: int
    under_way: int
    #: What became of each run that was lost.
    lost: list[str]
    unasked: int
    asked: int


def found_after(killed: float, client: Client, jobs: Mapping[str, str], ledger: Path, under_way: int) -> Recovered:
    """Wait until all runs are final, and return what became of them; `jobs` has the alias of each."""
    until(lambda: any(at > killed for _, at in noted(ledger, "begin")), "the next step to begin")
    until(lambda: all_final(client, jobs), "the end of all runs")
    after = [(attempt, at - killed) for (_, attempt), at in noted(ledger, "begin") if at > killed]
    again = min((at for attempt, at in after if attempt != "1"), default=None)
    if again is None:
        raise NotMeasured("nothing that was cut off was started again")
    lost, unasked, asked = compared(client, jobs, ledger)
    return Recovered(min(at for _, at in after), again, len(jobs), under_way, lost, unasked, asked)


def entry(store: str, found: Mapping[str, Sequence[Recovered]], settings: Mapping[str, Any], **more: str) -> Entry:
    """Return the entry of what was found by who was killed; `more` are versions."""
    slowest = {name: max(one.seconds for one in several) for name, several in found.items()}
    again = {name: max(one.again for one in several) for name, several in found.items()}
    every = [one for several in found.values() for one in several]
    lost, unasked = [text for one in every for text in one.lost], sum(one.unasked for one in every)
    return Entry(
        row="recovery",
        store=store,
        ours=round(max(again.values()), 2),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f"<= {AIM:g} s until what was cut off starts again, 0 lost, 0 unasked second starts",
        met=max(again.values()) <= AIM and not lost and not unasked,
        others={
            **{f"{name} killed, s to the next start": round(seconds, 2) for name, seconds in slowest.items()},
            **{f"{name} killed, s until what was cut off starts": round(seconds, 2) for name, seconds in again.items()},
            "runs accepted": sum(one.accepted for one in every),
            "of them under way at a kill": sum(one.under_way for one in every),
            "lost": len(lost),
            **({"what was lost": lost} if lost else {}),
            "unasked second starts": unasked,
            "second starts that were asked for": sum(one.asked for one in every),
            **LISTED,
        },
        settings=settings,
        versions=versions(**more),
    )


def compared(client: Client, jobs: Mapping[str, str], ledger: Path) -> tuple[list[str], int, int]:
    """Hold what the steps noted against what the store says: what was lost, unasked and asked second starts.

    A run that may not start again and was cut off is not lost where the store says so.
    """
    starts = Counter(run for (run, _), _ in noted(ledger, "begin"))
    ended = {run for (run, _), _ in noted(ledger, "end")}
    lost: list[str] = []
    unasked = asked = 0
    for run_id, alias in jobs.items():
        run = client.get("runs", run_id)
        attempts = list(client.pages("runs", run_id, "executions"))
        told = alias == "once" and run["state"] == "failed" and [one["outcome"] for one in attempts] == ["lost"]
        if not told and not (run["state"] == "completed" and run_id in ended):
            lost.append(f"{alias}: {run['state']}, {run['reason']}, started {starts[run_id]} times")
        more = max(0, starts[run_id] - 1)
        unasked += more if alias == "once" else max(0, starts[run_id] - len(attempts))
        asked += more if alias == "again" else 0
    return lost, unasked, asked


def kill(pid: int, victims: tuple[str, ...]) -> float:
    """Kill processes at once; return when."""
    found = {"up": pid}
    below = [one for one in tree(pid) if one != pid and "supervisor" in command(one)]
    found |= dict(zip(("guard", "supervisor"), below, strict=False))
    if missing := [name for name in victims if name not in found]:
        raise NotMeasured(f"there is no {missing[0]} to be killed")
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none acts on another's end
        for name in victims:
            os.kill(found[name], number)
    return time.time()


def noted(ledger: Path, what: str) -> list[tuple[tuple[str, str], float]]:
    """Return the run and the attempt of each note, and its time."""
    notes = [line.split() for line in ledger.read_text().splitlines()]
    return [((note[0], note[1]), float(note[2])) for note in notes if note[3] == what]


def under_way(ledger: Path) -> set[tuple[str, str]]:
    """Return the run and the attempt of what has begun and not ended."""
    ended = {attempt for attempt, _ in noted(ledger, "end")}
    return {attempt for attempt, _ in noted(ledger, "begin")} - ended


def all_final(client: Client, jobs: Mapping[str, str]) -> bool:
    """Say whether all runs are final; not while a server that recovers cannot tell."""
    try:
        return all(client.get("runs", run_id)["state"] in RUN_FINAL for run_id in jobs)
    except Unavailable:
        return False


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something. Raises NotMeasured, with what it was, where it does not come about."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise NotMeasured(f"{what} did not come about within {PATIENCE} s")
        time.sleep(0.01)
