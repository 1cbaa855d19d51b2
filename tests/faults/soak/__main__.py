"""Drive a server with a mixed load, measure it all the while, and fail where anything grows.

`make soak HOURS=24`, or for a first look `make soak MINUTES=15`. Runs leave the store after some seconds, so that
every table, file and figure has to come to a level; what still rises between the middle and the last third is growth,
and what is left once all work is over is a leak. It ends by itself; the exit code is 1 where something grew, leaked or
broke.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Final

from tests.faults.soak.load import KEYS, Load, Probe, write_jobs
from tests.faults.soak.samples import KEPT, sample
from tests.faults.soak.series import Bound, bound_of, drawn, growing, left_over, quantile
from tests.oracle.crash import Victim, open_runs
from tests.oracle.ledger import Ledger
from windlass.client.client import Client

#: Seconds that runs stay, in the store and in the archive, and between two clean-ups.
_STAY: Final = 20
_CLEAN_UP: Final = 4
SETTINGS: Final = {
    "retention": f"{_STAY}s",
    "archive_retention": f"{2 * _STAY}s",
    "cleanup_interval": f"{_CLEAN_UP}s",
    "cleanup_grace": "5s",
    "worker_slots": "8",
}
#: Samples of a whole soak, and seconds between two at least.
_SAMPLES: Final = 240
_SHORTEST: Final = 2.0
#: Seconds that everything has to come to rest once no more is started.
_REST: Final = 180.0

#: What may rise by how much. A level of rows moves with chance: half as much again and some rows are no growth.
BOUNDS: Final = {
    "rows *": Bound(1.5, 200),
    **{f"rows {name}": Bound(1.0, 40) for name in KEPT},
    "rows run_hours": Bound(1.0, 120),
    "rows limit_keys": Bound(1.0, inf),  # one for each key that the load asked for, until a sweep an hour later
    "file MiB": Bound(1.5, 8),
    "log MiB": Bound(1.5, 8),
    "home MiB": Bound(1.5, 16),
    "files kept": Bound(1.5, 50),
    "files of attempts": Bound(1.5, 100),
    "owner MiB": Bound(1.05, 6),
    "supervisor MiB": Bound(1.05, 2),
    "guard MiB": Bound(1.05, 2),
    "owner threads": Bound(1.0, 3),
    "owner descriptors": Bound(1.25, 10),
    "supervisor descriptors": Bound(1.25, 10),
    "processes": Bound(1.5, 8),
    "start p50 ms": Bound(2.0, 20),
    "start p99 ms": Bound(4.0, 400),
}
#: What must be as before the first run once everything is over, with how much of it may be left.
REST: Final = {
    "rows queue": 0,
    "rows runs": KEYS,
    "rows tasks": KEYS,
    "rows attempts": 0,
    "rows log_chunks": 0,
    "rows artifacts": 0,
    "rows run_labels": 0,
    "rows run_dependencies": 0,
    "rows archived_runs": 0,
    "rows archive_parts": 0,
    "rows events": 5 * KEYS,
    "files kept": 0,
    "files of attempts": 0,
    "processes": 0,
    "owner threads": 9,
    "owner descriptors": 8,
    "supervisor descriptors": 4,
}


def main() -> int:
    """Run a soak as asked for."""
    options = _options()
    seconds = options.minutes * 60 if options.minutes else options.hours * 3600
    with tempfile.TemporaryDirectory(prefix="windlass-soak-", dir=options.folder) as name:
        folder = Path(name)
        victim = Victim(folder, Ledger(folder / "ledger"), **SETTINGS)
        try:
            soak = Soak(victim, seconds, options.rate, options.seed)
            found = soak.run()
        finally:
            victim.close()
    soak.show()
    if options.out:
        options.out.write_text(json.dumps({"seed": options.seed, "seconds": seconds, "series": soak.series}, indent=1))
    for line in found:
        _say(f"FAILED {line}")
    _say("nothing grew, nothing was left" if not found else f"{len(found)} findings, see above (seed {options.seed})")
    return 1 if found else 0


class Soak:
    """One server, one load, and what was measured."""

    def __init__(self, victim: Victim, seconds: float, rate: float, seed: int) -> None:
        """Prepare; `run` begins."""
        self._victim = victim
        self._seconds = seconds
        self._every = max(_SHORTEST, seconds / _SAMPLES)
        self._rate = rate
        self._seed = seed
        self._said: Counter[str] = Counter()
        self.series: dict[str, list[float]] = {}
        self._before: dict[str, float] = {}
        self._after: dict[str, float] = {}

    def run(self) -> list[str]:
        """Drive the server for the time that was asked for and let it come to rest; return what is wrong."""
        _say(f"{self._seconds:,.0f} s, a sample every {self._every:.1f} s, about {self._rate:g} acts a second")
        _say(f"the same load again: --seed {self._seed}")
        client = self._victim.start()
        manifests = write_jobs(self._victim.home.parent)
        self._victim.apply(*manifests)
        pids = self._victim.pids()
        self._warm(client)
        self._before = sample(self._victim.database, pids)
        load = Load(lambda: client, manifests, rate=self._rate, seed=self._seed)
        probe = Probe(lambda: client, pause=1.0)
        load.begin()
        probe.begin()
        found = self._measure(load, probe, pids)
        load.end()
        probe.end()
        self._said = load.done + load.refused
        found += [
            f"the {name} broke: {one.failure!r}" for name, one in (("load", load), ("probe", probe)) if one.failure
        ]
        found += self._come_to_rest(client, pids)
        found += growing(self.series, BOUNDS)
        code = self._victim.stop()
        if code:
            found.append(f"the server ended with {code}")
        found += self._victim.problems([], at_rest=True)
        return found + _complaints(self._victim.log())

    def show(self) -> None:
        """Print every series, with its least, its last and its greatest value, and whether it has a bound."""
        _say(f"{'':1} {'series':28} {'least':>10} {'greatest':>10} {'last':>10} {'at rest':>10}")
        for name, values in self.series.items():
            mark = "*" if bound_of(name, BOUNDS) else " "
            rest = f"{self._after[name]:10,.1f}" if name in self._after else " " * 10
            figures = f"{min(values):10,.1f} {max(values):10,.1f} {values[-1]:10,.1f} {rest}"
            _say(f"{mark} {name:28} {figures}  {drawn(values)}")
        _say(f"done: {', '.join(f'{name} {count}' for name, count in sorted(self._said.items()))}")

    def _warm(self, client: Client) -> None:
        """Let one run of a quick job end, so that what is made at the first run is there."""
        client.post("jobs", "quick", "run", body={})
        _wait(lambda: not open_runs(client), _REST)

    def _measure(self, load: Load, probe: Probe, pids: dict[str, int]) -> list[str]:
        begun = time.monotonic()
        due = begun
        while time.monotonic() - begun < self._seconds and load.failure is None and probe.failure is None:
            due += self._every
            threading.Event().wait(max(0.0, due - time.monotonic()))
            try:
                seen = sample(self._victim.database, pids)
            except (OSError, KeyError) as error:
                return [f"the server is gone after {time.monotonic() - begun:,.0f} s: {error!r}"]
            waits = probe.take()
            seen |= {"start p50 ms": quantile(waits, 0.5), "start p99 ms": quantile(waits, 0.99)}
            for name, value in seen.items():
                self.series.setdefault(name, []).append(value)
            if sys.stdout.isatty():
                _say(
                    f"{time.monotonic() - begun:8,.0f} s  {seen['rows runs']:6,.0f} runs  {seen['owner MiB']:6.1f} MiB"
                )
        return []

    def _come_to_rest(self, client: Client, pids: dict[str, int]) -> list[str]:
        """Cancel what is open, wait until all has left, and compare with the beginning."""
        for run in client.pages("runs", job=["endless"]):
            if run["finishedAt"] is None:
                client.post("runs", run["id"], "cancel")
        if not _wait(lambda: not open_runs(client), _REST):
            return [f"not at rest after {_REST:.0f} s: {open_runs(client)}"]
        _wait(lambda: not self._left(pids), 3 * _STAY + 90)
        return self._left(pids)

    def _left(self, pids: dict[str, int]) -> list[str]:
        self._after = sample(self._victim.database, pids)
        lines = (left_over(name, self._before[name], self._after[name], room) for name, room in REST.items())
        return [line for line in lines if line is not None]


def _complaints(log: str) -> list[str]:
    """Return what of a server's log nobody should have to read."""
    return [f"the server said: {line}" for line in log.splitlines() if "Traceback" in line or " ERROR" in line][:20]


def _wait(condition: Callable[[], bool], patience: float) -> bool:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.5)
    return True


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=1.0, help="how long; 1 unless given")
    parser.add_argument("--minutes", type=float, help="how long, instead of hours")
    parser.add_argument("--rate", type=float, default=5.0, help="acts a second")
    parser.add_argument("--seed", type=int, help="plays the same acts again")
    parser.add_argument("--folder", type=Path, help="where the store lies meanwhile; a temporary folder unless given")
    parser.add_argument("--out", type=Path, help="a file for all series, as JSON")
    options = parser.parse_args()
    options.seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    if (options.minutes if options.minutes is not None else options.hours) <= 0:
        parser.error("a soak takes some time: give more than nothing")
    return options


if __name__ == "__main__":
    sys.exit(main())
