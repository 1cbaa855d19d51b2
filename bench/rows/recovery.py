"""From the kill of a process to the next start of a step, at default settings; what was lost, what ran unasked."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from bench.entry import Entry
from bench.recovered import BEGUN, STEP, Recovered, entry, found_after, kill, noted, under_way, until
from bench.served import apply, client_of, new_home, start
from bench.settings import PATIENCE, RECOVERY

#: Who is killed. The steps' own processes are started by a supervisor beside `up`, with a guard between the two.
VICTIMS: Final[dict[str, tuple[str, ...]]] = {
    "up": ("up",),
    "supervisor": ("supervisor",),
    "up, supervisor and guard": ("up", "supervisor", "guard"),
}


def measure(store: str, rounds: int) -> Entry:
    """Kill each victim once a round; whoever looks after `up` starts it again at once."""
    found = {name: [kill_once(victims, RECOVERY["runs"]) for _ in range(rounds)] for name, victims in VICTIMS.items()}
    return entry(store, found, {**RECOVERY, "rounds": rounds, "windlass": "defaults"})


def kill_once(victims: tuple[str, ...], runs: int) -> Recovered:
    """Start runs of which half may be started again, kill while some are under way, and wait until all are final."""
    with new_home() as env:
        ledger = Path(env["HOME"]) / "ledger"
        ledger.touch()
        server = start(env)
        try:
            client = client_of(env)
            step = {"name": "only", "run": STEP, "env": {"LEDGER": str(ledger)}}
            apply(client, ("once", [step]), ("again", [step | {"onWorkerLost": "retry"}]))
            jobs = {
                client.post("jobs", alias, "run", body={})["id"]: alias for alias in ("once", "again") * (runs // 2)
            }
            until(lambda: len(noted(ledger, "begin")) >= BEGUN, "the first steps to begin")
            cut_off = len(under_way(ledger))
            killed = kill(server.pid, victims)
            if "up" in victims:
                server.communicate()
                server = start(env)
                client = client_of(env)
            return found_after(killed, client, jobs, ledger, cut_off)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)
