"""The way to the server: whether a pooler stands on it, and whether the URL says so."""

from __future__ import annotations

from typing import Any

from windlass.store.findings import Finding
from windlass.store.place import ServerPlace


async def pooler(raw: Any, place: ServerPlace) -> list[Finding]:
    """Compare what the URL says of a pooler with what is there: one gives out numbers of processes of its own."""
    stands = raw.get_server_pid() != await raw.fetchval("SELECT pg_backend_pid()")
    if stands and not place.pooled:
        message = (
            "a pooler such as PgBouncer stands in front, and the database URL does not say so: in its modes "
            "`transaction` "
            "and `statement` units fail or are lost on somebody else's connection; write `?pgbouncer=true`, with its "
            "mode "
            "`transaction`"
        )
        return [Finding("warning", "pooler", message)]
    if place.pooled and not stands:
        message = (
            "the database URL says `pgbouncer=true`, and no pooler is there: each statement is prepared anew; leave "
            "it out"
        )
        return [Finding("warning", "pooler", message)]
    if place.pooled and place.listen is None:
        message = (
            "hints from other processes do not come through PgBouncer, so that everybody looks by himself, a little "
            "later: "
            "name the server itself with `listen=HOST:PORT`"
        )
        return [Finding("ok", "pooler", message)]
    return [Finding("ok", "pooler", "PgBouncer, with hints from the server itself")] if place.pooled else []
