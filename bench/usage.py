"""What work costs a server of PostgreSQL and the processes that use it: processor time, log, rows, commits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.ending import tree

_TICK: Final = os.sysconf("SC_CLK_TCK")
#: Fields of `/proc/PID/stat` behind the name: user and system time, of itself and of children that were waited for.
_TIMES: Final = slice(11, 15)
_COUNTERS: Final = (
    "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS log, xact_commit AS commits, tup_inserted AS inserted, "
    "tup_updated AS updated, tup_deleted AS deleted FROM pg_stat_database WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used since a server and its users began, or between two of these."""

    #: Seconds of a processor: of the server, and of the other processes by name.
    server: float
    others: Mapping[str, float]
    #: Bytes of its write-ahead log.
    log: float
    commits: float
    #: Rows that were inserted, updated or deleted.
    rows: float

    def since(self, before: Usage, count: float = 1) -> dict[str, float]:
        """Return what was used since then, a piece of work: microseconds, bytes, numbers."""
        return {
            "server, us": (self.server - before.server) / count * 1e6,
            **{f"{name}, us": (used - before.others[name]) / count * 1e6 for name, used in self.others.items()},
            "log, bytes": (self.log - before.log) / count,
            "rows": (self.rows - before.rows) / count,
            "commits": (self.commits - before.commits) / count,
        }


async def used(asking: asyncpg.Connection, server: int, others: Mapping[str, int]) -> Usage:
    """Return what a server, by the process that began it, and other processes, by theirs, have used so far."""
    await asking.execute("SELECT pg_stat_clear_snapshot()")
    row = await asking.fetchrow(_COUNTERS)
    return Usage(
        server=seconds(server),
        others={name: seconds(pid) for name, pid in others.items()},
        log=float(row["log"]),
        commits=row["commits"],
        rows=row["inserted"] + row["updated"] + row["deleted"],
    )


def seconds(pid: int) -> float:
    """Return the processor time of a process and of all below it, those that have ended included."""
    return sum(_ticks(one) for one in tree(pid)) / _TICK


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile: whoever waited for it counts it from now on
        return 0
    return sum(int(one) for one in fields[_TIMES])
