"""`windlass up` in a process of its own that is killed again and again."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.fixtures.program import PROGRAM, program_environment
from tests.oracle.beside import check_folders
from tests.oracle.examination import examine
from tests.oracle.ledger import Ledger
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.model.state import RUN_FINAL, RUN_MOVES
from windlass.store.lockfile import find_owner, steps_lock_path
from windlass.supervisor.holding import is_held
from windlass.supervisor.procfs import processes

#: Seconds within which what must happen has to.
PATIENCE: Final = 60.0
#: A program that is `windlass`, and ends at a moment that has a name.
DOOMED: Final = Path(__file__).with_name("doomed.py")
#: How a program ends that cannot reach its store.
_UNAVAILABLE: Final = 3
#: Seconds between two looks at a condition that tells nobody when it comes true.
_PACE: Final = 0.005


def until(condition: Callable[[], bool], what: str, *, patience: float = PATIENCE, pace: float = _PACE) -> None:
    """Return once `condition` holds; fail where it does not in time."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about within {patience:g} s"
        select.select([], [], [], pace)


class Victim:
    """An embedded store with an owner that may be killed at any moment."""

    def __init__(
        self, folder: Path, ledger: Ledger, command: Sequence[str | Path] = (PROGRAM, "up"), **settings: str
    ) -> None:
        """Prepare; `settings` are variables without their prefix, `command` is what starts the owner."""
        self.home = folder / "home"
        self.ledger = ledger
        self._folder = folder
        self._command = command
        self._env = program_environment(self.home, folder) | ledger.environment()
        self._env |= {f"WINDLASS_{name.upper()}": value for name, value in settings.items()}
        self._process: subprocess.Popen[str] | None = None
        #: What stands before a command that is begun beside the owner.
        self.before: list[str] = []
        self._stderr = (folder / "stderr").open("a")

    @property
    def database(self) -> Path:
        """Where the store is."""
        return self.home / "windlass.db"

    @property
    def socket(self) -> Path:
        """Where the owner listens."""
        owner = find_owner(self.database)
        assert owner is not None
        assert owner.socket is not None
        return owner.socket

    def start(self) -> Client:
        """Start the owner; return a client of it once it is ready."""
        client, line = self._begin(self._command, {})
        assert client is not None, f"it said {line!r}"
        return client

    def start_patiently(self) -> Client:
        """Start the owner as a service manager does: again where it ended because its database is away just now."""
        found: list[Client] = []

        def ready() -> bool:
            client, _ = self._begin(self._command, {})
            if client is None:
                assert self.wait() == _UNAVAILABLE, self.log()
            else:
                found.append(client)
            return bool(found)

        until(ready, "a start")
        return found[0]

    def start_doomed(self, **more: str) -> Client | None:
        """Start an owner with the variables of `tests.oracle.doomed`; None where it has ended before it was ready."""
        return self._begin([sys.executable, DOOMED, "up"], more)[0]

    def run_doomed(self, *arguments: str | Path, **more: str) -> int:
        """Run another command with the variables of `tests.oracle.doomed`; return its exit code."""
        command = [sys.executable, DOOMED, *arguments]
        env, said = self._env | more, self._stderr
        done = subprocess.run(
            command, env=env, cwd=self._folder, stdout=said, stderr=said, timeout=PATIENCE, check=False
        )
        until(self._steps_ended, "the end of all steps")
        return done.returncode

    def _begin(self, command: Sequence[str | Path], more: dict[str, str]) -> tuple[Client | None, str]:
        self._process = subprocess.Popen(
            command, env=self._env | more, cwd=self._folder, stdout=subprocess.PIPE, stderr=self._stderr, text=True
        )
        assert self._process.stdout is not None
        return self._reached(self._process.stdout.readline())

    def _reached(self, line: str) -> tuple[Client | None, str]:
        """Return a client of an owner by what it says at first, and that."""
        owner = find_owner(self.database)
        if not line.startswith("ready ") or owner is None or owner.socket is None:
            return None, line
        return Client(UnixTransport(owner.socket)), line

    @property
    def lives(self) -> bool:
        """Whether the owner has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def apply(self, *manifests: Path) -> None:
        """Store jobs by the command line."""
        self.run("job", "apply", *manifests)

    def run(self, *arguments: str | Path, home: Path | None = None, code: int = 0) -> str:
        """Run a command that has to end with `code`, in another home if one is named; return what it says."""
        env = self._env if home is None else self._env | {"WINDLASS_HOME": str(home)}
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=env,
            cwd=self._folder,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
            check=False,
        )
        told = f"windlass {' '.join(map(str, arguments))} ended with {done.returncode}:"
        assert done.returncode == code, f"{told}\n{done.stdout}{done.stderr}"
        return done.stdout

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Begin a command beside the owner; whoever waits for it gets all that it says on its standard output."""
        out, err = subprocess.PIPE, subprocess.STDOUT
        env = {name: value for name, value in self._env.items() if name != "LEDGER"}  # it is no step
        return subprocess.Popen(
            [*self.before, PROGRAM, *arguments], env=env, cwd=self._folder, stdout=out, stderr=err, text=True
        )

    def pids(self) -> dict[str, int]:
        """Return the pids of the owner, its supervisor and the guard between them, as far as they live."""
        assert self._process is not None
        found = {"owner": self._process.pid}
        table = processes()
        for name, above in (("guard", "owner"), ("supervisor", "guard")):
            for one in table.values():
                if above in found and one.parent == found[above] and _runs_supervisor(one.pid):
                    found[name] = one.pid
        return found

    def kill(self, *names: str) -> None:
        """Kill some of owner, guard and supervisor at once; with the owner, return once the steps' lock is free."""
        pids = self.pids()
        doomed = [pids[name] for name in names if name in pids]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none can act on another's end
            for pid in doomed:
                with suppress(ProcessLookupError):  # it ended by itself, because another one did
                    os.kill(pid, number)
        if "owner" in names:
            self.wait()

    def wait(self) -> int:
        """Return the exit code of the owner once it has ended, and nothing of its steps lives."""
        assert self._process is not None
        self._process.communicate(timeout=PATIENCE)
        until(self._steps_ended, "the end of all steps")
        return self._process.returncode

    def ask_to_end(self) -> None:
        """Ask the owner to end; return once it has heard so."""
        assert self._process is not None
        self._process.terminate()
        until(lambda: not _pending(self.pids()["owner"]) & 1 << signal.SIGTERM - 1, "the request to arrive")

    def _steps_ended(self) -> bool:
        """Say whether nothing of the steps that the owner has started lives."""
        return not is_held(steps_lock_path(self.database))

    def stop(self) -> int:
        """Ask the owner to end; return its exit code."""
        self.ask_to_end()
        return self.wait()

    def close(self) -> None:
        """End everything that still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self.wait()
        self._stderr.close()

    def log(self) -> str:
        """Return the end of what all owners wrote to standard error."""
        return (self._folder / "stderr").read_text()[-100_000:]

    def problems(
        self,
        accepted: list[bytes] | Told,
        *,
        at_rest: bool = False,
        seen: Seen | None = None,
        home: Path | None = None,
        until: int | None = None,
    ) -> list[str]:
        """Return what the oracle finds in a copy of the store; nobody may own the store meanwhile.

        `seen` is what was found earlier; `home` is where another store is that is looked at instead, and `until` how
        many lines of the ledger that one can know of.
        """
        home, told = home or self.home, accepted if isinstance(accepted, Told) else Told(accepted)
        with self._copy(home) as path:
            examined = examine(path, home, told, self.ledger, seen=seen or Seen(), at_rest=at_rest, until=until)
            found = asyncio.run(examined)
        return [*found, *self.ledger.problems(), *check_folders(home, at_rest=at_rest)]

    @contextmanager
    def _copy(self, home: Path) -> Iterator[Path]:
        """Give a copy of a database as it lies there: looking at it must not mend it."""
        copy = self._folder / "copy"
        copy.mkdir()
        for file in home.glob("windlass.db*"):
            if file.suffix in {".db", ".db-wal"}:
                shutil.copy(file, copy)
        yield copy / "windlass.db"
        shutil.rmtree(copy)


def _pending(pid: int) -> int:
    """Return the mask of signals that wait for a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("ShdPnd:")).split()[1], 16)


def _runs_supervisor(pid: int) -> bool:
    try:
        return b"supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def open_runs(client: Client) -> list[str]:
    """Return the runs that are not final, as `job state`."""
    states = sorted(set(RUN_MOVES) - RUN_FINAL)
    return [f"{run['job']} {run['state']}" for run in client.pages("runs", state=states)]
