"""Submitting and draining on PostgreSQL while other transactions keep vacuum from removing anything.

One is held open in the database of the queue and one in another of the same server, both with an id and a snapshot.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from bench.children import NotMeasured, flushes
from bench.entry import Entry, better, versions
from bench.queues import NAMES, asked_for, side
from bench.services import Postgres, postgres
from bench.settings import HORIZON, ON_POSTGRES

#: Of the rate before, what must be left at the end of the time.
SHARE: Final = 0.8
#: The table from which work is claimed, by side.
CLAIMED: Final = {"windlass": "queue", "pgqueuer": "pgqueuer"}
_SIDES: Final = tuple(name for name, rows in ON_POSTGRES.items() if "horizon" in rows)


@dataclass(slots=True)
class Held:
    """What was seen from outside, by times of `time.perf_counter`."""

    began: float = 0.0
    ended: float = 0.0
    #: Sizes of the tables before, at the end of the time, and some time after it.
    sizes: list[dict[str, float]] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)


def measure(store: str, _: int) -> Entry:
    """Measure each side once: the medians are those of many cycles of submitting and draining."""
    found: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    with postgres() as server:
        for name in filter(asked_for, _SIDES):
            try:
                found[name] = _side(server, name)
            except NotMeasured as error:
                missing[NAMES.get(name, name)] = str(error)
        version = server.version
    ours, peer = found.get("windlass", {}), found.get("pgqueuer", {})
    rate, other = ours.get("jobs/s at the end of it"), peer.get("jobs/s at the end of it")
    return Entry(
        row="horizon",
        store=store,
        ours=rate,
        peer=other,
        peer_name=None if other is None else NAMES["pgqueuer"],
        ratio=better(rate, other),
        aim=f"jobs/s submitted and drained at the end of {HORIZON['held']:g} s, >= {SHARE:.0%} of those before",
        met=rate is not None and rate >= SHARE * ours["jobs/s before"],
        others={**{NAMES.get(name, name): figures for name, figures in found.items()}, **missing},
        settings={
            **{name: ON_POSTGRES[name]["horizon"] for name in _SIDES},
            **HORIZON,
            "flushes a second": flushes(),
        },
        versions=versions(PostgreSQL=version, **{name: str(one["version"]) for name, one in found.items()}),
    )


def _side(server: Postgres, name: str) -> dict[str, Any]:
    """Let one side submit and drain all the time, and hold the transactions for a part of it."""
    held = Held()
    start = time.perf_counter() + HORIZON["start"]
    until = start + 2 * HORIZON["around"] + HORIZON["held"]
    with server.database("bench") as url, server.database("elsewhere"):
        outside = threading.Thread(target=_hold, args=(server, CLAIMED[name], start + HORIZON["around"], held))
        outside.start()
        try:
            options = {**ON_POSTGRES[name]["horizon"], "url": url, "until": until}
            told = side(name, "cycles", options, until - time.perf_counter() + 2 * HORIZON["start"])
        finally:
            outside.join()
    if held.trouble:
        raise NotMeasured(f"the transactions could not be held: {held.trouble[0]}")
    count = ON_POSTGRES[name]["horizon"]["count"]
    return {**_phases(told["cycles"], count, held), "version": told["version"]}


def _hold(server: Postgres, table: str, at: float, held: Held) -> None:
    """Hold the transactions from a time on, and weigh the tables."""
    try:
        with ExitStack() as stack:
            time.sleep(max(0.0, at - time.perf_counter()))
            held.sizes.append(_sizes(server, table))
            for database in ("bench", "elsewhere"):
                stack.callback(server.hold(database).end)
            held.began = time.perf_counter()
            time.sleep(HORIZON["held"])
            held.sizes.append(_sizes(server, table))
        held.ended = time.perf_counter()
        time.sleep(0.8 * HORIZON["around"])
        held.sizes.append(_sizes(server, table))
    except Exception as error:  # noqa: BLE001 - told by who waits for this thread
        held.trouble.append(error)


def _sizes(server: Postgres, table: str) -> dict[str, float]:
    """Return what there is to be gone through on the way to a job, and how large everything is; MB."""
    megabytes, dead, all_of_it = server.ask(
        f"SELECT round(pg_total_relation_size('{table}') / 1e6, 1), pg_stat_get_dead_tuples('{table}'::regclass), "
        "round(pg_database_size(current_database()) / 1e6)",
        "bench",
    ).split("|")
    return {f"{table}, MB": float(megabytes), f"{table}, dead rows": int(dead), "database, MB": float(all_of_it)}


def _phases(cycles: Sequence[Sequence[float]], count: int, held: Held) -> dict[str, Any]:
    """Return the median rate of each phase, and the sizes at its end."""
    rates = [(began, count / (ended - began)) for began, ended in cycles]
    last = held.ended - HORIZON["held"] / 10
    phases = {
        "jobs/s before": [rate for began, rate in rates[1:] if began < held.began],
        "jobs/s meanwhile": [rate for began, rate in rates if held.began <= began < held.ended],
        "jobs/s at the end of it": [rate for began, rate in rates if last <= began < held.ended],
        "jobs/s after": [rate for began, rate in rates if held.ended <= began],
    }
    if not all(phases.values()):
        raise NotMeasured(f"{len(rates)} cycles were too few for the time")
    return {
        **{name: round(statistics.median(found)) for name, found in phases.items()},
        **{
            f"sizes {when}": sizes
            for when, sizes in zip(("before", "at the end of it", "after"), held.sizes, strict=True)
        },
    }
