"""A thousand no-op steps on PostgreSQL: one after the other, and side by side with a join; milliseconds a step."""

from __future__ import annotations

from bench.entry import Entry, better
from bench.queues import NAMES, beside, best, median, why_not

#: Milliseconds a step.
CHAIN, FAN = 2.0, 0.5


def measure(store: str, rounds: int) -> Entry:
    """Run both shapes, ours and the peers' in turn."""
    found, conditions = beside("steps1000", "steps1000", rounds)
    chain, fan = median(found["windlass"], "chain"), median(found["windlass"], "fan")
    theirs = {name: several for name, several in found.items() if name != "windlass"}
    name, quickest = best({name: median(several, "chain") for name, several in theirs.items()}, times=True)
    return Entry(
        row="steps1000",
        store=store,
        ours=None if chain is None else round(chain, 3),
        peer=None if quickest is None else round(quickest, 3),
        peer_name=None if name is None else f"{name}, chain",
        ratio=better(chain, quickest, times=True),
        aim=f"chain <= {CHAIN:g} ms, fan <= {FAN:g} ms a step",
        met=chain is not None and fan is not None and chain <= CHAIN and fan <= FAN,
        others={
            **({} if fan is None else {"ours fan-out and join": round(fan, 3)}),
            **{
                f"{NAMES[name]}, {shown}": round(figure, 3)
                for name, several in theirs.items()
                for shown, shape in (("chain", "chain"), ("fan-out and join", "fan"))
                if (figure := median(several, shape)) is not None
            },
            **dict(why_not(found)),
        },
        **conditions,
    )
