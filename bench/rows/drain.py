"""No-ops worked off by one process, durably, with the whole history kept."""

from __future__ import annotations

from bench.beside import beside, conditions
from bench.children import NotMeasured, flushes, ours, peer
from bench.entry import Entry, better, median_of
from bench.settings import FLUSHES, HUEY, OURS
from bench.slow_flush import slowed

TIMES = 10


def measure(store: str, rounds: int) -> Entry:
    """Drain a queue of no-ops, ours and the peers' in turn."""
    found = beside("drain", rounds)
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
            **_on_slower_disks(),
            "rounds": {name: [round(one["rate"]) for one in rates] for name, rates in found.items()},
        },
        **conditions("drain", rounds, found, **{"flushes a second": flushes()}),
    )


def _on_slower_disks() -> dict[str, object]:
    """Measure both once more where a flush takes longer: a commit for each run waits for it, a group of them hardly."""
    found: dict[str, object] = {}
    for seconds in FLUSHES:
        try:
            env = slowed(seconds)
        except NotMeasured as error:
            return {"slower disks": str(error)}
        mine = ours("drain", OURS["drain"], env)["rate"]
        huey = peer("huey", "drain", HUEY["drain"], env)["rate"]
        found[f"a flush of {seconds * 1000:g} ms"] = {
            "windlass": round(mine),
            "huey": round(huey),
            "ratio": better(mine, huey),
        }
    return found
