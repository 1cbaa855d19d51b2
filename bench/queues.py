"""Rows that are measured beside queues on PostgreSQL and Redis: one server of each a row, a new database a side."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from bench.children import NotMeasured, flushes, measured, peer
from bench.entry import in_turn, versions
from bench.services import Postgres, Redis, postgres, redis
from bench.settings import BESIDE, ON_POSTGRES, ON_REDIS, PATIENCE

#: Sides that are no peers.
OURSELVES: Final = frozenset({"windlass", "windlass_inside"})
#: What is measured of every queue in the same way, by `bench/peers/measuring.py`.
QUEUE_MODES: Final = frozenset({"drain", "submit", "latency", "cycles"})

Figures = Mapping[str, Any]
Found = Mapping[str, Sequence[Figures]]

#: How a side is called where its program is not called so.
NAMES: Final = {
    "windlass_inside": "windlass in the process that submits",
    "pgqueuer": "PgQueuer",
    "procrastinate": "Procrastinate",
    "dbos": "DBOS",
    "dbos_postgres": "DBOS",
    "absurd": "absurd",
    "absurd_flows": "absurd",
    "awa": "awa-pg",
    "celery": "Celery, Redis",
    "dramatiq": "Dramatiq, Redis",
    "taskiq": "Taskiq, Redis",
    "huey_redis": "Huey, Redis",
}


def beside(row: str, mode: str, rounds: int) -> tuple[Found, dict[str, Any]]:
    """Measure Windlass and the queues that have settings for a row, in turn.

    Return the rounds of each by name, a sentence `unmeasured` where there are no figures, and what an entry says of how
    they were measured. Raises NotMeasured where there is no PostgreSQL.
    """
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        wanted = any(row in settings and asked_for(name) for name, settings in ON_REDIS.items())
        cache = _redis_if_any(stack) if wanted else "this row needs no Redis"
        sides: dict[str, Callable[[], Figures]] = {}
        for name, settings in ON_POSTGRES.items():
            if row in settings and asked_for(name):
                sides[name] = _Once(partial(on_postgres, server, name, mode, settings[row]))
        for name, settings in ON_REDIS.items():
            if row in settings and asked_for(name):
                sides[name] = _Once(partial(_on_redis, cache, name, mode, settings[row]))
        found = in_turn(rounds, sides)
        told = {"PostgreSQL": server.version, **({} if isinstance(cache, str) else {"Redis": cache.version})}
    peers = {name: str(rounds[0].get("version", "-")) for name, rounds in found.items() if name not in OURSELVES}
    of_all = {**ON_POSTGRES, **ON_REDIS}
    return found, {
        "settings": {
            **{name: of_all[name][row] for name in found},
            "rounds": len(found["windlass"]),
            "flushes a second": flushes(),
            "PostgreSQL": "fsync, synchronous_commit and full_page_writes on, else as it is by default",
            **({"Redis": "nothing is kept on disk"} if wanted else {}),
        },
        "versions": versions(**told, **peers),
    }


def asked_for(name: str) -> bool:
    """Say whether a side is to be measured: Windlass is, and of its peers those that were named."""
    return name in OURSELVES or not BESIDE or name.partition("_")[0] in BESIDE


def known_peers() -> list[str]:
    """Return the names of all peers on PostgreSQL and Redis."""
    return sorted({name.partition("_")[0] for name in (*ON_POSTGRES, *ON_REDIS) if name not in OURSELVES})


def on_postgres(server: Postgres, name: str, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a side in a new database. Raises NotMeasured and TimeoutExpired."""
    with server.database("bench") as url:
        return side(name, mode, {**options, "url": url})


def side(name: str, mode: str, options: Mapping[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
    """Measure a side that has its own database already. Raises NotMeasured and TimeoutExpired."""
    if name not in OURSELVES:
        return peer(name, mode, options, patience=patience)
    beside_others = name == "windlass" and mode in QUEUE_MODES
    return measured("bench.on_windlass" if beside_others else "bench.ours", mode, options, patience)


def _on_redis(server: Redis | str, name: str, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(server, str):
        raise NotMeasured(server)
    server.empty()
    return peer(name, mode, {**options, "url": server.url})


def _redis_if_any(stack: ExitStack) -> Redis | str:
    """Return a running Redis, or why there is none: PostgreSQL is measured without it."""
    try:
        return stack.enter_context(redis())
    except NotMeasured as error:
        return str(error)


class _Once:
    """A side that is not tried again once it could not be measured; its figures are a sentence then."""

    def __init__(self, measure: Callable[[], Figures]) -> None:
        self._measure = measure
        self._failed: Figures | None = None

    def __call__(self) -> Figures:
        if self._failed is None:
            try:
                found = self._measure()
            except NotMeasured as error:
                found = {"unmeasured": str(error)}
            except subprocess.TimeoutExpired as error:
                found = {"unmeasured": f"it took longer than {error.timeout:g} s"}
            if "unmeasured" not in found:
                return found
            self._failed = found
        return self._failed


def median(rounds: Sequence[Figures], *path: str) -> float | None:
    """Return the median of a figure, by its name or the names on the way to it; None where it is not there."""
    found = []
    for one in rounds:
        figure: Any = one
        for name in path:
            figure = figure.get(name) if isinstance(figure, Mapping) else None
        if figure is not None:
            found.append(figure)
    return statistics.median(found) if found else None


def why_not(found: Found) -> Iterator[tuple[str, str]]:
    """Yield the sides without figures, each with the sentence that says why."""
    for name, rounds in found.items():
        for sentence in {one["unmeasured"] for one in rounds if "unmeasured" in one}:
            yield NAMES.get(name, name), sentence


def best(figures: Mapping[str, float | None], *, times: bool = False) -> tuple[str | None, float | None]:
    """Return the peer with the best figure, and the figure; `times` says that less is better."""
    known = {name: figure for name, figure in figures.items() if figure is not None and name not in OURSELVES}
    if not known:
        return None, None
    name = (min if times else max)(known, key=known.__getitem__)
    return NAMES.get(name, name), known[name]
