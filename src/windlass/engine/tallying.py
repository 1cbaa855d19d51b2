"""Adding up the runs that ended, by the hour: read from their events, beside the way of a run, each once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from windlass.engine.engine import Engine
from windlass.model.histogram import Histogram, added, counted
from windlass.store.run_hours import ALL_JOBS, Figures, Key, counted_to, ended_after, keep

#: Facts read at a time: some milliseconds of the store.
PAGE: Final = 5000


async def tally(engine: Engine) -> bool:
    """Count the next page of facts; say whether there is more. Two who do so at once count nothing twice."""
    before = await engine.store.read(counted_to)
    span, rows = await engine.store.read(ended_after, before, PAGE)
    if span.empty:
        return False
    return not await engine.store.run(keep, before, span.cursor, _figures(rows)) or span.left > 0


async def tally_all(engine: Engine) -> None:
    """Count everything that has happened by now."""
    while await tally(engine):
        pass


def _figures(rows: Iterable[Any]) -> dict[Key, Figures]:
    whole: dict[Key, Figures] = {}
    for row in rows:
        durations, waits = _lengths(row.durations), _lengths(row.waits)
        for job_id in (row.job_id, ALL_JOBS):
            figures = whole.setdefault(Key(row.project, row.hour, job_id, row.state), Figures())
            figures.runs += row.runs
            figures.attempts += row.attempts
            figures.durations = added(figures.durations, durations)
            figures.waits = added(figures.waits, waits)
    return whole


def _lengths(joined: str | None) -> Histogram:
    """Read lengths with commas between; none where no run had begun."""
    return counted(map(int, joined.split(","))) if joined else {}
