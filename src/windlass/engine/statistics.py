"""Figures of runs: how many, how they ended, how long they took and waited; and how each job is doing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from windlass.clock import to_text
from windlass.engine.engine import Engine
from windlass.engine.jobs import find_job, read_cursor, write_cursor
from windlass.engine.tallying import tally_all
from windlass.ids import id_text
from windlass.model.health import LOOKED_AT, job_health
from windlass.model.histogram import Histogram, quantile
from windlass.store import jobs as stored
from windlass.store.jobs import JobFilter, StoredJob
from windlass.store.run_hours import HOUR, HourFilter, hours, last_ends, live_states, summed
from windlass.store.transaction import Transaction

#: Hours that figures of a project, and of one job, go back unless said otherwise.
DAY: Final = 24
WEEK: Final = 7 * DAY
#: Final states that a success rate is about.
_RATED: Final = ("completed", "failed", "timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which runs figures are asked for; None leaves a field open."""

    project: str | None = "default"
    #: Alias or id of a job.
    job: str | None = None
    #: Times in microseconds: of the hours that hold them, the first and the last one counted.
    since: int | None = None
    until: int | None = None
    states: Sequence[str] = ()
    #: Labels of the jobs; None as the value takes any.
    labels: Mapping[str, str | None] = field(default_factory=dict)


async def statistics(engine: Engine, asked: Asked) -> dict[str, Any]:
    """Return figures of the runs that ended since a time, whole hours of them, and of those that are not final now.

    `durations` and `waits` are seconds, right to 5 %: running time, and the time between being queued and the start.
    `successRate` leaves out what was cancelled. Raises NotFound where there is no such job.
    """
    await tally_all(engine)
    return await engine.store.read(_statistics, asked)


def _statistics(tx: Transaction, asked: Asked) -> dict[str, Any]:
    job = None if asked.job is None else find_job(tx, asked.project or "default", asked.job)
    back = DAY if job is None else WEEK
    filters = HourFilter(
        first=tx.now // HOUR - back + 1 if asked.since is None else asked.since // HOUR,
        end=None if asked.until is None else asked.until // HOUR + 1,
        project=asked.project if job is None else job.project,
        job_ids=None if job is None else (job.id,),
        states=asked.states,
        labels=asked.labels,
    )
    rows = hours(tx, filters)
    figures = summed(rows)
    counts = _counts(rows)
    return {
        "project": asked.project if job is None else job.project,
        "job": None if job is None else job.alias,
        "since": to_text(filters.first * HOUR),
        "until": to_text(tx.now if filters.end is None else min(filters.end * HOUR, tx.now)),
        "runs": figures.runs,
        "counts": counts,
        "live": live_states(tx, filters),
        "successRate": success_rate(counts),
        "attempts": figures.attempts,
        "durations": _quantiles(figures.durations),
        "waits": _quantiles(figures.waits),
        "hours": _by_hour(rows),
    }


def success_rate(counts: Mapping[str, int]) -> float | None:
    """Return which share of the runs that ended by themselves completed; None where none did."""
    rated = sum(counts.get(state, 0) for state in _RATED)
    return round(counts.get("completed", 0) / rated, 6) if rated else None


def _counts(rows: Iterable[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + row.runs
    return counts


def _by_hour(rows: Iterable[Any]) -> list[dict[str, Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.hour, []).append(row)
    return [{"hour": to_text(hour * HOUR), "counts": _counts(found[hour])} for hour in sorted(found)]


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    return {"p50": quantile(histogram, 0.5), "p95": quantile(histogram, 0.95)}


async def jobs_health(
    engine: Engine, filters: JobFilter, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of jobs with how each is doing, and the cursor of the next page; None where this is the last.

    Raises UserError where the cursor is not one of ours.
    """
    await tally_all(engine)
    if cursor is not None:
        filters = replace(filters, after=read_cursor(cursor))
    return await engine.store.read(_health, filters)


def _health(tx: Transaction, filters: JobFilter) -> tuple[list[dict[str, Any]], str | None]:
    rows = stored.list_jobs(tx, replace(filters, limit=filters.limit + 1))
    page = [job for job, _ in rows[: filters.limit]]
    week = HourFilter(first=tx.now // HOUR - WEEK + 1, job_ids=[job.id for job in page])
    counts: dict[bytes, list[Any]] = {}
    for row in hours(tx, week):
        counts.setdefault(row.job_id, []).append(row)
    shapes = [_health_of(tx, job, _counts(counts.get(job.id, ()))) for job in page]
    return shapes, write_cursor(page[-1]) if len(rows) > len(page) else None


def _health_of(tx: Transaction, job: StoredJob, counts: Mapping[str, int]) -> dict[str, Any]:
    runs = last_ends(tx, job.id, LOOKED_AT)
    status, in_row = job_health([run.state for run in runs if run.finished_at is not None], enabled=job.enabled)
    last = runs[0] if runs else None
    return {
        "project": job.project,
        "job": job.alias,
        "status": status,
        "failuresInRow": in_row,
        "successRate": success_rate(counts),
        "runs": sum(counts.values()),
        "lastRun": None
        if last is None
        else {
            "id": id_text(last.id),
            "state": last.state,
            "finishedAt": None if last.finished_at is None else to_text(last.finished_at),
        },
    }
