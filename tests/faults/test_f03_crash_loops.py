"""F3: an owner of a store dies again and again under a mixed load: nothing accepted is lost, nothing starts unasked.

A failure prints its seed: `make faults SEED=...` plays the same moves again, `make faults ROUNDS=200` many more.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from tests.oracle.load import ENDLESS, JOBS, Crowd, apply_load
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.ids import id_text

#: Rounds with one store; after them everything is let end, and the oracle looks again.
GAME: Final = 20
ROUNDS: Final = int(os.environ.get("WINDLASS_CRASH_ROUNDS") or 10)
SEED: Final = int(os.environ.get("WINDLASS_CRASH_SEED") or random.SystemRandom().randrange(2**32))
#: Seconds after which it is asked whether anything still goes on.
_QUIET: Final = 0.5

#: Who is killed while the owner goes on, and who is killed in the end. Where all three are gone at once nobody is left
#: to end the steps: the next owner does it before it takes work.
FIRST: Final[list[tuple[str, ...]]] = [(), (), (), ("supervisor",), ("guard",), ("guard", "supervisor")]
LAST: Final[list[tuple[str, ...]]] = [
    ("owner",), ("owner",), ("owner",), ("owner", "supervisor"), ("owner", "guard"), ("owner", "guard", "supervisor"),
]  # fmt: skip
#: Moments at which an owner ends by itself, see `tests.oracle.doomed`; every one of them is met in test_f01_f02.py.
MOMENTS: Final = (
    "accept", "cancel_run", "exchange+claims", "exchange+reports", "exchange+reports+claims", "append_chunks",
    "wake_due", "settle_all", "retry_within", "renew",
)  # fmt: skip
WHEN: Final = ("written", "committed")
BETWEEN: Final = ("before the spawn", "after the spawn", "end of the process", "end of the log", "after the artifacts")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """Give an owner of a store with all jobs in it."""
    found = Victim(
        tmp_path, Ledger(tmp_path / "ledger"), worker_slots="6", drain_grace="5s", cleanup_grace="20s", heartbeat="1s"
    )
    apply_load(found, tmp_path)
    yield found
    found.close()
    print(found.log())  # noqa: T201 - shown where the test fails


class Game:
    """Rounds with one store; everything that is chosen is chosen by the seed."""

    def __init__(self, victim: Victim, seed: int) -> None:
        """Begin with nothing started."""
        self.victim = victim
        self.dice = random.Random(seed)  # noqa: S311 - a game that can be played again
        self.crowd = Crowd(self.dice)
        self.survivors: dict[tuple[int, int], str] = {}

    def round(self, number: int) -> None:
        """Start an owner, let it work, let it die, and ask the oracle."""
        doom = self._doom()
        client = self.victim.start() if doom is None else self.victim.start_doomed(DOOM=doom)
        how = "was dead before it was ready" if client is None else self._work_and_kill(client, number, doom)
        self.victim.wait()
        print(f"round {number}: {doom}, {how}, {len(self.crowd.accepted)} runs")  # noqa: T201 - shown where it fails
        gone = {"guard", "supervisor"} <= set(how.split())
        if self.dice.random() < 0.3:
            self._command()
        self.survivors = self.victim.ledger.living()
        assert gone or not self.survivors, f"round {number}, {doom}, {how}: {list(self.survivors.values())} outlived it"
        found = self.victim.problems(self.crowd.accepted)
        assert not found, f"round {number}, {doom}, {how}:\n" + "\n".join(found)

    def _command(self) -> None:
        """Let a command do something while nobody owns the store: it owns the store for a moment, and may die too."""
        arguments = ["run", "start", self.dice.choice(sorted(JOBS))]
        if self.crowd.accepted and self.dice.random() < 0.5:
            arguments = ["run", "cancel", id_text(self.dice.choice(self.crowd.accepted))]
        doom = self.dice.choice(
            ["", "accept written", "accept committed", "cancel_run written", "cancel_run committed"]
        )
        code = self.victim.run_doomed(*arguments, DOOM=doom)
        print(f"then {arguments[:2]}, {doom or 'not doomed'}, ended with {code}")  # noqa: T201 - shown where it fails
        assert code in {0, 2, -signal.SIGKILL}

    def _doom(self) -> str | None:
        if self.dice.random() < 0.5:
            return None
        times = self.dice.choice([1, 1, 1, 2, 3])
        if self.dice.random() < 0.3:
            return f"{self.dice.choice(BETWEEN)}#{times}"
        return f"{self.dice.choice(MOMENTS)} {self.dice.choice(WHEN)}#{times}"

    def _work_and_kill(self, client: Client, number: int, doom: str | None) -> str:
        victim, dice = self.victim, self.dice
        left = self.survivors.keys() & victim.ledger.living().keys()
        assert not left, f"round {number}: it is ready while {[self.survivors[one] for one in left]} still live"
        for _ in range(dice.randrange(8)):
            self.crowd.act(client)
        aim = victim.ledger.size() + dice.choice([0, 1, 200, 900, 2500] if doom is None else [900, 2500, 5000])
        if self.crowd.accepted and aim > victim.ledger.size():
            self._work_until(client, aim)
        for _ in range(dice.randrange(6)):
            self.crowd.look(client)
        first = dice.choice(FIRST)
        if first and victim.lives:
            victim.kill(*first)
            for _ in range(dice.randrange(5)):
                self.crowd.act(client)
        last = dice.choice(LAST)
        if not victim.lives:
            return f"died by itself, killed before: {' '.join(first)}"
        victim.kill(*last)
        return f"killed: {' '.join((*first, *last))}"

    def _work_until(self, client: Client, aim: int) -> None:
        """Return once the ledger has grown to `aim`, the owner died, or nothing happens for as long as a step takes."""
        ledger, victim = self.victim.ledger, self.victim
        while ledger.size() < aim and victim.lives:
            size, end = ledger.size(), time.monotonic() + _QUIET
            until(
                lambda: ledger.size() > size or time.monotonic() > end or not victim.lives,  # noqa: B023 - called at once
                "the next effect",
            )
            if ledger.size() == size and not self._busy(client):
                return

    @staticmethod
    def _busy(client: Client) -> bool:
        try:
            going = [line.split() for line in open_runs(client)]
        except (Unavailable, OSError):
            return False
        return any(job not in ENDLESS and state == "running" for job, state in going)

    def end(self) -> None:
        """Let everything end, and ask the oracle for the last time."""
        client = self.victim.start()
        self.crowd.finish(client)
        until(lambda: not self._left(client), "the end of all runs", patience=120, pace=0.1)
        assert self.victim.stop() == 0
        assert not self.victim.ledger.living()
        assert self.victim.problems(self.crowd.accepted, at_rest=True) == []
        assert "Traceback" not in self.victim.log()

    def _left(self, client: Client) -> list[str]:
        left = open_runs(client)
        if left and all(line.split()[0] in ENDLESS for line in left):
            self.crowd.finish(client)  # a run that waited for another one has begun
        return left


@pytest.mark.fault("F3")
@pytest.mark.promise("H07")
@pytest.mark.promise("C13")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(-(-ROUNDS // GAME)))
def test_f03_owners_that_die_at_any_moment_lose_and_double_nothing(
    victim: Victim, number: int, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("store", "sqlite"))
    rounds = min(GAME, ROUNDS - number * GAME)
    print(f"to play it again: make faults ROUNDS={rounds} SEED={SEED + number}")  # noqa: T201 - shown where it fails
    game = Game(victim, SEED + number)
    for one in range(rounds):
        game.round(one)
    game.end()
