"""From the kill of one of two workers on PostgreSQL to the next start of what it was at, at default settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.children import ROOT, NotMeasured
from bench.ending import bound, ended_after
from bench.entry import Entry
from bench.recovered import STEP, Recovered, entry, found_after, kill, noted, under_way, until
from bench.served import apply, new_home
from bench.services import Postgres, postgres
from bench.settings import PATIENCE, RECOVERY_OF_TWO
from windlass import Windlass
from windlass.api.message import local_admin
from windlass.api.routes.all import route_table
from windlass.cli.inprocess import LocalTransport, LoopThread, entered
from windlass.client.client import Client

#: Who is killed of the first worker; the second goes on.
VICTIMS: Final[dict[str, tuple[str, ...]]] = {
    "worker": ("up",),
    "worker, supervisor and guard": ("up", "supervisor", "guard"),
}


def measure(store: str, rounds: int) -> Entry:
    """Kill each victim once a round; nobody starts it again, the other worker takes its work."""
    with postgres() as server:
        found = {name: [kill_once(server, victims) for _ in range(rounds)] for name, victims in VICTIMS.items()}
        settings = {**RECOVERY_OF_TWO, "rounds": rounds, "windlass": "defaults"}
        return entry(store, found, settings, PostgreSQL=server.version)


def kill_once(server: Postgres, victims: tuple[str, ...]) -> Recovered:
    """Start runs of which half may be started again, kill while some are under way, and wait until all are final."""
    with ExitStack() as stack:
        url = stack.enter_context(server.database("bench"))
        env = stack.enter_context(new_home())
        ledger = Path(env["HOME"]) / "ledger"
        ledger.touch()
        client = stack.enter_context(_client(url, env))
        first, _ = (stack.enter_context(_worker(url, env, name)) for name in ("first", "second"))
        step = {"name": "only", "run": STEP, "env": {"LEDGER": str(ledger)}}
        apply(client, ("once", [step]), ("again", [step | {"onWorkerLost": "retry"}]))
        aliases = ("once", "again") * (RECOVERY_OF_TWO["runs"] // 2)
        jobs = {client.post("jobs", alias, "run", body={})["id"]: alias for alias in aliases}
        until(lambda: len(noted(ledger, "begin")) >= RECOVERY_OF_TWO["begun"], "the first steps to begin")
        cut_off = len(under_way(ledger))
        return found_after(kill(first.pid, victims), client, jobs, ledger, cut_off)


@contextmanager
def _client(url: str, env: Mapping[str, str]) -> Iterator[Client]:
    """Give a client of the store through a process that does not work on it: this one."""
    loop = LoopThread()
    with entered(loop, Windlass(url, workers=0, home=f"{env['HOME']}/asking")) as app:
        engine = app._backend._engine  # type: ignore[union-attr]  # noqa: SLF001 - the bench knows the program
        yield Client(LocalTransport(loop, route_table(), engine, local_admin("bench")))


@contextmanager
def _worker(url: str, env: Mapping[str, str], name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker until the block ends."""
    command = [sys.executable, "-m", "bench.working", url]
    own = {**env, "WINDLASS_HOME": f"{env['HOME']}/{name}"}
    process = subprocess.Popen(bound(command), env=own, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    with process as worker, ended_after(worker):
        if worker.stdout is None or worker.stdout.readline().strip() != "ready":
            raise NotMeasured(f"a worker ended with {worker.wait(PATIENCE)} before it was ready")
        yield worker
        worker.terminate()
        worker.wait(PATIENCE)
