"""A hundred thousand final runs leave for the archive, while others are drained."""

from __future__ import annotations

from functools import partial

from bench.children import flushes, measured
from bench.entry import Entry, in_turn, median_of, versions
from bench.settings import OURS

#: Of the rate without an archiver, what is left to draining beside it.
SHARE = 0.5
#: Seconds for a round.
_PATIENCE = 600


def measure(store: str, rounds: int) -> Entry:
    """Archive and drain at the same time; the peers have no archive."""
    found = in_turn(rounds, {"windlass": partial(measured, "bench.ours", "archive", OURS["archive"], _PATIENCE)})
    alone, beside = median_of(found["windlass"], "alone"), median_of(found["windlass"], "beside")
    return Entry(
        row="archive",
        store=store,
        ours=round(median_of(found["windlass"], "rate")),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f"runs archived a second, while draining keeps {SHARE:.0%} of its rate",
        met=beside >= SHARE * alone,
        others={"drained a second alone": round(alone), "drained a second beside": round(beside)},
        settings={"ours": OURS["archive"], "rounds": rounds, "flushes a second": flushes()},
        versions=versions(),
    )
