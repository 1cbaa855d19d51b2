"""What `windlass up` holds in memory: idle, at its most while it has much to do, and when that is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.ending import tree
from bench.entry import Entry, versions
from bench.served import apply, client_of, command, new_home, proportional_set, up
from bench.settings import MEMORY, PATIENCE
from windlass.client.client import Client
from windlass.engine.starting import MOST_AT_ONCE

#: Megabytes.
IDLE = 120
#: What the design's own measurement found on its machine, in MB.
LISTED = {"Prefect server, idle, MB, listed": 218, "Airflow standalone, idle, MB, listed": 1_002}
_MB = 1024 * 1024
#: Seconds between two looks.
_PACE = 0.05


def measure(store: str, rounds: int) -> Entry:
    """Weigh a server and all it starts for itself, of what it shares with others its part; steps do not count."""
    found = [_weigh(MEMORY) for _ in range(rounds)]
    idle, most, after = (max(one[name] for one in found) / _MB for name in ("idle", "most", "after"))
    return Entry(
        row="memory",
        store=store,
        ours=round(idle, 1),
        peer=None,
        peer_name=None,
        ratio=None,
        aim=f"up <= {IDLE} MB idle",
        met=idle <= IDLE,
        others={"at its most under load, MB": round(most, 1), "when all is done, MB": round(after, 1), **LISTED},
        settings={**MEMORY, "rounds": rounds},
        versions=versions(),
    )


def _weigh(sizes: Mapping[str, int]) -> dict[str, int]:
    with new_home() as env, up(env) as pid:
        client = client_of(env)
        step = {"name": "only", "type": "process"}
        apply(
            client,
            ("nothing", [step | {"config": {"command": ["true"]}}]),
            ("talk", [step | {"config": {"command": ["seq", "-f", "line %08.0f, of many", str(sizes["lines"])]}}]),
        )
        idle = _own(pid)
        with _most(pid) as seen:
            _load(client, sizes)
        return {"idle": idle, "most": max(seen), "after": _own(pid)}


def _load(client: Client, sizes: Mapping[str, int]) -> None:
    """Accept many runs, follow one that talks, read pages of the list, until everything is done."""
    for first in range(0, sizes["runs"], MOST_AT_ONCE):
        client.post("jobs", "nothing", "runs", body={"parameters": [{}] * min(MOST_AT_ONCE, sizes["runs"] - first)})
    run = client.post("jobs", "talk", "run", body={})
    for _ in client.events("runs", run["id"], "logs", follow=True):
        pass
    end = time.monotonic() + PATIENCE
    while any(one["counts"] for one in client.get("queues")["items"]) and time.monotonic() < end:
        client.get("runs", limit=200)


@contextmanager
def _most(pid: int) -> Iterator[list[int]]:
    """Weigh a server again and again while the block runs."""
    seen = [_own(pid)]
    done = threading.Event()

    def look() -> None:
        while not done.wait(_PACE):
            seen.append(_own(pid))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def _own(pid: int) -> int:
    """Return the bytes of a server, its supervisor and what else it starts for itself."""
    return sum(proportional_set(one) for one in tree(pid) if one == pid or "windlass" in command(one))
