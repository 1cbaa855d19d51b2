"""Runs accepted, each durable before the next is asked for; by many callers at once; and in bulk."""

from __future__ import annotations

from functools import partial

from bench.children import flushes, ours, peer
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.settings import DBOS, HUEY, OURS

#: Rows that a submission writes: the run, its place in the queue and the event. Huey writes one.
ROWS = 3


def measure(store: str, rounds: int) -> Entry:
    """Submit no-ops that nobody takes, ours and the peers' in turn."""
    found = in_turn(
        rounds,
        {
            "windlass": partial(ours, "submit", OURS["submit"]),
            "huey": partial(peer, "huey", "submit", HUEY["submit"]),
            "dbos": partial(peer, "dbos", "submit", DBOS["submit"]),
        },
    )
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
        settings={
            "ours": OURS["submit"],
            "huey": HUEY["submit"],
            "dbos": DBOS["submit"],
            "rounds": rounds,
            "flushes a second": flushes(),
        },
        versions=versions(huey=found["huey"][0]["version"], dbos=found["dbos"][0]["version"]),
    )
