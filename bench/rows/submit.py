"""Runs accepted, each durable before the next is asked for; by many callers at once; and in bulk."""

from __future__ import annotations

from bench.beside import beside, conditions
from bench.children import flushes
from bench.entry import Entry, better, median_of

#: Rows that a submission writes: the run, its place in the queue and the event. Huey writes one.
ROWS = 3


def measure(store: str, rounds: int) -> Entry:
    """Submit no-ops that nobody takes, ours and the peers' in turn."""
    found = beside("submit", rounds)
    mine, huey = median_of(found["windlass"], "one_by_one"), median_of(found["huey"], "one_by_one")
    bulk = median_of(found["windlass"], "bulk")
    return Entry(
        row="submit",
        store=store,
        ours=round(mine),
        peer=round(huey),
        peer_name="Huey, SQLite",
        ratio=better(mine, huey),
        aim=f">= 1x the best peer per row written ({ROWS} to 1), one by one and in bulk; runs/s",
        met=min(mine, bulk) * ROWS >= huey,
        others={
            "ours from many callers at once": round(median_of(found["windlass"], "many_callers")),
            "ours in bulk, which the peers do not have": round(bulk),
            "DBOS one by one": round(median_of(found["dbos"], "one_by_one")),
        },
        **conditions("submit", rounds, found, **{"flushes a second": flushes()}),
    )
