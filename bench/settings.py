"""How everything is measured: sizes, and the best settings that each peer and Windlass itself have for the work.

The figures of a peer were tried around its defaults on the machine of the design and the fastest kept; nobody waits for
a commit less than its documentation promises: SQLite flushes every commit (`synchronous=FULL`) on all sides.
"""

from __future__ import annotations

from typing import Any, Final

#: Rounds of which the median counts, ours and the peers' in turn.
ROUNDS: Final = 3
#: Seconds after which a program that measures is given up.
PATIENCE: Final = 150

#: Windlass. `workers`: attempts at one time, and so the size of a batch.
OURS: Final[dict[str, dict[str, Any]]] = {
    "drain": {"count": 20_000, "workers": 200, "isolation": "inline"},
    "submit": {"warm_up": 1_000, "one_by_one": 1_000, "bulk": 20_000, "callers": 64},
    "archive": {"runs": 100_000, "count": 40_000, "workers": 200},
    "latency": {"count": 200, "pause": 0.03, "workers": 4},
    "flow40": {"steps": 40, "number": 10, "runs": 5, "workers": 4},
    "steps1000": {"steps": 1_000, "runs": 3, "workers": 100},
}

#: Huey: results off and fsync on; two threads are faster than one or four. It polls: a short delay without back-off is
#: its best latency.
HUEY: Final[dict[str, dict[str, Any]]] = {
    "drain": {"count": 4_000, "threads": 2, "delay": 0.02},
    "submit": {"warm_up": 1_000, "one_by_one": 1_000},
    "latency": {"count": 200, "pause": 0.03, "threads": 1, "delay": 0.001},
}

#: DBOS: no limit for a worker, a short poll, and a database in WAL mode, which it does not ask for itself but gains by.
DBOS: Final[dict[str, dict[str, Any]]] = {
    "drain": {"count": 800, "polling": 0.05},
    "submit": {"warm_up": 300, "one_by_one": 300},
    "latency": {"count": 60, "pause": 0.05, "polling": 0.005},
    "flow40": {"steps": 40, "number": 10, "runs": 3},
    "steps1000": {"steps": 1_000, "runs": 1},
}

#: Dagster: in process and silent, which is its fastest; runs and events in SQLite as it makes it.
DAGSTER: Final[dict[str, dict[str, Any]]] = {"steps1000": {"steps": 200, "runs": 1}}

#: Prefect: tasks called directly, or on a pool of threads; a server of its own, which gets `settle` seconds to write
#: down what it was told of, and `patience` to start.
PREFECT: Final[dict[str, dict[str, Any]]] = {
    "steps1000": {"steps": 150, "runs": 1, "threads": 16, "settle": 20, "patience": 60},
}

#: Seconds that a flush takes on further disks: that on which the aim for draining was set, a usual one for servers.
FLUSHES: Final = (0.00012, 0.001)
#: Manifests of one pass.
LINT: Final = {"count": 3_000}
PROCESSES: Final = {"count": 1_600}
COLD: Final = {"starts": 7, "starts of a peer": 3}
#: Stored runs, of so many jobs, and what is done over them in each round; seconds for all of it.
HISTORY: Final[dict[str, Any]] = {
    "sizes": (10_000, 100_000, 1_000_000),
    "jobs": 20,
    "one_by_one": 500,
    "bulk": 5_000,
    "workers": 200,
    "latency": 60,
    "pause": 0.02,
    "pages": 15,
    "patience": 1_800,
}
#: Steps of the graphs, and how many come before each.
GRAPH: Final[dict[str, Any]] = {"sizes": (1_000, 10_000, 100_000), "edges": 3}
#: Runs that are accepted before a kill: on two cores some more than there are slots. What is started again comes behind
#: those that wait, so that many of them would be what is measured.
RECOVERY: Final = {"runs": 12}
#: Runs of a process that does nothing, and lines of one that talks, while a server is weighed.
MEMORY: Final = {"runs": 2_000, "lines": 500_000}
#: Lines that each step writes; together they stay below the quota of an attempt.
LOGS: Final = {"lines": 500_000}
