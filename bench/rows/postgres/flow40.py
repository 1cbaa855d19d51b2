"""A flow of forty light Python steps in sequence on PostgreSQL, each working out a small Fibonacci number."""

from __future__ import annotations

from bench.entry import Entry, better
from bench.queues import NAMES, beside, best, median, why_not
from bench.rows.flow40 import INLINE, ISOLATED, PUBLISHED


def measure(store: str, rounds: int) -> Entry:
    """Run the flow isolated and in place, ours and the peers' in turn."""
    found, conditions = beside("flow40", "flow40", rounds)
    isolated, inline = median(found["windlass"], "isolated"), median(found["windlass"], "inline")
    thread = median(found["windlass"], "thread")
    theirs = {name: median(several, "inline") for name, several in found.items() if name != "windlass"}
    name, quickest = best(theirs, times=True)
    return Entry(
        row="flow40",
        store=store,
        ours=None if inline is None else round(inline, 4),
        peer=None if quickest is None else round(quickest, 4),
        peer_name=name,
        ratio=better(inline, quickest, times=True),
        aim=f"<= {INLINE:g} s in process, <= {ISOLATED:g} s isolated",
        met=inline is not None and isolated is not None and inline <= INLINE and isolated <= ISOLATED,
        others={
            **({} if isolated is None else {"ours isolated in a warm process": round(isolated, 4)}),
            **({} if thread is None else {"ours in a thread": round(thread, 4)}),
            **{f"{NAMES[name]}, in process": round(figure, 4) for name, figure in theirs.items() if figure is not None},
            **{f"{name}, published": seconds for name, seconds in PUBLISHED.items()},
            **dict(why_not(found)),
        },
        **conditions,
    )
