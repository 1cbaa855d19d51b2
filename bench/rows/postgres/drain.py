"""No-ops worked off by one process on PostgreSQL, durably, with the whole history kept."""

from __future__ import annotations

from bench.entry import Entry, better
from bench.queues import NAMES, beside, best, median, why_not

#: How many times as fast as PgQueuer.
TIMES = 2


def measure(store: str, rounds: int) -> Entry:
    """Drain a queue by one process a side, all sides in turn."""
    return drained("drain", store, rounds)


def drained(row: str, store: str, rounds: int) -> Entry:
    """Drain a queue by as many processes as the settings of the row say."""
    found, conditions = beside(row, "drain", rounds)
    rates = {name: median(several, "rate") for name, several in found.items()}
    mine, pgqueuer = rates.pop("windlass"), rates.get("pgqueuer")
    name, fastest = best(rates)
    return Entry(
        row=row,
        store=store,
        ours=None if mine is None else round(mine),
        peer=None if fastest is None else round(fastest),
        peer_name=name,
        ratio=better(mine, fastest),
        aim=f">= {TIMES}x PgQueuer, runs/s",
        met=mine is not None and pgqueuer is not None and mine >= TIMES * pgqueuer,
        others={
            **{NAMES[name]: round(rate) for name, rate in rates.items() if rate is not None},
            "until the last end is durable": {
                NAMES.get(name, name): round(figure)
                for name, several in found.items()
                if (figure := median(several, "until_durable")) is not None
            },
            "rounds": {
                NAMES.get(name, name): [round(one["rate"]) for one in several if "rate" in one]
                for name, several in found.items()
            },
            **dict(why_not(found)),
        },
        **conditions,
    )
