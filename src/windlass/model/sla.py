"""By when a run should have ended: the times that a job's `sla` promises, and which of them a run has missed.

All times are microseconds since the epoch. What stands in a run is `{promise: {due, zone?, missedAt?}}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from windlass.clock import micros

#: The two promises, as a manifest names them.
DURATION: Final = "duration"
COMPLETED_BY: Final = "completedBy"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UTC: Final = "UTC"

Promises = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the promises of a run when somebody looked."""

    promises: Promises
    #: Those that were found to be missed now, the earliest first.
    missed: tuple[str, ...]
    #: When to look again; None where nothing is left to look at.
    next_at: int | None


def promises_of(sla: Mapping[str, Any], zone: str, begin: int) -> Promises:
    """Return what `sla` promises of a run that could begin at `begin`, in a zone by name."""
    found: Promises = {}
    if DURATION in sla:
        found[DURATION] = {"due": begin + micros(sla[DURATION])}
    if COMPLETED_BY in sla:
        due, known = time_of_day_after(begin, sla[COMPLETED_BY], zone)
        found[COMPLETED_BY] = {"due": due, "zone": known}
    return found


def first_due(promises: Promises) -> int | None:
    """Return the earliest time among promises that nobody has judged; None where there is none."""
    return min((one["due"] for one in promises.values() if "missedAt" not in one), default=None)


def judge(promises: Promises, *, now: int, finished_at: int | None) -> Judgement:
    """Say which promises are missed at `now`: those whose time has passed before the run ended.

    A run that ends at that very time has kept it.
    """
    due = sorted((one["due"], name) for name, one in promises.items() if "missedAt" not in one)
    missed = tuple(name for at, name in due if at <= now and (finished_at is None or finished_at > at))
    after = {name: {**one, "missedAt": now} if name in missed else one for name, one in promises.items()}
    left = [at for at, _ in due if at > now] if finished_at is None else []
    return Judgement(after, missed, min(left, default=None))


def zone_of(triggers: Iterable[Mapping[str, Any]]) -> str:
    """Return the zone that times of day of a job mean: that of its first cron trigger that names one, else UTC."""
    for trigger in triggers:
        zone = trigger.get("configuration", {}).get("timezone") if trigger.get("type") == "cron" else None
        if zone:
            return str(zone)
    return _UTC


def time_of_day_after(begin: int, text: str, zone: str) -> tuple[int, str]:
    """Return the first instant after `begin` at which clocks in `zone` come to a time such as `06:00`, and the zone.

    That is once a day. Where clocks are set forward over that time, it is the instant at which they are set; where they
    are set back and show it twice, it is the first. A zone that is not known here counts as UTC.
    """
    try:
        place, known = ZoneInfo(zone), zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        place, known = ZoneInfo(_UTC), _UTC
    wall = time.fromisoformat(text)
    since = _EPOCH + begin * _MICROSECOND
    day = since.astimezone(place).date() - timedelta(days=1)
    while True:
        instant = _first_instant(day, wall, place)
        if instant > since:
            return (instant - _EPOCH) // _MICROSECOND, known
        day += timedelta(days=1)


def _first_instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the first instant at which clocks in `zone` show a time of a day, or have passed over it."""
    earlier, later = (datetime.combine(day, wall, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier <= later:
        return earlier  # an ordinary day, or one on which they show it twice
    # Clocks never show it: they are set forward between the two, at some whole second.
    before, after = int(later.timestamp()), int(earlier.timestamp())
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return datetime.fromtimestamp(after, UTC)
