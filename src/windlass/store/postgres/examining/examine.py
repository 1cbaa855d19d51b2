"""All that is looked at in a server, one thing after the other: what cannot be asked keeps the rest from nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from windlass.store.findings import Finding
from windlass.store.place import ServerPlace
from windlass.store.postgres.examining.activity import open_transactions, prepared_transactions, replication_slots
from windlass.store.postgres.examining.server import clocks, connections, flushing, upkeep_of_rows, which_server
from windlass.store.postgres.examining.space import dead_rows, free_disk
from windlass.store.postgres.examining.way import pooler
from windlass.store.postgres.troubles import refusal, sqlstate

Look = Callable[[Any, ServerPlace], Awaitable[list[Finding]]]

_LOOKS: Final[tuple[tuple[str, Look], ...]] = (
    ("server", which_server),
    ("clock", clocks),
    ("connections", connections),
    ("pooler", pooler),
    ("flushing", flushing),
    ("vacuum", upkeep_of_rows),
    ("transactions", open_transactions),
    ("transactions", prepared_transactions),
    ("replication", replication_slots),
    ("dead rows", dead_rows),
    ("disk", free_disk),
)


async def examine_server(raw: Any, place: ServerPlace) -> list[Finding]:
    """Return what is to be said of the server and the database at `place`, asked on the connection `raw`.

    It is one as any program has it, with none of our settings. Raises what the driver raises where it is lost.
    """
    found: list[Finding] = []
    for check, look in _LOOKS:
        try:
            found += await look(raw, place)
        except Exception as error:
            if sqlstate(error) is None or raw.is_closed():
                raise
            found.append(Finding("warning", check, f"this could not be looked at: {refusal(error, place.shown)}"))
    return found
