"""Lines of output on their way into the store and to somebody who follows them, and whether all of them came."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.children import NotMeasured, flushes
from bench.entry import Entry, versions
from bench.served import apply, client_of, new_home, up
from bench.settings import LOGS
from windlass.client.client import Client

#: Lines a second.
AIM = 50_000
#: What AWX publishes, in events a second on 4 cores.
LISTED = "1,100 to 1,600"
VARIABLE = "BENCH_TOKEN"
_TEXT = "line %08.0f of a log that somebody follows as it is written"


@dataclass(frozen=True, slots=True)
class Way:
    """How lines are written."""

    #: Steps that write at one time.
    writers: int = 1
    #: Whether each line is a write of its own, as where programs flush what they say.
    singly: bool = False
    #: Whether a secret is to be looked for in what they write.
    secret: bool = False


WAYS: Mapping[str, Way] = {
    "one step": Way(),
    "four steps": Way(writers=4),
    "one step, a write a line": Way(singly=True),
    "one step with a secret": Way(secret=True),
}


def measure(store: str, rounds: int) -> Entry:
    """Follow what steps write, from the start of their run to its last line; the peers do not keep logs."""
    lines = LOGS["lines"]
    found: dict[str, list[Followed]] = {name: [] for name in WAYS}
    with new_home() as env, up(env | {VARIABLE: "s3cret-that-is-nowhere-in-it"}):
        client = client_of(env)
        apply(client, *((_alias(name), _steps(lines, way)) for name, way in WAYS.items()))
        for _ in range(rounds):
            for name, way in WAYS.items():
                found[name].append(follow(client, _alias(name), lines, way.writers))
    rates = {name: statistics.median(one.rate for one in several) for name, several in found.items()}
    wrong = {name: [one.wrong for one in several if one.wrong] for name, several in found.items()}
    whole = not any(wrong.values())
    return Entry(
        row="logs",
        store=store,
        ours=round(rates["one step"]),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f">= {AIM:,} lines/s, all of them, in order",
        met=min(rates.values()) >= AIM and whole,
        others={
            **{f"{name}, lines/s": round(rate) for name, rate in rates.items()},
            "complete and in order, at the follower and in the store": whole,
            **{f"{name}, what was wrong": several for name, several in wrong.items() if several},
            "seconds to the follower's first line": round(statistics.median(one.first for one in found["one step"]), 3),
            "AWX, events/s, listed": LISTED,
        },
        settings={**LOGS, "rounds": rounds, "flushes a second": flushes()},
        versions=versions(),
    )


@dataclass(slots=True)
class Followed:
    """What a follower saw of one run."""

    #: Lines a second, from the start of the run to the last one.
    rate: float
    #: Seconds from the start of the run to the first one.
    first: float
    #: What was missing or out of place; empty where nothing was.
    wrong: list[str] = field(default_factory=list)


def follow(client: Client, alias: str, lines: int, writers: int) -> Followed:
    """Run a job and follow its log; compare with what its steps wrote, and with what the store has afterwards."""
    began = time.perf_counter()
    run = client.post("jobs", alias, "run", body={})
    received: dict[str, list[str]] = {_name(number): [] for number in range(writers)}
    times = []
    for event in client.events("runs", run["id"], "logs", follow=True):
        chunk = event.json()
        if chunk["stream"] == "stdout":
            received[chunk["step"]].append(chunk["data"])
            times.append(time.perf_counter())
    ended = client.get("runs", run["id"])
    if ended["state"] != "completed" or not times:
        raise NotMeasured(f"the run that writes lines ended as {ended['state']}: {ended['error']}")
    wrong = []
    for step, texts in received.items():
        kept = b"".join(client.read("runs", run["id"], "logs", step=step)).decode()
        wrong += [f"{step}, {who}: {text}" for who, text in _faults("".join(texts), kept, lines)]
    return Followed(writers * lines / (times[-1] - began), times[0] - began, wrong)


def _faults(received: str, kept: str, lines: int) -> Iterator[tuple[str, str]]:
    expected = [_TEXT % number for number in range(1, lines + 1)]
    for who, text in (("follower", received), ("store", kept)):
        found = text.split("\n")[:-1]
        if found != expected:
            missing = len(set(expected) - set(found))
            yield who, f"{missing} of {lines} lines are missing, {_unordered(found)} come before one that was earlier"


def _unordered(found: Sequence[str]) -> int:
    return sum(one > other for one, other in pairwise(found))


def _alias(way: str) -> str:
    return way.replace(",", "").replace(" ", "-")


def _name(writer: int) -> str:
    return f"w{writer}"


def _steps(lines: int, way: Way) -> list[dict[str, Any]]:
    command = [*(["stdbuf", "-oL"] if way.singly else []), "seq", "-f", _TEXT, str(lines)]
    step: dict[str, Any] = {"type": "process", "config": {"command": command}}
    if way.secret:
        step["env"] = {"TOKEN": f"secret://env/{VARIABLE}"}
    steps = [{"name": _name(number), **step} for number in range(way.writers)]
    if way.writers > 1:  # no edges at all would be a sequence
        steps = [{"name": "begin", "run": ":", "next": [step["name"] for step in steps]}, *steps]
    return steps
