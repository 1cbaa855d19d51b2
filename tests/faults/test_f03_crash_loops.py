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

from tests.oracle.backups import Backup
from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from tests.oracle.load import ENDLESS, JOBS, Crowd, apply_load
from tests.oracle.seen import Seen
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.ids import id_text

#: Rounds with one store; after them everything is let end, and the oracle looks again.
GAME: Final = 20
ROUNDS: Final = int(os.environ.get("TESTS_CRASH_ROUNDS") or 10)
SEED: Final = int(os.environ.get("TESTS_CRASH_SEED") or random.SystemRandom().randrange(2**32))
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
    "accept_asked", "cancel", "exchange_within+claims", "exchange_within+reports", "exchange_within+reports+claims",
    "append_chunks", "wake", "settle_all", "retry_within", "renew",
)  # fmt: skip
#: The same of services that look after what is there: runs that are deleted, leave and come back, alerts, dead letters.
UPKEEP: Final = (
    "mark", "let_go", "left", "remove_rest", "set_removed", "insert_rows", "complete", "raise", "requeue_all",
    "resume_within", "tidied",
)  # fmt: skip
WHEN: Final = ("written", "committed")
BETWEEN: Final = ("before the spawn", "after the spawn", "end of the process", "end of the log", "after the artifacts")
AROUND: Final = ("copy of runs", "copy of files", "removal of files", "tidying of files", "return of files")
LATE: Final = frozenset(
    [f"{name} {when}" for name in UPKEEP for when in WHEN]
    + [f"{when} the {name}" for name in AROUND for when in ("before", "after")]
)
#: Where the archive is: mostly in the database itself.
ARCHIVES: Final = (
    "database:", "database:", "file://{0}/cold", "database:", "sqlite:///{0}/cold.db", "parquet://{0}/cold",
)  # fmt: skip


@pytest.fixture
def victim(tmp_path: Path, number: int) -> Iterator[Victim]:
    """Give an owner of a store with all jobs in it."""
    found = Victim(
        tmp_path,
        Ledger(tmp_path / "ledger"),
        worker_slots="6",
        drain_grace="5s",
        cleanup_grace="20s",
        heartbeat="1s",
        cleanup_interval="1s",
        archive_url=_archive(number).format(tmp_path),
    )
    apply_load(found, tmp_path, leave=True)
    yield found
    found.close()
    print(found.log())  # noqa: T201 - shown where the test fails


def _archive(number: int) -> str:
    return ARCHIVES[(SEED + number) % len(ARCHIVES)]


class Game:
    """Rounds with one store; everything that is chosen is chosen by the seed."""

    def __init__(self, victim: Victim, folder: Path, seed: int, *, in_database: bool) -> None:
        """Begin with nothing started; a backup holds no archive outside of the database, and changes none."""
        self.victim = victim
        self.folder = folder
        self.in_database = in_database
        self.dice = random.Random(seed)  # noqa: S311 - a game that can be played again
        self.crowd = Crowd(self.dice)
        self.survivors: dict[tuple[int, int], str] = {}
        self.seen = Seen()
        self.backup: Backup | None = None

    def round(self, number: int) -> None:
        """Start an owner, let it work, let it die, and ask the oracle."""
        doom = self._doom()
        client = self.victim.start() if doom is None else self.victim.start_doomed(DOOM=doom)
        how = "was dead before it was ready" if client is None else self._work_and_kill(client, number, doom)
        self.victim.wait()
        backup = self._backed_up()
        print(f"round {number}: {doom}, {how}, {len(self.crowd.accepted)} runs")  # noqa: T201 - shown where it fails
        gone = {"guard", "supervisor"} <= set(how.split())
        if self.dice.random() < 0.3:
            self._command()
        self.survivors = self.victim.ledger.living()
        assert gone or not self.survivors, f"round {number}, {doom}, {how}: {list(self.survivors.values())} outlived it"
        found = backup + self.victim.problems(self.crowd.told, seen=self.seen)
        assert not found, f"round {number}, {doom}, {how}:\n" + "\n".join(found)

    def _backed_up(self) -> list[str]:
        """Return what is wrong with the backup of this round."""
        backup, self.backup = self.backup, None
        return [] if backup is None else backup.problems()

    def _command(self) -> None:
        """Let a command do something while nobody owns the store: it owns the store for a moment, and may die too."""
        run_id = self.dice.choice(self.crowd.accepted or [b""])
        arguments = self._arguments(run_id)
        doom = self.dice.choice(
            ["", "accept_asked written", "accept_asked committed", "cancel written", "cancel committed",
             "left written", "left committed", "mark committed", "let_go committed",
             "after the removal of files", "complete written"]
        )  # fmt: skip
        code = self.victim.run_doomed(*arguments, DOOM=doom)
        print(f"then {arguments}, {doom or 'not doomed'}, ended with {code}")  # noqa: T201 - shown where it fails
        some = {1} if arguments[:2] == ["queue", "requeue"] else set()  # not all of them could be
        assert code in {0, 2, -signal.SIGKILL} | some
        if arguments[1] == "delete" and code == 0:
            self.crowd.told.promised.add(run_id)

    def _arguments(self, run_id: bytes) -> list[str]:
        what = self.dice.choice(["start", "start", "cancel", "delete", "archive", "restore", "requeue"])
        if what == "archive":
            return ["archive", "run"]
        if what == "requeue":
            return ["queue", "requeue", "--all"]
        if not run_id or what == "start":
            return ["run", "start", self.dice.choice(sorted(JOBS))]
        if what == "delete":
            self.crowd.told.wished.add(run_id)
        return ["archive" if what == "restore" else "run", what, id_text(run_id)]

    def _doom(self) -> str | None:
        if self.dice.random() < 0.5:
            return None
        times = self.dice.choice([1, 1, 1, 2, 3])
        if self.dice.random() < 0.3:
            return f"{self.dice.choice(BETWEEN)}#{times}"
        if self.dice.random() < 0.5:
            return f"{self.dice.choice(sorted(LATE))}#{times}"
        return f"{self.dice.choice(MOMENTS)} {self.dice.choice(WHEN)}#{times}"

    def _work_and_kill(self, client: Client, number: int, doom: str | None) -> str:
        victim, dice = self.victim, self.dice
        left = self.survivors.keys() & victim.ledger.living().keys()
        assert not left, f"round {number}: it is ready while {[self.survivors[one] for one in left]} still live"
        backs_up = dice.random() < 0.3
        tidies = 0.8 if doom is not None and doom.split("#")[0] in LATE else 0.3
        for act in range(dice.randrange(12)):
            self.crowd.act(client, tidies)
            if act == 3 and backs_up:
                self.backup = Backup(victim, self.folder, self.crowd.told, self.seen, in_database=self.in_database)
        if self.backup is not None and dice.random() < 0.2:
            self.backup.kill()
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
        until(lambda: not self._marked(client), "the end of what is to be deleted", pace=0.1)
        client.post("archive", "run", body={})
        print(f"in the end: {self.crowd.told.figures()}, {client.get('archive', 'figures')}")  # noqa: T201 - as above
        assert self.victim.stop() == 0
        assert not self.victim.ledger.living()
        found = self.victim.problems(self.crowd.told, at_rest=True, seen=self.seen)
        assert not found, "\n".join(found)
        assert "Traceback" not in self.victim.log()

    @staticmethod
    def _marked(client: Client) -> list[str]:
        return [run["id"] for run in client.pages("runs") if run["deleting"]]

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
    victim: Victim, tmp_path: Path, number: int, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("store", "sqlite"))
    rounds = min(GAME, ROUNDS - number * GAME)
    print(f"to play it again: make faults ROUNDS={rounds} SEED={SEED + number}")  # noqa: T201 - shown where it fails
    game = Game(victim, tmp_path, SEED + number, in_database=_archive(number) == "database:")
    for one in range(rounds):
        game.round(one)
    game.end()
