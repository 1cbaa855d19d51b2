"""Adding up the runs that ended, by the hour: read from their events, beside the way of a run, each once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from windlass.clock import SECOND
from windlass.engine.engine import Engine
from windlass.model.histogram import bucket_of
from windlass.store.run_hours import ALL_JOBS, Figures, Key, counted_to, ended_after, keep

#: Microseconds of an hour.
HOUR: Final = 3600 * SECOND
#: Facts read at a time: some ten milliseconds of the store.
PAGE: Final = 5000


async def tally(engine: Engine) -> bool:
    """Count the next page of facts; False where there was none. Two who do so at once count nothing twice."""
    before = await engine.store.read(counted_to)
    last, rows = await engine.store.read(ended_after, before, PAGE)
    if last == before:
        return False
    await engine.store.run(keep, before, last, _figures(rows))
    return True


async def tally_all(engine: Engine) -> None:
    """Count everything that has happened by now."""
    while await tally(engine):
        pass


def _figures(rows: Iterable[Any]) -> dict[Key, Figures]:
    whole: dict[Key, Figures] = {}
    for row in rows:
        for job_id in (row.job_id, ALL_JOBS):
            key = Key(row.project, row.finished_at // HOUR, job_id, row.state)
            figures = whole.setdefault(key, Figures())
            figures.runs += 1
            figures.attempts += row.attempts
            if row.started_at is not None:
                _count(figures.durations, row.finished_at - row.started_at)
                _count(figures.waits, row.started_at - (row.created_at if row.queued_at is None else row.queued_at))
    return whole


def _count(histogram: dict[int, int], length: int) -> None:
    bucket = bucket_of(length)
    histogram[bucket] = histogram.get(bucket, 0) + 1
