"""What docs/scaling.md reckons and simulates holds where it can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.scaling import reckoning
from tools.scaling.bursts import Fleet, Load, Server, simulate
from tools.scaling.costs import Cost
from tools.scaling.reckoning import BUSY, KINDS, carried, databases, of_a_run

SERVER = Server(processors=2, accept=0.001, exchange=0.002, run=0.004, away=0.01)
ONE = Fleet(workers=1, slots=100, batch=10, work=0.05)


def test_a_run_that_meets_nobody_waits_for_its_own_two_transactions_and_the_way() -> None:
    found = simulate(SERVER, ONE, Load(rate=0.1, burst=1, runs=200))
    assert found.p50 == pytest.approx(0.002 + 0.001 + 0.002 + 0.004 / 2 + 0.01)


def test_the_same_seed_gives_the_same_and_another_one_other_figures() -> None:
    load = Load(rate=100, burst=20, runs=500)
    simulate.cache_clear()
    first = simulate(SERVER, ONE, load, 1)
    simulate.cache_clear()
    assert simulate(SERVER, ONE, load, 1) == first
    assert simulate(SERVER, ONE, load, 2) != first


def test_what_is_asked_for_beyond_its_means_comes_at_the_rate_of_its_processors() -> None:
    fleet = Fleet(workers=4, slots=1_000, batch=1, work=0.001)
    found = simulate(replace(SERVER, away=0.0), fleet, Load(rate=100_000, burst=100, runs=3_000))
    shared = 2 / (0.001 + 0.002 + 0.004)  # ends go in with the next that is taken
    assert found.rate == pytest.approx(shared, rel=0.1)


def test_larger_batches_are_no_worse_for_those_that_come_in_bursts() -> None:
    waits = [
        simulate(SERVER, Fleet(workers=2, slots=200, batch=batch, work=0.05), Load(rate=300, burst=50, runs=2_000)).p99
        for batch in (1, 10, 100)
    ]
    assert waits == sorted(waits, reverse=True)


def test_slots_bound_what_runs_at_one_time() -> None:
    found = simulate(SERVER, Fleet(workers=1, slots=1, batch=10, work=1.0), Load(rate=1_000, burst=10, runs=50))
    assert found.rate < 1.3


def test_costs_of_a_run_are_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*reckoning._SUBMITTED, *reckoning._WORKED)
    costs = {name: Cost(server=10, worker=5, log=100) for name in names}
    costs["a step of a fan"] = Cost(server=50, worker=20, log=50)
    costs["a thousand lines of 60 bytes"] = Cost(server=200, worker=300, log=1_000)
    costs["a run that is kept"] = Cost(stored=800)
    plain, lines, five = (of_a_run(kind, costs) for kind in KINDS)
    assert (plain.server, plain.worker, plain.log, plain.stored) == (40, 20, 400, 800)
    assert (lines.server, lines.stored) == (60, 900)
    assert (five.server, five.log, five.stored) == (260, 700, 800 + 800 * 0.5 * 4 + 100)
    monkeypatch.setattr(reckoning, "of_a_run", lambda _: plain)
    assert carried(KINDS[0], 8) == 8 * BUSY * 1e6 / 40
    assert databases(KINDS[0], carried(KINDS[0], 8) * 2.5, 8) == 3
    assert plain.times(1_000).server == 0.04
