"""A thousand no-op steps: one after the other, and side by side with a join; milliseconds a step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.children import ours, peer, peer_if_any
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.settings import DAGSTER, DBOS, OURS, PREFECT

#: Milliseconds a step.
CHAIN, FAN = 1.0, 0.3


def measure(store: str, rounds: int) -> Entry:
    """Run both shapes, ours and the peer's in turn."""
    found = in_turn(
        rounds,
        {
            "windlass": partial(ours, "steps1000", OURS["steps1000"]),
            "dbos": partial(peer, "dbos", "steps1000", DBOS["steps1000"]),
        },
    )
    dagster = peer_if_any("dagster", "steps1000", DAGSTER["steps1000"])  # once: they take a hundred times as long
    prefect = peer_if_any("prefect", "steps1000", PREFECT["steps1000"])
    chain, fan = median_of(found["windlass"], "chain"), median_of(found["windlass"], "fan")
    dbos = median_of(found["dbos"], "chain")
    return Entry(
        row="steps1000",
        store=store,
        ours=round(chain, 3),
        peer=round(dbos, 3),
        peer_name="DBOS, SQLite, chain",
        ratio=better(chain, dbos, times=True),
        aim=f"chain <= {CHAIN:g} ms, fan <= {FAN:g} ms a step",
        met=chain <= CHAIN and fan <= FAN,
        others={
            "ours fan-out and join": round(fan, 3),
            "DBOS fan-out and join": round(median_of(found["dbos"], "fan"), 3),
            "Dagster, SQLite": _other(dagster),
            "Prefect, SQLite": _other(prefect),
        },
        settings={
            "ours": OURS["steps1000"],
            "dbos": DBOS["steps1000"],
            "dagster": DAGSTER["steps1000"],
            "prefect": PREFECT["steps1000"],
            "rounds": rounds,
        },
        versions=versions(
            dbos=found["dbos"][0]["version"],
            dagster=dagster.get("version", "-"),
            prefect=prefect.get("version", "-"),
        ),
    )


def _other(figures: Mapping[str, Any]) -> Any:
    """Return the figures of a peer that may be missing, or why they are."""
    if "unmeasured" in figures:
        return figures["unmeasured"]
    return {name: round(value, 2) for name, value in figures.items() if name != "version"}
