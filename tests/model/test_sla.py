"""By when a run should have ended, and when it is late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.clock import SECOND, from_text, to_text
from windlass.model.sla import first_due, judge, promises_of, time_of_day_after, zone_of

pytestmark = pytest.mark.promise("C19")

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("begin", "wall", "zone", "due"),
    [
        ("2026-01-01T05:59:59Z", "06:00", "UTC", "2026-01-01T06:00:00Z"),
        ("2026-01-01T06:00:00Z", "06:00", "UTC", "2026-01-02T06:00:00Z"),  # it begins with the day after
        ("2026-07-01T01:00:00Z", "06:00", BERLIN, "2026-07-01T04:00:00Z"),
        ("2026-12-31T22:59:00Z", "00:00", BERLIN, "2026-12-31T23:00:00Z"),
        # Set forward at 02:00: what they never show is when they are set.
        ("2026-03-28T12:00:00Z", "02:30", BERLIN, "2026-03-29T01:00:00Z"),
        ("2026-03-29T01:00:00Z", "02:30", BERLIN, "2026-03-30T00:30:00Z"),
        ("2026-03-28T12:00:00Z", "03:00", BERLIN, "2026-03-29T01:00:00Z"),
        # Set back at 03:00: the first of the two, and once that day.
        ("2026-10-24T12:00:00Z", "02:30", BERLIN, "2026-10-25T00:30:00Z"),
        ("2026-10-25T00:30:00Z", "02:30", BERLIN, "2026-10-26T01:30:00Z"),
        ("2026-10-03T12:00:00Z", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00Z"),  # by half an hour
        ("2011-12-29T22:00:00Z", "06:00", "Pacific/Apia", "2011-12-30T10:00:00Z"),  # that day there was none
    ],
)
def test_a_time_of_day_is_the_next_one_on_the_clocks_of_its_zone(begin: str, wall: str, zone: str, due: str) -> None:
    assert time_of_day_after(from_text(begin), wall, zone) == (from_text(due), zone)


@given(
    begin=st.integers(0, 4_000_000_000).map(lambda seconds: seconds * SECOND),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]),
)
def test_it_comes_once_a_day_and_never_earlier(begin: int, minute: int, zone: str) -> None:
    text = f"{minute // 60:02}:{minute % 60:02}"
    due, known = time_of_day_after(begin, text, zone)
    assert (known, due > begin) == (zone, True)
    shown = datetime.fromtimestamp(due / SECOND, ZoneInfo(zone))
    before = datetime.fromtimestamp((due - SECOND) / SECOND, ZoneInfo(zone))
    # The clocks show it, or were set over it in the second before.
    assert f"{shown:%H:%M}" == text or before.utcoffset() != shown.utcoffset()
    following, _ = time_of_day_after(due, text, zone)
    assert timedelta(hours=22) <= timedelta(microseconds=following - due) <= timedelta(hours=26)
    days = (shown.date(), datetime.fromtimestamp(following / SECOND, ZoneInfo(zone)).date())
    assert days[1] - days[0] in {timedelta(days=1), timedelta(days=2)} or date(2011, 12, 31) in days


def test_a_zone_that_is_gone_counts_as_utc() -> None:
    due = datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert time_of_day_after(from_text("2026-01-01T00:00:00Z"), "06:00", "Europe/Atlantis") == (
        from_text(due.isoformat()),
        "UTC",
    )


@pytest.mark.parametrize(
    ("triggers", "zone"),
    [
        ([], "UTC"),
        ([{"type": "cron", "configuration": {"cron": "0 2 * * *"}}], "UTC"),
        (
            [
                {"type": "http", "configuration": {"timezone": "Asia/Tokyo"}},
                {"type": "cron"},
                {"type": "cron", "configuration": {"timezone": BERLIN}},
                {"type": "cron", "configuration": {"timezone": "Asia/Tokyo"}},
            ],
            BERLIN,
        ),
    ],
)
def test_the_zone_is_that_of_the_first_cron_trigger_that_names_one(triggers: list[dict[str, Any]], zone: str) -> None:
    assert zone_of(triggers) == zone


SLA = {"duration": 90 * 60.0, "completedBy": "06:00"}
BEGIN = from_text("2026-01-01T02:00:00Z")
HALF_PAST_THREE = BEGIN + 90 * 60 * SECOND
SIX = from_text("2026-01-01T06:00:00Z")


def test_each_promise_is_judged_once_at_its_time() -> None:
    promises = promises_of(SLA, "UTC", BEGIN)
    assert (promises, first_due(promises)) == (
        {"duration": {"due": HALF_PAST_THREE}, "completedBy": {"due": SIX, "zone": "UTC"}},
        HALF_PAST_THREE,
    )
    early = judge(promises, now=HALF_PAST_THREE - 1, finished_at=None)
    assert (early.promises, early.missed, early.next_at) == (promises, (), HALF_PAST_THREE)
    first = judge(promises, now=HALF_PAST_THREE, finished_at=None)
    assert (first.missed, first.next_at) == (("duration",), SIX)
    assert first.promises["duration"] == {"due": HALF_PAST_THREE, "missedAt": HALF_PAST_THREE}
    second = judge(first.promises, now=SIX + 5, finished_at=None)
    assert (second.missed, second.next_at) == (("completedBy",), None)
    assert judge(second.promises, now=SIX + 9, finished_at=None).missed == ()


@pytest.mark.parametrize(
    ("finished", "missed"),
    [
        (HALF_PAST_THREE - 1, ()),
        (HALF_PAST_THREE, ()),  # just in time
        (HALF_PAST_THREE + 1, ("duration",)),
        (SIX, ("duration",)),
        (SIX + 1, ("duration", "completedBy")),
    ],
)
def test_a_run_that_ended_is_judged_by_its_end_however_late_somebody_looks(
    finished: int, missed: tuple[str, ...]
) -> None:
    found = judge(promises_of(SLA, "UTC", BEGIN), now=SIX + 3600 * SECOND, finished_at=finished)
    assert (found.missed, found.next_at) == (missed, None)


def test_after_its_end_nothing_is_looked_at_again() -> None:
    found = judge(promises_of(SLA, "UTC", BEGIN), now=HALF_PAST_THREE, finished_at=BEGIN + 1)
    assert (found.missed, found.next_at, to_text(SIX)) == ((), None, "2026-01-01T06:00:00.000000Z")
