"""The server itself: which it is, its clock, its settings, and how many more connections it takes."""

from __future__ import annotations

import time
from typing import Any, Final

from windlass.store.findings import Finding
from windlass.store.place import ServerPlace

#: Major versions on which the tests run.
_TESTED: Final = frozenset({15, 16, 18})
#: Seconds between two clocks that are told of: a lease that is judged by the wrong one is 15 s long.
_APART: Final = 5.0
#: Connections that every process may have beside those of its URL: for heartbeats and for hints.
_ASIDE: Final = 2
_WHICH: Final = (
    "SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_version') AS version, "
    "current_setting('server_encoding') AS encoding, pg_size_pretty(pg_database_size(current_database())) AS size"
)
_CONNECTIONS: Final = """
SELECT sum(s.numbackends)::int AS used,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int AS most,
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database,
    max(s.numbackends) FILTER (WHERE s.datname = current_database()) AS used_in_database,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS of_role,
    (SELECT count(*)::int FROM pg_stat_activity WHERE usename = current_user) AS used_by_role,
    quote_ident(current_user) AS role, quote_ident(current_database()) AS database
FROM pg_stat_database s
"""
_OFF: Final = {
    "fsync": "when the server's machine fails, the database may be lost, all of it: turn it on and start the server "
    "anew",
    "full_page_writes": "when the server's machine fails, pages may be left half written: turn it on",
    "synchronous_commit": "an application that submits within its own transaction may be told of a run that a crash "
    "then "
    "takes back; what Windlass commits itself is flushed all the same: turn it on for the role of that application",
}


async def which_server(raw: Any, place: ServerPlace) -> list[Finding]:
    """Say which server this is; one that is too old, or a database in another encoding, was not opened at all."""
    row = await raw.fetchrow(_WHICH)
    untested = "" if row["major"] in _TESTED else ", a version on which Windlass is not tested"
    told = f"PostgreSQL {row['version']}{untested}, at {place.shown}: {row['encoding']}, {row['size']}"
    return [Finding("ok", "server", told)]


async def clocks(raw: Any, _place: ServerPlace, *, wall: Any = time.time) -> list[Finding]:
    """Compare the clock of this machine with the database's, which is the one that counts."""
    before = wall()
    there = float(await raw.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
    after = wall()
    ahead = (before + after) / 2 - there
    if abs(ahead) <= _APART + (after - before) / 2:
        return []
    where = "ahead of" if ahead > 0 else "behind"
    return [
        Finding(
            "warning",
            "clock",
            f"the clock of this machine is {abs(ahead):,.0f} s {where} the database's: leases and schedules go by "
            "that one, "
            "but logs and files here bear other times; have both set by NTP",
        )
    ]


async def connections(raw: Any, place: ServerPlace) -> list[Finding]:
    """Say where one more server would find no connections left, by whichever limit is the nearest."""
    row = await raw.fetchrow(_CONNECTIONS)
    limits = [
        (row["most"], row["used"], "max_connections of the server", "raise it"),
        (
            row["of_database"],
            row["used_in_database"],
            f"the limit of the database {row['database']}",
            f"`ALTER DATABASE {row['database']} CONNECTION LIMIT -1` lifts it",
        ),
        (
            row["of_role"],
            row["used_by_role"],
            f"the limit of the role {row['role']}",
            f"`ALTER ROLE {row['role']} CONNECTION LIMIT -1` lifts it",
        ),
    ]
    left, most, name, remedy = min(
        (most - used, most, name, remedy) for most, used, name, remedy in limits if most >= 0
    )
    needed = place.connections + _ASIDE
    if left >= needed or place.pooled:
        return [Finding("ok", "connections", f"{left:,} of {most:,} are free, by {name}")]
    return [
        Finding(
            "warning",
            "connections",
            f"{max(left, 0):,} of {most:,} are free, by {name}, and a server takes up to {needed}: what finds none "
            "waits or "
            f"fails; {remedy}, or put PgBouncer in front",
        )
    ]


async def flushing(raw: Any, _place: ServerPlace) -> list[Finding]:
    """Say what of the server's settings lets a crash cost what was committed."""
    values = await raw.fetchrow(f"SELECT {', '.join(f'current_setting({name!r}) AS {name}' for name in _OFF)}")
    return [
        Finding("error" if name == "fsync" else "warning", "flushing", f"{name} is off: {why}")
        for name, why in _OFF.items()
        if values[name] == "off"
    ]


async def upkeep_of_rows(raw: Any, _place: ServerPlace) -> list[Finding]:
    """Say where nothing takes away rows that are gone: the queue changes each of its rows several times."""
    found = []
    for name in ("autovacuum", "track_counts"):
        if await raw.fetchval("SELECT current_setting($1)", name) == "off":
            message = (
                f"{name} is off: rows that are gone are never taken away, and every look at the queue passes them; "
                "turn it on"
            )
            found.append(Finding("error", "vacuum", message))
    tables = await raw.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r' AND reloptions && '{autovacuum_enabled=false,autovacuum_enabled=off}'::text[] ORDER BY 1"
    )
    return found + [
        Finding(
            "error",
            "vacuum",
            f"autovacuum is off for the table {row['name']}: rows that are gone stay in it; "
            f"`ALTER TABLE {row['name']} RESET (autovacuum_enabled)`",
        )
        for row in tables
    ]
