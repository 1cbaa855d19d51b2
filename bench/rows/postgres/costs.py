"""What each piece of work costs PostgreSQL and a worker: what docs/scaling.md reckons with."""

from __future__ import annotations

from typing import Final

from bench.children import measured
from bench.entry import Entry, versions
from bench.services import postgres
from bench.settings import COSTS

#: What a run without anything to do needs from its submission to its end.
_OF_A_RUN: Final = (
    "a run accepted in bulk",
    "a run accepted, vacuum",
    "a run worked off, in batches",
    "a run worked off, vacuum",
)
#: Runs that one processor of the server carries in a second: a million a minute on six of them.
AIM: Final = 3_000


def measure(store: str, _: int) -> Entry:
    """Measure each kind of work once, many times over."""
    with postgres() as server, server.database("bench") as url:
        options = {**COSTS, "url": url, "server": server.pid}
        costs = measured("bench.costs", "measure", options, COSTS["patience"])["costs"]
        version = server.version
    of_a_run = sum(costs[name]["server, us"] for name in _OF_A_RUN)
    rate = 1e6 / of_a_run
    return Entry(
        row="costs",
        store=store,
        ours=round(rate),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f">= {AIM:,} runs/s of processor time of the server",
        met=rate >= AIM,
        others=costs,
        settings=COSTS,
        versions=versions(PostgreSQL=version),
    )
