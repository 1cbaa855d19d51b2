"""When a store is short of room, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.room import Disk, amount, left, shortage

pytestmark = pytest.mark.promise("K06")
MIB = 1024 * 1024
ROOMY = Disk("/a", 900 * MIB, 1000 * MIB)


def test_what_is_short_is_named_with_the_setting_and_what_to_do() -> None:
    assert shortage([ROOMY], reserve=64 * MIB, used=5, quota=None) is None
    found = shortage([ROOMY, Disk("/b", 10 * MIB, 1000 * MIB)], reserve=64 * MIB, used=0, quota=None)
    assert found is not None
    assert found.what == "disk"
    assert found.sentence == (
        "The disk of /b has 10 MiB free, and 64 MiB are kept for what runs to end (WINDLASS_DISK_RESERVE): nothing new "
        "is taken until there is room; free some space."
    )
    found = shortage([ROOMY], reserve=0, used=3 * MIB, quota=2 * MIB)
    assert found is not None
    assert found.what == "quota"
    assert found.sentence == (
        "The store takes 3.0 MiB, and WINDLASS_DISK_QUOTA allows 2.0 MiB: nothing new is taken until runs have left: "
        "see `windlass archive run` and `windlass run delete`, or raise the quota."
    )


def test_where_archived_runs_stay_in_the_store_the_advice_is_what_makes_it_smaller() -> None:
    found = shortage([ROOMY], reserve=0, used=3 * MIB, quota=2 * MIB, archived_here=True)
    assert found is not None
    assert "archive run" not in found.sentence
    for way in ("`windlass run delete`", "WINDLASS_ARCHIVE_RETENTION", "WINDLASS_ARCHIVE_URL", "raise the quota"):
        assert way in found.sentence


def test_what_is_urgent_is_held_to_no_quota_and_to_a_quarter_of_the_reserve() -> None:
    for free, short in ((16 * MIB, False), (16 * MIB - 1, True)):
        disk = Disk("/a", free, 1000 * MIB)
        found = shortage([disk], reserve=64 * MIB, used=5, quota=2, urgent=True)
        assert (found is not None) == short


@pytest.mark.parametrize(
    ("quota", "size", "what"),
    [(None, 836 * MIB, "disk"), (7 * MIB, 2 * MIB, "quota"), (3 * MIB, 0, "quota"), (2000 * MIB, 836 * MIB, "disk")],
)
def test_what_is_left_is_told_by_the_nearer_limit(quota: int | None, size: int, what: str) -> None:
    found = left(ROOMY, reserve=64 * MIB, used=5 * MIB, quota=quota)
    assert (found.size, found.what) == (size, what)
    setting = "WINDLASS_DISK_RESERVE" if what == "disk" else "WINDLASS_DISK_QUOTA"
    assert f"{size:,} bytes" in found.sentence
    assert setting in found.sentence


def test_a_small_disk_keeps_a_tenth_and_no_reserve_keeps_nothing() -> None:
    assert Disk("/a", 0, 100).kept(64) == 10
    assert shortage([Disk("/a", 10, 100)], reserve=64, used=0, quota=None) is None
    assert shortage([Disk("/a", 9, 100)], reserve=64, used=0, quota=None) is not None
    assert shortage([Disk("/a", 0, 100)], reserve=0, used=0, quota=None) is None


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**60))
def test_more_room_is_never_short_where_less_was_not(free: int, more: int, reserve: int) -> None:
    size = 2**62
    if shortage([Disk("/a", free, size)], reserve=reserve, used=0, quota=None) is None:
        assert shortage([Disk("/a", free + more, size)], reserve=reserve, used=0, quota=None) is None


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (20 * MIB, "20 MiB"), (2**50 * 3, "3072 TiB")],
)
def test_sizes_are_told_in_the_unit_that_fits(size: int, told: str) -> None:
    assert amount(size) == told
