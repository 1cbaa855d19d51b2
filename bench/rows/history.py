"""The work of every day over a history that grows a hundredfold, and pages of its lists."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from bench.children import flushes, measured
from bench.entry import Entry, versions
from bench.services import postgres
from bench.settings import HISTORY

#: Milliseconds of a page; how much worse anything may be over the longest history than over the shortest.
PAGE, TOLERANCE = 50.0, 1.25
#: Rates, of which more is better, and times.
_RATES, _TIMES = ("drain", "one_by_one", "bulk"), ("latency",)


def measure(store: str, rounds: int) -> Entry:
    """Measure the same at each size, in one store that is filled up from one to the next."""
    sizes = HISTORY["sizes"]
    with ExitStack() as stack:
        options, more = {**HISTORY, "rounds": rounds}, {}
        if store == "postgres":
            server = stack.enter_context(postgres())
            options["url"] = stack.enter_context(server.database("bench"))
            more["PostgreSQL"] = server.version
        found = measured("bench.history", "measure", options, HISTORY["patience"])
    median = {size: _medians(found[str(size)]) for size in sizes}
    small, large = median[min(sizes)], median[max(sizes)]
    worse = {name: round(small[name] / large[name], 2) for name in _RATES}
    worse |= {name: round(large[name] / small[name], 2) for name in _TIMES}
    slowest = max(large["pages"], key=large["pages"].__getitem__)
    page = large["pages"][slowest]
    return Entry(
        row="history",
        store=store,
        ours=round(page, 1),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f"a page of {max(sizes):,} runs <= {PAGE:g} ms; nothing worse than {TOLERANCE:g}x",
        met=page <= PAGE and max(worse.values()) <= TOLERANCE,
        others={
            "slowest list": slowest,
            f"times worse over {max(sizes):,} than over {min(sizes):,} runs": worse,
            **{f"{size:,} runs": _rounded(one) for size, one in median.items()},
        },
        settings={**HISTORY, "rounds": rounds, "flushes a second": flushes()},
        versions=versions(**more),
    )


def _medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: statistics.median(one[name] for one in rounds) for name in (*_RATES, *_TIMES, "open")
    }
    found["pages"] = {name: statistics.median(one["pages"][name] for one in rounds) for name in rounds[0]["pages"]}
    found["megabytes"] = rounds[0]["megabytes"]
    return found


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "drained a second": round(figures["drain"]),
        "submitted a second, one by one": round(figures["one_by_one"]),
        "submitted a second, in bulk": round(figures["bulk"]),
        "from submission to start, ms": round(figures["latency"], 2),
        "opened in, s": round(figures["open"], 2),
        "pages, ms": {name: round(value, 1) for name, value in figures["pages"].items()},
        "database, MB": round(figures["megabytes"]),
    }
