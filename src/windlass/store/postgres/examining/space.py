"""The room that a store takes on its server: rows that are gone, and what is free on the disk."""

from __future__ import annotations

import shutil
from typing import Any, Final

from windlass.store.findings import Finding
from windlass.store.place import ServerPlace
from windlass.store.tables import metadata

#: Rows that are gone from which on a table is told of where they are more than those that are there.
_MANY: Final = 50_000
#: Free bytes below which a disk is nearly full, as for the home.
_SCARCE: Final = 512 << 20
_MIB: Final = 1 << 20
_DEAD: Final = """
SELECT relname AS name, n_dead_tup AS dead, n_live_tup AS live,
    coalesce(to_char(greatest(last_vacuum, last_autovacuum), 'YYYY-MM-DD HH24:MI'), 'never') AS vacuumed
FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND n_dead_tup > $1 AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC
"""


async def dead_rows(raw: Any, _place: ServerPlace, *, many: int = _MANY) -> list[Finding]:
    """Name tables of ours that consist of rows that are gone, more than `many` of them."""
    return [
        Finding(
            "warning",
            "dead rows",
            f"{row['dead']:,} rows of {row['name']} are gone beside {row['live']:,} that are there (vacuumed: "
            f"{row['vacuumed']}): every look at it passes them; where no open transaction keeps them, run "
            f"`VACUUM {row['name']}`, and give autovacuum more to do its work with (autovacuum_vacuum_cost_limit)",
        )
        for row in await raw.fetch(_DEAD, many)
        if row["name"] in metadata.tables
    ]


async def free_disk(raw: Any, place: ServerPlace, *, scarce: int = _SCARCE) -> list[Finding]:
    """Say how much is free on the disk of a server on this machine that lets us know where it lies.

    Of others nothing can be known: PostgreSQL does not tell.
    """
    folder = None
    if await raw.fetchval("SELECT inet_client_addr() IS NULL OR inet_client_addr() = inet_server_addr()"):
        folder = await raw.fetchval(
            "SELECT setting FROM pg_settings WHERE name = 'data_directory' AND pg_has_role('pg_read_all_settings', "
            "'USAGE')"
        )
    try:
        free = None if folder is None else shutil.disk_usage(folder).free
    except OSError:
        free = None
    if free is None:
        told = f"how much is free where {place.shown} lies cannot be seen from here: watch it there"
        return [Finding("ok", "database disk", told)]
    if free >= scarce:
        return [Finding("ok", "database disk", f"{free // _MIB:,} MiB are free below {folder}")]
    message = (
        f"{free // _MIB:,} MiB are free below {folder}, where the database lies: once it is full nothing is accepted, "
        "and "
        "what runs is not recorded; free some space"
    )
    return [Finding("warning", "database disk", message)]
