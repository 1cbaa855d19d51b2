"""How long runs wait for their start: what the simulation is asked, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tools.scaling.bursts import SEED, Fleet, Load, Server, Waits, simulate
from tools.scaling.costs import COSTS

#: Sizes of a batch, and runs that come in a second.
BATCHES: Final = (1, 10, 100, 500)
RATES: Final = (250, 500, 1_000, 2_000, 4_000, 8_000)
#: Mean runs of a burst; workers with slots, whose runs take a twentieth of a second; runs of one simulation.
BURST: Final = 50
WORKERS: Final = 4
SLOTS: Final = 250
WORK: Final = 0.05
RUNS: Final = 6_000
PROCESSORS: Final = 2
#: Seconds of an exchange without a processor of the database: ways there and back, and a flush.
AWAY: Final = 0.001


def server() -> Server:
    """Return the database of the simulation, of what was measured: batches share what one alone pays."""
    batched, alone = COSTS["a run worked off, in batches"], COSTS["a run worked off, one at a time"]
    exchanges = 2  # of a run that is alone: it is taken by one, and ends in the next
    return Server(
        processors=PROCESSORS,
        accept=COSTS["a run accepted in bulk"].server / 1e6,
        exchange=max(0.0, alone.server - batched.server) / exchanges / 1e6,
        run=batched.server / 1e6,
        away=AWAY,
    )


def waits() -> Mapping[int, Mapping[int, Waits]]:
    """Return what the simulation says, by batch and rate."""
    found = {}
    for batch in BATCHES:
        fleet = Fleet(workers=WORKERS, slots=SLOTS, batch=batch, work=WORK)
        found[batch] = {
            rate: simulate(server(), fleet, Load(rate=rate, burst=BURST, runs=RUNS), SEED) for rate in RATES
        }
    return found
