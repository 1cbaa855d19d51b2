"""What others do on the server that holds it up: transactions that do not end, and readers of its log that are gone."""

from __future__ import annotations

from typing import Any, Final

from windlass.store.findings import Finding
from windlass.store.place import ServerPlace

#: Seconds from which on a transaction is told of: none of ours takes as long.
_LONG: Final = 300
#: Bytes of the log that are kept for one reader before it is told of.
_KEPT: Final = 1 << 30
#: How many of a kind are named.
_NAMED: Final = 5
_OPEN: Final = """
SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age, application_name AS application,
    usename AS role, state
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    AND query NOT ILIKE 'autovacuum:%' AND xact_start < clock_timestamp() - make_interval(secs => $1)
ORDER BY xact_start LIMIT $2
"""
_UNSEEN: Final = (
    "SELECT quote_ident(current_user) FROM pg_stat_activity "
    "WHERE datname = current_database() AND query = '<insufficient privilege>' LIMIT 1"
)
_PREPARED: Final = """
SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS age FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => $1)
ORDER BY prepared LIMIT $2
"""
_SLOTS: Final = """
SELECT slot_name AS name, active, wal_status AS status,
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
        restart_lsn)::bigint AS kept
FROM pg_replication_slots ORDER BY restart_lsn
"""


async def open_transactions(raw: Any, _place: ServerPlace, *, longer: float = _LONG) -> list[Finding]:
    """Name transactions that have been open for `longer` seconds: no row that went since then can be taken away."""
    found = [
        Finding(
            "warning",
            "transactions",
            f"process {row['pid']} of {row['application'] or 'a program without a name'} (role {row['role']}) has had "
            "a "
            f"transaction open for {_age(row['age'])}, now {row['state']}: no row that went since can be taken away, "
            "and "
            f"the queue is slow; end it there, or with `SELECT pg_terminate_backend({row['pid']})`",
        )
        for row in await raw.fetch(_OPEN, float(longer), _NAMED)
    ]
    role = await raw.fetchval(_UNSEEN)
    if role is not None:
        told = f"transactions of other roles cannot be seen by {role}: `GRANT pg_read_all_stats TO {role}` shows them"
        found.append(Finding("ok", "transactions", told))
    return found


async def prepared_transactions(raw: Any, _place: ServerPlace, *, longer: float = _LONG) -> list[Finding]:
    """Name transactions that were prepared and forgotten: they hold rows and locks, over a restart too."""
    return [
        Finding(
            "warning",
            "transactions",
            f"the transaction {row['gid']!r} of {row['owner']} was prepared {_age(row['age'])} ago and never ended: it "
            "holds its locks and keeps rows that went since, over a restart too; end it with `COMMIT PREPARED` or "
            f"`ROLLBACK PREPARED '{row['gid']}'`",
        )
        for row in await raw.fetch(_PREPARED, float(longer), _NAMED)
    ]


async def replication_slots(raw: Any, _place: ServerPlace, *, more: int = _KEPT) -> list[Finding]:
    """Name replication slots that hold more than `more` bytes of the log, or whose reader has lost it."""
    found = []
    for row in await raw.fetch(_SLOTS):
        name = row["name"]
        drop = f"`SELECT pg_drop_replication_slot('{name}')`"
        if row["status"] == "lost":
            message = (
                f"the log that the replication slot {name} needs is gone: its reader begins anew; remove it with {drop}"
            )
            found.append(Finding("warning", "replication", message))
        elif row["kept"] is not None and row["kept"] > more:
            reader = "is behind" if row["active"] else "is gone"
            message = (
                f"the replication slot {name}, whose reader {reader}, keeps {row['kept'] // 2**20:,} MiB of the log: "
                "it grows "
                f"until the disk is full, and then nothing is accepted; bring its reader back, or remove it with {drop}"
            )
            found.append(Finding("warning", "replication", message))
    return found


def _age(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:,.0f} h" if hours >= 2 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"  # noqa: PLR2004 - two of a unit read well
