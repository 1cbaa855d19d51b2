"""From a submission to the first line of its job, while there is nothing else to do."""

from __future__ import annotations

from bench.beside import beside, conditions
from bench.entry import Entry, better, median_of

#: Milliseconds.
P50, P99 = 3.0, 6.0


def measure(store: str, rounds: int) -> Entry:
    """Submit one no-op after the other at leisure, ours and the peers' in turn."""
    found = beside("latency", rounds)
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
        **conditions("latency", rounds, found),
    )
