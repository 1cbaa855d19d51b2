"""Servers and workers as processes with a home each, on one database, and the oracle over all of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.fixtures.program import PROGRAM
from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from tests.oracle.postgres import problems_of
from tests.oracle.scene import Scene
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import Unavailable
from windlass.supervisor.holding import is_held
from windlass.supervisor.procfs import processes

_ADDRESS: Final = "ready unix://"
#: Seconds that one may stand still in which all others have found it gone, in leases.
PAST: Final = 3.0


class Member(Victim):
    """One process of a fleet: a server, or a worker without a store of its own."""

    def __init__(self, folder: Path, name: str, ledger: Ledger, command: Sequence[str | Path], **settings: str) -> None:
        """Prepare; `folder` is the fleet's, each member has one in it."""
        self.name = name
        (folder / name).mkdir()
        super().__init__(folder / name, ledger, command, **settings)
        self._client: Client | None = None

    @property
    def socket(self) -> Path:
        """Where a server listens."""
        assert self._socket is not None, f"{self.name} has said no address"
        return self._socket

    _socket: Path | None = None

    def join(self) -> None:
        """Start a worker; return once it takes work."""
        _, line = self._begin(self._command, {})
        assert line.startswith("ready "), f"{self.name} said {line!r}\n{self.log()}"

    def run_by(self, command: Sequence[str | Path]) -> None:
        """Let it be started by another command from its next start on."""
        self._command = command

    def run_apart(self, command: Sequence[str | Path], home: Path) -> subprocess.CompletedProcess[str]:
        """Run a command with its settings in some home to its end; return how that was."""
        env = {name: value for name, value in self._env.items() if name != "LEDGER"} | {"WINDLASS_HOME": str(home)}
        return subprocess.run(
            command, env=env, cwd=self._folder, capture_output=True, text=True, timeout=60, check=False
        )

    def below(self) -> set[int]:
        """Return the pids of all processes below this one."""
        assert self._process is not None
        table = processes()
        found, fresh = set[int](), {self._process.pid}
        while fresh:
            fresh = {one.pid for one in table.values() if one.parent in fresh} - found
            found |= fresh
        return found

    @contextmanager
    def standing_still(self, *names: str) -> Iterator[None]:
        """Let some of owner, guard and supervisor stand still meanwhile; all of them where none is named."""
        pids = self.pids()
        found = [pids[name] for name in names or pids]
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                with suppress(ProcessLookupError):  # it was killed meanwhile
                    os.kill(pid, signal.SIGCONT)

    def _reached(self, line: str) -> tuple[Client | None, str]:
        if not line.startswith(_ADDRESS):
            return None, line
        self._socket = Path(line.removeprefix(_ADDRESS).strip())
        return Client(UnixTransport(self._socket)), line

    def _steps_ended(self) -> bool:
        return not any(is_held(lock) for lock in self.home.rglob("*steps.lock"))


class Fleet:
    """Some servers, and the workers beside each of them."""

    def __init__(self, folder: Path, url: str | None, *, servers: int = 2, **settings: str) -> None:
        """Prepare servers on the database at `url`; nothing runs yet. `settings` are those of all of them.

        Without a URL there is one server alone, with a database in its home.
        """
        self.folder = folder
        self.url = url
        self.ledger = Ledger(folder / "ledger")
        self.settings = {"drain_grace": "2s", **settings}
        self.told = Told()
        self.seen = Seen()
        self.servers: list[Member] = []
        self.workers: list[Member] = []
        for _ in range(servers):
            self.add_server()

    def add_server(self, *, url: str | None = None, before: Sequence[str] = (), **settings: str) -> Member:
        """Prepare one more server; `url` is how it reaches the database, `before` stands before its command."""
        name = f"server{len(self.servers)}"
        said = self.settings | settings
        if url or self.url:
            said["database_url"] = str(url or self.url)
        self.servers.append(Member(self.folder, name, self.ledger, [*before, PROGRAM, "up"], **said))
        if self.url is not None:
            self.share_files(self.servers[-1])
        return self.servers[-1]

    def share_files(self, server: Member) -> None:
        """Let a server keep files of runs where all others do: who deletes a run has to reach them."""
        shared = self.folder / "artifacts"
        for folder in (shared, server.home):
            folder.mkdir(mode=0o700, exist_ok=True)
        (server.home / "artifacts").symlink_to(shared)

    def add_worker(self, database: Path, *, before: Sequence[str] = (), **settings: str) -> Member:
        """Prepare a worker of the server that has noted in the lock beside `database` where it listens."""
        name = f"worker{len(self.workers)}"
        said = self.settings | {"database_url": f"sqlite:///{database}"} | settings
        self.workers.append(Member(self.folder, name, self.ledger, [*before, PROGRAM, "worker"], **said))
        return self.workers[-1]

    def add_worker_on_database(
        self, *, url: str | None = None, before: Sequence[str] = (), command: Sequence[str | Path] = (), **settings: str
    ) -> Member:
        """Prepare a worker that reaches the database itself; `command` takes the place of the program's own."""
        name = f"worker{len(self.workers)}"
        said = self.settings | {"database_url": str(url or self.url)} | settings
        self.workers.append(
            Member(self.folder, name, self.ledger, [*before, *(command or [PROGRAM, "worker"])], **said)
        )
        self.share_files(self.workers[-1])
        return self.workers[-1]

    @property
    def members(self) -> list[Member]:
        """All of them."""
        return [*self.servers, *self.workers]

    def start(self) -> list[Client]:
        """Start all servers at once, and then the workers; return a client of each server."""
        with ThreadPoolExecutor(len(self.servers)) as hands:
            clients = list(hands.map(lambda one: one.start(), self.servers))
        for one in self.workers:
            one.join()
        return clients

    def roll(self, look: Callable[[Member], None] = lambda _: None) -> None:
        """Restart one server after the other in good order; `look` is called with each of them once it is back."""
        for one in self.servers:
            assert one.stop() == 0, one.log()
            one.start()
            look(one)

    def settle(self, client: Client, *, patience: float = 120) -> None:
        """Return once all runs are final; a server that cannot answer now is asked again."""
        left: list[str] = ["nothing was answered"]

        def over() -> bool:
            with suppress(Unavailable, OSError):
                left[:] = open_runs(client)
            return not left

        try:
            until(over, "the end of all runs", patience=patience, pace=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}: {left}") from None

    def problems(self, *, at_rest: bool = False) -> list[str]:
        """Return what the oracle finds; servers on PostgreSQL may go on meanwhile."""
        homes = [one.home for one in self.members if one.home.exists()]
        if self.url is None:
            found = self.servers[0].problems(self.told, at_rest=at_rest, seen=self.seen)
        else:
            found = problems_of(self.url, homes, self.folder, self.told, self.ledger, at_rest=at_rest, seen=self.seen)
        if at_rest:
            for home in homes:
                found += [f"O8 the folder {path} of an attempt is left" for path in home.glob("workers/*/attempts/*")]
        return found

    def disagreements(self) -> list[str]:
        """Return of which runs servers that live say different things; all runs have ended."""
        said = {one.name: _told_by(Client(UnixTransport(one.socket))) for one in self.servers if one.lives}
        first, *others = said
        return [
            f"O1 {first} and {other} say different things of runs {sorted(differ)[:5]}"
            for other in others
            if (differ := {run for run, _ in said[first].items() ^ said[other].items()})
        ]

    def stop(self) -> None:
        """End all that lives, workers first, in good order; fail where one does not end well or leaves anything."""
        for one in [*self.workers, *self.servers]:
            if one.lives:
                code = one.stop()
                assert code == 0, f"{one.name} ended with {code}\n{one.log()}"
        assert not self.ledger.living()

    def finish(self) -> None:
        """End all in good order, and fail where the oracle finds anything in the end."""
        found = self.disagreements()
        self.stop()
        found += self.problems(at_rest=True)
        assert not found, "\n".join(found)
        for one in self.members:
            assert "Traceback" not in one.log(), f"{one.name}:\n{one.log()}"

    def close(self) -> None:
        """End everything that still runs."""
        for one in self.members:
            one.close()

    def log(self) -> str:
        """Return what all of them wrote."""
        return "\n".join(f"--- {one.name}\n{one.log()}" for one in self.members)


class FleetScene(Scene):
    """A scene whose owner is a fleet: jobs are stored and runs begun by its first server unless said otherwise."""

    def __init__(self, fleet: Fleet) -> None:
        """Take a fleet of which nothing runs."""
        self.folder = fleet.folder
        self.ledger = fleet.ledger
        self.victim = fleet.servers[0]
        self.fleet = fleet
        self.accepted = fleet.told.accepted

    def finish(self) -> None:
        """Let all end, and fail where the oracle finds anything."""
        self.fleet.finish()

    def assert_sound(self, *, at_rest: bool = False) -> None:
        """Fail where the oracle finds anything; the fleet may go on."""
        found = self.fleet.problems(at_rest=at_rest)
        assert found == [], "\n".join(found)


def _told_by(client: Client) -> dict[str, str]:
    """Return what a server says of all runs."""
    found = {}
    for run in client.pages("runs"):
        attempts = list(client.pages("runs", run["id"], "executions"))
        found[run["id"]] = repr((run["state"], run["reason"], run["finishedAt"], attempts))
    return found
