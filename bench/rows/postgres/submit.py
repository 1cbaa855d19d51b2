"""Runs accepted on PostgreSQL, each durable before the next is asked for; by many callers at once; and in bulk."""

from __future__ import annotations

from bench.entry import Entry, better
from bench.queues import NAMES, beside, best, median, why_not

#: Rows that a submission writes: the run, its place in the queue and the event; PgQueuer a job and a line of a log.
ROWS, PGQUEUER_ROWS = 3, 2


def measure(store: str, rounds: int) -> Entry:
    """Submit no-ops that nobody takes, all sides in turn."""
    found, conditions = beside("submit", "submit", rounds)
    single = {name: median(several, "one_by_one") for name, several in found.items()}
    bulk = {name: median(several, "bulk") for name, several in found.items()}
    together = median(found["windlass"], "many_callers")
    mine, mine_bulk = single.pop("windlass"), bulk.pop("windlass")
    name, fastest = best({name: rate for name, rate in single.items() if name.partition("_")[0] not in _IN_MEMORY})
    return Entry(
        row="submit",
        store=store,
        ours=None if mine is None else round(mine),
        peer=None if fastest is None else round(fastest),
        peer_name=name,
        ratio=better(mine, fastest),
        aim=f">= 1x PgQueuer per row written ({ROWS} to {PGQUEUER_ROWS}), one by one and in bulk; runs/s",
        met=all(_enough(one, other.get("pgqueuer")) for one, other in ((mine, single), (mine_bulk, bulk))),
        others={
            "ours from many callers at once": None if together is None else round(together),
            "ours in bulk": None if mine_bulk is None else round(mine_bulk),
            **{f"{NAMES[name]}, one by one": round(rate) for name, rate in single.items() if rate is not None},
            **{f"{NAMES[name]}, in bulk": round(rate) for name, rate in bulk.items() if rate is not None},
            **dict(why_not(found)),
        },
        **conditions,
    )


#: What keeps nothing on a disk is told, and is nobody's peer here.
_IN_MEMORY = frozenset({"celery", "dramatiq", "taskiq", "huey"})


def _enough(ours: float | None, pgqueuer: float | None) -> bool:
    return ours is not None and pgqueuer is not None and ours * ROWS >= pgqueuer * PGQUEUER_ROWS
