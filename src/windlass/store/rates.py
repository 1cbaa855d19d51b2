"""Limited resources: the limits that jobs state, and what was taken within their windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from windlass.model.rates import Rate, Resource, own_of
from windlass.model.steady import Steady
from windlass.store.dispatch import note_change
from windlass.store.transaction import Transaction

#: Name of the fact about the store that ties the time of starts to the clocks.
_CLOCK = "steady_time"


def keep_stated(tx: Transaction, job_id: bytes, project: str, rates: Mapping[str, Rate]) -> None:
    """Let a job state these limits and no others."""
    before = {
        name: Rate(limit, window)
        for name, limit, window in tx.cursor.execute(
            "SELECT resource, units, span FROM rate_limits WHERE job_id = ? AND project = ?", (job_id, project)
        )
    }
    if before == dict(rates):
        return
    tx.cursor.execute("DELETE FROM rate_limits WHERE job_id = ?", (job_id,))
    tx.cursor.executemany(
        "INSERT INTO rate_limits (job_id, project, resource, units, span) VALUES (?, ?, ?, ?, ?)",
        [(job_id, project, name, *rate) for name, rate in rates.items()],
    )
    note_change(tx)


def drop_stated(tx: Transaction, job_ids: Iterable[bytes]) -> None:
    """Let jobs state nothing any more. What they still start counts under limits of their own, from what is known."""
    for job_id in job_ids:
        found = tx.cursor.execute("SELECT project, resource FROM rate_limits WHERE job_id = ?", (job_id,)).fetchall()
        for project, name in found:
            resource = Resource(project, name)
            tx.cursor.execute(
                "INSERT INTO rate_starts (project, resource, at, since, units, until) "
                "SELECT project, ?, at, since, units, until FROM rate_starts WHERE project = ? AND resource = ? "
                "ON CONFLICT DO NOTHING",
                (own_of(resource, job_id).name, *resource),
            )
        if found:
            tx.cursor.execute("DELETE FROM rate_limits WHERE job_id = ?", (job_id,))
            note_change(tx)


def stated_limits(tx: Transaction) -> dict[Resource, dict[bytes, Rate]]:
    """Return the limits that live jobs state, by resource and job."""
    found: dict[Resource, dict[bytes, Rate]] = {}
    for project, name, job_id, limit, window in tx.cursor.execute(
        "SELECT project, resource, job_id, units, span FROM rate_limits"
    ):
        found.setdefault(Resource(project, name), {})[job_id] = Rate(limit, window)
    return found


def stated_by_others(tx: Transaction, project: str, name: str, aliases: Iterable[str]) -> list[tuple[str, Rate]]:
    """Return the limits that live jobs but those named state for a resource, with the alias of each."""
    known = set(aliases)
    found = tx.cursor.execute(
        "SELECT j.alias, l.units, l.span FROM rate_limits l JOIN jobs j ON j.id = l.job_id "
        "WHERE l.project = ? AND l.resource = ? ORDER BY j.alias",
        (project, name),
    )
    return [(alias, Rate(limit, window)) for alias, limit, window in found if alias not in known]


def used(tx: Transaction, resource: Resource, after: int) -> int:
    """Return how many units were taken of a resource after a time."""
    found = tx.cursor.execute(
        "SELECT coalesce(sum(units), 0) FROM rate_starts WHERE project = ? AND resource = ? AND at > ?",
        (*resource, after),
    )
    return int(found.fetchone()[0])


def starts(tx: Transaction, resource: Resource, after: int) -> list[tuple[int, int]]:
    """Return `(at, units)` of what was taken of a resource after a time, oldest first."""
    return tx.cursor.execute(
        "SELECT at, units FROM rate_starts WHERE project = ? AND resource = ? AND at > ? ORDER BY at",
        (*resource, after),
    ).fetchall()


def stated_for(tx: Transaction, resource: Resource) -> dict[bytes, Rate]:
    """Return the limits that live jobs state for a resource, by job."""
    found = tx.cursor.execute(
        "SELECT job_id, units, span FROM rate_limits WHERE project = ? AND resource = ?", resource
    )
    return {job_id: Rate(limit, window) for job_id, limit, window in found}


def note_starts(tx: Transaction, resource: Resource, now: int, units: int, *, grain: int, until: int) -> None:
    """Note that so many units were taken of a resource, which counts until a time.

    Starts within `grain` microseconds become one row, which counts from the last of them.
    """
    last = tx.cursor.execute(
        "SELECT at, since FROM rate_starts WHERE project = ? AND resource = ? ORDER BY at DESC LIMIT 1", resource
    ).fetchone()
    if last is not None and now - last[1] < grain:
        tx.cursor.execute(
            "UPDATE rate_starts SET at = ?, units = units + ?, until = CASE WHEN until < ? THEN ? ELSE until END "
            "WHERE project = ? AND resource = ? AND at = ?",
            (max(now, last[0]), units, until, until, *resource, last[0]),
        )
        return
    tx.cursor.execute(
        "INSERT INTO rate_starts (project, resource, at, since, units, until) VALUES (?, ?, ?, ?, ?, ?)",
        (*resource, now, now, units, until),
    )


def drop_starts(tx: Transaction, until: int) -> None:
    """Forget what counts for nothing any more."""
    tx.cursor.execute("DELETE FROM rate_starts WHERE until <= ?", (until,))


def latest_start(tx: Transaction) -> int | None:
    """Return when anything was taken last."""
    found = tx.cursor.execute("SELECT max(at) FROM rate_starts").fetchone()
    return None if found[0] is None else int(found[0])


def claimed_by_route(tx: Transaction) -> dict[int, int]:
    """Return how many tasks of each route are taken and not yet started."""
    found = tx.cursor.execute(
        "SELECT route_id, count(*) FROM queue WHERE worker_id IS NOT NULL AND state = 'queued' GROUP BY route_id"
    )
    return dict(found.fetchall())


def steady_time(tx: Transaction) -> Steady | None:
    """Return what ties the time of starts to the clocks, as it was kept last."""
    row = tx.cursor.execute("SELECT value FROM store_info WHERE key = ?", (_CLOCK,)).fetchone()
    return None if row is None else Steady(**orjson.loads(row[0]))


def keep_steady_time(tx: Transaction, steady: Steady) -> None:
    """Keep what ties the time of starts to the clocks."""
    value = orjson.dumps({"boot": steady.boot, "offset": steady.offset, "skew": steady.skew}).decode()
    tx.cursor.execute(
        "INSERT INTO store_info (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_CLOCK, value),
    )
