"""Servers under a mixed load while what they stand on comes and goes, and the oracle over what is left."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Final

from tests.faults.fleet.fleet import Fleet
from tests.oracle.crash import open_runs, until
from tests.oracle.load import ENDLESS, Crowd, apply_load
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.model.state import RUN_FINAL, RUN_MOVES

#: How often a server is killed, of all acts.
_KILLS: Final = 0.02
#: Runs that may be open before users stop to begin more: some jobs let one run at a time go on.
_CROWDED: Final = 80
#: Acts between two looks at how many there are.
_LOOKS: Final = 20
#: Seconds in which one more run comes to its end, once nobody disturbs anything any more.
_PATIENCE: Final = 90.0
_OPEN: Final = sorted(set(RUN_MOVES) - RUN_FINAL)
#: Settings of the servers: leases longer than what is away, and patience beside that.
SETTINGS: Final = {
    "worker_slots": "4",
    "lease": "8s",
    "heartbeat": "1s",
    "cleanup_grace": "20s",
    "drain_grace": "5s",
}


class Siege:
    """Two servers, a crowd of users, and a way to a database that does not stay."""

    def __init__(self, fleet: Fleet, seed: int, *, kills: bool) -> None:
        """Start everything; `kills` says whether servers die too."""
        self.fleet = fleet
        self.dice = random.Random(seed)  # noqa: S311 - a game that can be played again
        self.crowd = Crowd(self.dice)
        fleet.told = self.crowd.told
        self.kills = kills
        self.clients = fleet.start()
        apply_load(fleet.servers[0], fleet.folder)
        self.killed = 0
        self._acts = 0

    def act(self) -> None:
        """Let a user do something, or a server die."""
        if self.kills and self.dice.random() < _KILLS:
            self.kill()
        self._acts += 1
        if self._acts % _LOOKS == 0:
            self._thin()
        self.crowd.act(self.dice.choice(self.clients), 0.1)
        until(lambda: True, "a moment", pace=0.01)

    def _thin(self) -> None:
        """Where many runs are open let some end before more begin: those without an end hold the slots."""
        client = self.clients[0]
        if len(self._left(client)) <= _CROWDED:
            return

        def fewer() -> bool:
            with suppress(Unavailable, OSError):
                self.crowd.finish(client)
            return len(self._left(client)) <= _CROWDED // 2

        until(fewer, "the end of some runs", patience=2 * _PATIENCE, pace=0.5)

    def kill(self) -> None:
        """Kill a server, and start it again."""
        number = self.dice.randrange(len(self.fleet.servers))
        one = self.fleet.servers[number]
        # Not all three at once: nobody would be left to end its steps before another server begins them anew.
        one.kill(*self.dice.choice([("owner",), ("owner", "guard"), ("owner", "supervisor")]))
        self.killed += 1
        self.clients[number] = one.start_patiently()

    def end(self) -> None:
        """Let everything end, and ask the oracle."""
        client = self.clients[0]
        self.crowd.finish(client)
        self._settle(client)
        print(f"in the end: {self.crowd.told.figures()}, {self.killed} killed")  # noqa: T201 - shown where it fails
        self.fleet.finish()

    def _settle(self, client: Client) -> None:
        """Return once all runs are final; fail where none comes to its end for a while, with what is said of them."""
        left = self._left(client)
        while left:
            fewer = len(left)
            try:
                until(lambda: len(self._left(client)) < fewer, "the end of one more run", patience=_PATIENCE, pace=0.2)  # noqa: B023
            except AssertionError as error:
                said = [self._why(client, run["id"]) for run in client.pages("runs", state=_OPEN)]
                raise AssertionError("\n".join([f"{error}, left: {left}", *said[:20]])) from None
            left = self._left(client)

    def _why(self, client: Client, run: str) -> str:
        events = [f"{one['type']} {one['at']}" for one in client.get("runs", run, "events")["items"]]
        return f"{run}: {client.get('runs', run, 'why')}\n    {events}"

    def _left(self, client: Client) -> list[str]:
        left = ["nothing was answered"]
        with suppress(Unavailable, OSError):
            left = open_runs(client)
            if left and all(line.split()[0] in ENDLESS for line in left):
                self.crowd.finish(client)
        return left
