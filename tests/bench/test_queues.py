"""Rows on PostgreSQL say what the sides found, and why one found nothing; the sides themselves are stood in for."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

import pytest

from bench import queues
from bench.__main__ import ROWS
from bench.children import NotMeasured
from bench.entry import Entry, table
from bench.rows.postgres import horizon
from bench.services import Postgres
from bench.settings import HORIZON

_EACH: Final = {"p50": 2.0, "p99": 3.0, "submitted a second": 10.0}
#: What each side would say: figures of all rows at once.
OURS: Final[Mapping[str, Any]] = {
    "inline": 0.1,
    "isolated": 0.5,
    "thread": 0.2,
    "chain": 1.5,
    "fan": 0.4,
    "rate": 40_000.0,
    "p50": 2.0,
    "p99": 3.0,
    "until_durable": 39_000.0,
    "one_by_one": 2_000.0,
    "many_callers": 9_000.0,
    "bulk": 50_000.0,
    "idle": _EACH,
    "version": "1",
}
PEER: Final = {**OURS, "rate": 10_000.0, "idle": {**_EACH, "p50": 4.0}, "chain": 3.0, "inline": 0.3}
#: Rows, each with a peer that it is measured beside.
BESIDE: Final = {
    "drain": "pgqueuer",
    "drain2": "pgqueuer",
    "submit": "pgqueuer",
    "latency": "pgqueuer",
    "flow40": "dbos",
    "steps1000": "dbos",
}


class Server(Postgres):
    """A server that nobody started."""

    def ask(self, sql: str, database: str = "postgres") -> str:
        return f"1.5|{len(sql)}|{len(database)}"

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        yield self.url(name)

    def hold(self, database: str) -> Any:
        return SimpleNamespace(database=database, end=lambda: None)


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let every side say what stands here by its name, else `PEER`; an exception is raised."""
    said: dict[str, Any] = {"windlass": OURS}

    def answer(name: str, *_: object, **__: object) -> Any:
        found = said.get(name, PEER)
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def started() -> Iterator[Postgres]:
        yield Server(1, "", "15.0")

    @contextmanager
    def missing() -> Iterator[Postgres]:
        raise NotMeasured("Redis is missing")
        yield

    monkeypatch.setattr(queues, "postgres", started)
    monkeypatch.setattr(horizon, "postgres", started)
    monkeypatch.setattr(queues, "redis", missing)
    monkeypatch.setattr(queues, "measured", lambda *_: answer("windlass"))
    monkeypatch.setattr(queues, "peer", answer)
    return said


def entry_of(row: str, rounds: int = 1) -> Entry:
    entry: Entry = importlib.import_module(f"bench.rows.postgres.{row}").measure("postgres", rounds)
    return entry


@pytest.mark.parametrize("row", BESIDE)
def test_a_row_says_what_was_found(row: str, sides: dict[str, Any]) -> None:  # noqa: ARG001 - it stands in for them
    assert "postgres" in ROWS[row]
    entry = entry_of(row, 2)
    assert (entry.row, entry.store, entry.met) == (row, "postgres", True)
    assert entry.ratio
    assert row in table([entry])
    kept = json.loads(json.dumps(entry.settings))
    assert kept["windlass"]
    assert kept[BESIDE[row]]
    assert entry.versions["PostgreSQL"] == "15.0"


@pytest.mark.parametrize("row", BESIDE)
def test_a_row_without_our_figures_says_why(row: str, sides: dict[str, Any]) -> None:
    sides["windlass"] = {"unmeasured": "The store is not there."}
    entry = entry_of(row)
    assert (entry.ours, entry.ratio, entry.met) == (None, None, False)
    assert entry.others["windlass"] == "The store is not there."
    assert entry.peer
    assert "-" in table([entry])


@pytest.mark.parametrize("row", BESIDE)
def test_a_peer_that_cannot_be_measured_is_told_and_not_tried_again(row: str, sides: dict[str, Any]) -> None:
    sides[BESIDE[row]] = NotMeasured("it could not be installed")
    entry = entry_of(row, 2)
    assert entry.others[queues.NAMES[BESIDE[row]]] == "it could not be installed"
    assert entry.ours


def test_less_than_twice_pgqueuer_is_not_enough(sides: dict[str, Any]) -> None:
    sides["windlass"] = {**OURS, "rate": 19_999.0}
    assert not entry_of("drain").met


def cycles(options: Mapping[str, Any], slower: float) -> dict[str, Any]:
    """Return what a queue does that needs ten milliseconds for a cycle, and from its middle on some times as long."""
    end = options["until"]
    begin = end - 2 * HORIZON["around"] - HORIZON["held"]
    times = [begin + number * 0.01 for number in range(round((end - begin) / 0.01))]
    long = (begin + end) / 2
    return {"version": "1", "cycles": [[at, at + (0.01 if at < long else 0.01 * slower)] for at in times]}


@pytest.mark.parametrize(("slower", "met"), [(1.0, True), (2.0, False)])
def test_a_held_horizon_tells_rates_and_sizes_before_meanwhile_and_after(
    slower: float, met: bool, sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"held": 0.3, "around": 0.1, "start": 0.05}.items():
        monkeypatch.setitem(HORIZON, name, value)
    monkeypatch.setattr(horizon, "side", lambda _, __, options, ___: cycles(options, slower))
    entry = entry_of("horizon")
    assert sides
    assert (entry.met, entry.ratio) == (met, 1.0)
    found = entry.others["windlass"]
    assert found["jobs/s before"] == 300_000
    assert found["jobs/s at the end of it"] == round(300_000 / slower)
    assert [found[f"sizes {when}"]["queue, MB"] for when in ("before", "at the end of it", "after")] == [1.5] * 3


def test_a_horizon_that_could_not_be_held_is_told(sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Server, database: str) -> Any:
        raise NotMeasured(f"{database} refuses it")

    for name in HORIZON:
        monkeypatch.setitem(HORIZON, name, 0.02)
    monkeypatch.setattr(Server, "hold", refuse)
    monkeypatch.setattr(horizon, "side", lambda _, __, options, ___: cycles(options, 1.0))
    entry = entry_of("horizon")
    assert sides
    assert (entry.ours, entry.met) == (None, False)
    assert entry.others["windlass"] == "the transactions could not be held: bench refuses it"
