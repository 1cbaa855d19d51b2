"""No-ops worked off by one process, durably, with the whole history kept."""

from __future__ import annotations

from functools import partial

from bench.children import flushes, ours, peer
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.settings import DBOS, HUEY, OURS

TIMES = 10


def measure(store: str, rounds: int) -> Entry:
    """Drain a queue of no-ops, ours and the peers' in turn."""
    found = in_turn(
        rounds,
        {
            "windlass": partial(ours, "drain", OURS["drain"]),
            "huey": partial(peer, "huey", "drain", HUEY["drain"]),
            "dbos": partial(peer, "dbos", "drain", DBOS["drain"]),
        },
    )
    mine, huey = median_of(found["windlass"], "rate"), median_of(found["huey"], "rate")
    return Entry(
        row="drain",
        store=store,
        ours=round(mine),
        peer=round(huey),
        peer_name="Huey, SQLite",
        ratio=better(mine, huey),
        aim=f">= {TIMES}x Huey, runs/s",
        met=mine >= TIMES * huey,
        others={
            "DBOS, SQLite": round(median_of(found["dbos"], "rate")),
            "ours until the last end is durable": round(median_of(found["windlass"], "until_durable")),
            "rounds": {name: [round(one["rate"]) for one in rates] for name, rates in found.items()},
        },
        settings={
            "ours": OURS["drain"],
            "huey": HUEY["drain"],
            "dbos": DBOS["drain"],
            "rounds": rounds,
            "flushes a second": flushes(),
        },
        versions=versions(huey=found["huey"][0]["version"], dbos=found["dbos"][0]["version"]),
    )
