"""From a submission to the first line of its job on PostgreSQL, at leisure and at steady rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.entry import Entry, better
from bench.queues import NAMES, Figures, beside, best, median, why_not
from bench.settings import LATENCY

#: Milliseconds.
P50, P99 = 3.0, 6.0


def measure(store: str, rounds: int) -> Entry:
    """Submit no-ops from one process to another, all sides in turn."""
    found, conditions = beside("latency", "latency", rounds)
    p50 = {name: median(several, "idle", "p50") for name, several in found.items()}
    p99 = median(found["windlass"], "idle", "p99")
    mine = p50.pop("windlass")
    name, quickest = best(p50, times=True)
    return Entry(
        row="latency",
        store=store,
        ours=None if mine is None else round(mine, 2),
        peer=None if quickest is None else round(quickest, 2),
        peer_name=name,
        ratio=better(mine, quickest, times=True),
        aim=f"p50 <= {P50:g} ms, p99 <= {P99:g} ms at leisure",
        met=mine is not None and p99 is not None and mine <= P50 and p99 <= P99,
        others={
            **{
                NAMES.get(name, name): _ways(several)
                for name, several in found.items()
                if median(several, "idle", "p50")
            },
            **_inside(found["windlass_inside"]),
            **dict(why_not(found)),
        },
        **conditions,
    )


def _inside(rounds: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures of an application that submits and works in one process."""
    figures = {name: median(rounds, name) for name in ("p50", "p99")}
    found = {name: round(figure, 2) for name, figure in figures.items() if figure is not None}
    return {NAMES["windlass_inside"]: found} if found else {}


def _ways(rounds: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures at each rate, in milliseconds, and the rate that was reached."""
    found = {}
    for way in ("idle", *(f"{rate} Hz" for rate in LATENCY["rates"])):
        figures = {name: median(rounds, way, name) for name in ("p50", "p99", "submitted a second")}
        found[way] = {name: round(figure, 2) for name, figure in figures.items() if figure is not None}
    return found
