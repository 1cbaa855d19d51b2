"""From a submission to the first line of its job, while there is nothing else to do."""

from __future__ import annotations

from functools import partial

from bench.children import ours, peer
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.settings import DBOS, HUEY, OURS

#: Milliseconds.
P50, P99 = 3.0, 6.0


def measure(store: str, rounds: int) -> Entry:
    """Submit one no-op after the other at leisure, ours and the peers' in turn."""
    found = in_turn(
        rounds,
        {
            "windlass": partial(ours, "latency", OURS["latency"]),
            "huey": partial(peer, "huey", "latency", HUEY["latency"]),
            "dbos": partial(peer, "dbos", "latency", DBOS["latency"]),
        },
    )
    p50, p99 = median_of(found["windlass"], "p50"), median_of(found["windlass"], "p99")
    huey = median_of(found["huey"], "p50")
    return Entry(
        row="latency",
        store=store,
        ours=round(p50, 2),
        peer=round(huey, 2),
        peer_name="Huey, SQLite, polling each ms",
        ratio=better(p50, huey, times=True),
        aim=f"p50 <= {P50:g} ms, p99 <= {P99:g} ms",
        met=p50 <= P50 and p99 <= P99,
        others={
            "ours p99": round(p99, 2),
            "Huey p99": round(median_of(found["huey"], "p99"), 2),
            "DBOS p50": round(median_of(found["dbos"], "p50"), 2),
            "DBOS p99": round(median_of(found["dbos"], "p99"), 2),
        },
        settings={"ours": OURS["latency"], "huey": HUEY["latency"], "dbos": DBOS["latency"], "rounds": rounds},
        versions=versions(huey=found["huey"][0]["version"], dbos=found["dbos"][0]["version"]),
    )
