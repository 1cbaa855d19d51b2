"""A graph of steps from one thousand to a hundred thousand: ordered, put in layers, and driven to its end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.children import measured
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.settings import GRAPH

#: Seconds for the largest; how much longer a node of it may take than one of the smallest.
SECONDS, GROWTH = 2.0, 2.0
_PARTS = ("order", "layers", "progress")


def measure(_: str, rounds: int) -> Entry:
    """Drive graphs of all sizes without a store; the standard library's order is the peer."""
    sizes = GRAPH["sizes"]
    found = {size: in_turn(rounds, _sides(size)) for size in sizes}
    parts = {size: {part: median_of(one["ours"], part) for part in _PARTS} for size, one in found.items()}
    totals = {size: sum(each.values()) for size, each in parts.items()}
    small, large = min(sizes), max(sizes)
    growth = (totals[large] / large) / (totals[small] / small)
    standard = {size: median_of(one["graphlib"], "order") for size, one in found.items()}
    return Entry(
        row="graph",
        store=None,
        ours=round(totals[large], 3),
        peer=round(standard[large], 3),
        peer_name="graphlib, order only",
        ratio=better(parts[large]["order"], standard[large], times=True),
        aim=f"{large:,} steps <= {SECONDS:g} s, a step of them <= {GROWTH:g}x one of {small:,}",
        met=totals[large] <= SECONDS and growth <= GROWTH,
        others={
            **{f"{size:,} steps, s": _rounded(each) for size, each in parts.items()},
            "a step of the largest, times one of the smallest": round(growth, 2),
            "graphlib, taken as they become ready, s": round(median_of(found[large]["graphlib"], "progress"), 3),
        },
        settings={**GRAPH, "rounds": rounds},
        versions=versions(),
    )


def _sides(size: int) -> dict[str, Any]:
    options = {"nodes": size, "edges": GRAPH["edges"]}
    return {side: partial(measured, "bench.graph", side, options) for side in ("ours", "graphlib")}


def _rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(seconds, 4) for name, seconds in parts.items()}
