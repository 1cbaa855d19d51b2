"""One server that runs nothing itself, and workers that reach it through a gate each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from tests.faults.fleet.fleet import Fleet, FleetScene, Member
from tests.faults.fleet.gate import Gate
from tests.oracle.crash import until
from windlass.client.client import Client

#: Seconds without a sign of life after which a worker counts as gone; the heart beats five times in it.
LEASE: Final = 4.0
SETTINGS: Final = {"lease": f"{LEASE}s", "heartbeat": f"{LEASE / 5}s", "cleanup_grace": "5s"}


class Outposts(FleetScene):
    """A scene with a server, and workers behind gates."""

    def __init__(self, fleet: Fleet, seed: int, *, workers: int = 2, slots: int = 4) -> None:
        """Start the server, open the gates and let the workers join."""
        super().__init__(fleet)
        self._open = ExitStack()
        self.client: Client = fleet.servers[0].start()
        self.gates: list[Gate] = []
        for number in range(workers):
            gate = Gate(fleet.folder / f"gate{number}", fleet.servers[0].socket, seed=seed + number)
            self.gates.append(self._open.enter_context(gate))
            fleet.add_worker(gate.database, worker_slots=str(slots)).join()

    @property
    def workers(self) -> list[Member]:
        """The workers, in the order of their gates."""
        return self.fleet.workers

    def holders(self) -> dict[str, int]:
        """Return how many tasks each worker holds that is heard of, by its name."""
        return {one["name"]: one["busy"] for one in self.client.get("workers")["items"] if one["state"] == "running"}

    def worker_of(self, pid: int) -> int:
        """Return the number of the worker below which a step with this pid runs."""
        return next(number for number, one in enumerate(self.workers) if one.lives and pid in one.below())

    def pids_of(self, phase: str = "start") -> list[int]:
        """Return the pids of steps, as they said so in the ledger, in order."""
        return [one.pid for one in self.ledger.read() if one.phase == phase]

    def until_started(self, count: int) -> None:
        """Return once so many attempts have begun."""
        until(lambda: self.started() >= count, f"the start of {count} attempts")

    def until_gone(self, pid: int) -> None:
        """Return once the process of a step is gone."""
        living = self.ledger.living
        until(lambda: pid not in {one for one, _ in living()}, "the end of what was cut off", pace=0.05)

    def around(self, number: int) -> Callable[[], None]:
        """Return what heals the gate of a worker."""
        return self.gates[number].proxy.heal

    def close(self) -> None:
        """Close the gates; the fleet ends with its test."""
        self._open.close()
