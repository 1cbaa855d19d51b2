"""A flow of forty light Python steps in sequence, each working out a small Fibonacci number."""

from __future__ import annotations

from bench.beside import beside, conditions
from bench.entry import Entry, better, median_of

#: Seconds.
ISOLATED, INLINE = 1.0, 0.2
#: What others publish for the same flow on 2 cores, in seconds.
PUBLISHED = {"Windmill": 4.4, "Windmill, dedicated workers": 2.1, "Kestra": 6.0, "Airflow": 116.0}


def measure(store: str, rounds: int) -> Entry:
    """Run the flow isolated and in place, ours and the peer's in turn."""
    found = beside("flow40", rounds)
    isolated, inline = median_of(found["windlass"], "isolated"), median_of(found["windlass"], "inline")
    dbos = median_of(found["dbos"], "inline")
    return Entry(
        row="flow40",
        store=store,
        ours=round(inline, 4),
        peer=round(dbos, 4),
        peer_name="DBOS, SQLite, in process",
        ratio=better(inline, dbos, times=True),
        aim=f"<= {INLINE:g} s in process, <= {ISOLATED:g} s isolated",
        met=inline <= INLINE and isolated <= ISOLATED,
        others={
            "ours isolated in a warm process": round(isolated, 4),
            "ours in a thread": round(median_of(found["windlass"], "thread"), 4),
            **{f"{name}, published": seconds for name, seconds in PUBLISHED.items()},
        },
        **conditions("flow40", rounds, found),
    )
