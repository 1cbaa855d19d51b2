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
#: Seconds after which no further round of a row begins: on a busy machine there are fewer of them, which the row says.
MOST: Final = 900
#: Peers beside which rows on PostgreSQL are measured; all where none is named.
BESIDE: Final[set[str]] = set()

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

#: Seconds for which a transaction is held open, and for which the same is measured before and after; seconds for
#: everything else until all of it is under way.
HORIZON: Final[dict[str, float]] = {"held": 600, "around": 60, "start": 20}

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
#: The same where two workers share the work, and how many of them have begun before one is killed.
RECOVERY_OF_TWO: Final = {"runs": 20, "begun": 12}
#: Runs of a process that does nothing, and lines of one that talks, while a server is weighed.
MEMORY: Final = {"runs": 2_000, "lines": 500_000}
#: What each kind of work is measured by: pieces, and of runs one by one how many callers wait. Seconds of idling.
COSTS: Final[dict[str, Any]] = {
    "runs": 20_000,
    "slots": 200,
    "callers": 32,
    "single": 640,
    "steps": 100,
    "flows": 10,
    "lines": 200_000,
    "events": 500,
    "idle": 20,
    "workers": 4,
    "patience": 1_200,
}
#: Lines that each step writes; together they stay below the quota of an attempt.
LOGS: Final = {"lines": 500_000}

#: On PostgreSQL with every commit flushed, by program. `count` is what one process drains, `both` what two do;
#: submissions one by one are as many for all, those in bulk as many as take some tenths of a second.
#: So many a second for so many seconds, and some at leisure.
LATENCY: Final[dict[str, Any]] = {"count": 150, "pause": 0.02, "rates": {10: 8, 100: 4, 300: 4}}
SUBMIT: Final[dict[str, Any]] = {"warm_up": 100, "one_by_one": 1_000}
ON_POSTGRES: Final[dict[str, dict[str, Any]]] = {
    #: Everything else is as it is by default. `workers`: attempts at one time, and so the size of a batch.
    "windlass": {
        "drain": {"count": 40_000, "workers": 500},
        "drain2": {"count": 80_000, "workers": 500, "processes": 2},
        "submit": {**SUBMIT, "bulk": 20_000, "callers": 64},
        "latency": {**LATENCY, "workers": 4},
        "flow40": OURS["flow40"],
        "steps1000": OURS["steps1000"],
        "horizon": {"count": 3_000, "pace": 1.0, "workers": 200},
    },
    #: Windlass in the process of the application that submits.
    "windlass_inside": {"latency": OURS["latency"]},
    #: asyncpg and uvloop; batches of 100 are faster than of 10, 50 or 500. A finished job leaves a row of a log.
    "pgqueuer": {
        "drain": {"count": 20_000, "batch": 100},
        "drain2": {"count": 60_000, "batch": 100, "processes": 2},
        "submit": {**SUBMIT, "bulk": 20_000},
        "latency": {**LATENCY, "batch": 10},
        "horizon": {"count": 3_000, "pace": 1.0, "batch": 100},
    },
    #: Twenty jobs at one time; what is done stays in the table, which is also faster than to delete it.
    "procrastinate": {
        "drain": {"count": 2_000, "concurrency": 20},
        "drain2": {"count": 4_000, "concurrency": 20, "processes": 2},
        "submit": {**SUBMIT, "bulk": 10_000},
        "latency": {**LATENCY, "concurrency": 20},
    },
    #: Workflows that are not asynchronous, no limit for a worker, and a short poll.
    "dbos_postgres": {
        "drain": {"count": 2_000, "polling": 0.05},
        "drain2": {"count": 4_000, "polling": 0.05, "processes": 2},
        "submit": {**SUBMIT, "bulk": 2_000},
        "latency": {**LATENCY, "polling": 0.005},
    },
    #: Its flows in this process, as on SQLite.
    "dbos": {"flow40": DBOS["flow40"], "steps1000": DBOS["steps1000"]},
    #: One task at a time, whose steps share its connection.
    "absurd_flows": {
        "flow40": {"steps": 40, "number": 10, "runs": 3, "polling": 0.005},
        "steps1000": {"steps": 1_000, "runs": 1, "polling": 0.005},
    },
    #: Fifty tasks at one time and in a batch; it polls.
    "absurd": {
        "drain": {"count": 3_000, "concurrency": 50, "polling": 0.01},
        "drain2": {"count": 6_000, "concurrency": 50, "polling": 0.01, "processes": 2},
        "submit": SUBMIT,
        "latency": {**LATENCY, "concurrency": 50, "polling": 0.005},
    },
    #: The storage of queues in rings, which it recommends; more jobs at one time, and in a batch, are not faster.
    "awa": {
        "drain": {"count": 10_000, "slots": 400, "batch": 400, "polling": 10},
        "drain2": {"count": 20_000, "slots": 400, "batch": 400, "polling": 10, "processes": 2},
        "submit": {**SUBMIT, "bulk": 20_000},
        "latency": {**LATENCY, "slots": 100, "batch": 100, "polling": 10},
    },
}
#: On Redis, which keeps nothing on a disk; no results either.
ON_REDIS: Final[dict[str, dict[str, Any]]] = {
    #: One forked process a worker, acknowledged early; hiredis for all four.
    "celery": {
        "drain": {"count": 4_000, "prefetch": 100},
        "drain2": {"count": 8_000, "prefetch": 100, "processes": 2},
        "submit": SUBMIT,
        "latency": {**LATENCY, "prefetch": 1},
    },
    #: Eight threads. It polls, the less often the longer there is nothing, up to `timeout` milliseconds: its default of
    #: a second costs it three quarters of its rate.
    "dramatiq": {
        "drain": {"count": 6_000, "threads": 8, "timeout": 2},
        "drain2": {"count": 12_000, "threads": 8, "timeout": 2, "processes": 2},
        "submit": SUBMIT,
        "latency": {**LATENCY, "threads": 8, "timeout": 2},
    },
    #: Streams, so that what a dead worker held is not lost; uvloop.
    "taskiq": {
        "drain": {"count": 10_000, "tasks": 100, "prefetch": 100},
        "drain2": {"count": 20_000, "tasks": 100, "prefetch": 100, "processes": 2},
        "submit": SUBMIT,
        "latency": {**LATENCY, "tasks": 100, "prefetch": 0},
    },
    #: Four threads; they wait at Redis and do not poll.
    "huey_redis": {
        "drain": {"count": 10_000, "threads": 4},
        "drain2": {"count": 20_000, "threads": 4, "processes": 2},
        "submit": SUBMIT,
        "latency": {**LATENCY, "threads": 4},
    },
}
