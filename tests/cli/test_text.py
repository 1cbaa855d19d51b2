"""Text for terminals: nothing that a terminal would act on, and widths that are right."""

from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.text import (
    ago,
    between,
    clean,
    counted,
    duration,
    fitted,
    local_times,
    one_line,
    plain,
    size,
    width_of,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢\tx\n", "plain ü 漢\tx\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x1b\\a", "a"),
        ("\x1bPq#0\x1b\\a", "a"),
        ("\x9b31mred", "red"),
        ("\x1b(Ba\x1bc", "a"),
        ("a\x08b\x00\x7f\x85", "ab"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("safe\u202eevil\u2066", "safeevil"),
        ("\x1b[", ""),
        ("half \ud800", "half "),
        ("\x1b]open ended", ""),
    ],
)
def test_what_a_terminal_would_act_on_is_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(st.characters(max_codepoint=0x2100) | st.sampled_from("\x1b\x9b[]()0;m\x07\\")))
def test_cleaned_text_holds_no_control_character(text: str) -> None:
    cleaned = clean(text)
    assert not [one for one in cleaned if unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"} and one not in "\t\n"]
    assert not set(cleaned) & set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 40))
def test_fitted_text_is_never_wider(text: str, width: int) -> None:
    shown = fitted(text, width)
    assert width_of(shown) <= width
    assert shown == text or shown.endswith("…")


def test_widths_count_columns() -> None:
    assert width_of("abc") == 3
    assert width_of("漢字") == 4
    assert width_of("e\u0301") == 1
    assert fitted("漢字漢字", 5) == "漢字…"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (-1, "0.00s"),
        (0.4242, "0.42s"),
        (7.34, "7.3s"),
        (42.9, "42s"),
        (125, "2m05s"),
        (11_520, "3h12m"),
        (367_200, "4d06h"),
    ],
)
def test_durations_show_what_matters(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_times_are_told_from_now() -> None:
    assert ago("2026-01-01T23:59:48Z", NOW) == "12s ago"
    assert ago("2026-01-02T03:00:00Z", NOW) == "in 3h"
    assert ago("2026-01-02T00:00:00.2Z", NOW) == "now"
    assert ago("2025-12-30T00:00:00Z", NOW) == "3d ago"
    assert ago(None, NOW) == ""
    assert between("2026-01-01T23:00:00Z", None, NOW) == 3600
    assert between(None, None, NOW) is None


def test_sizes_and_values() -> None:
    assert [size(count) for count in (None, 0, 1023, 1024, 1536 * 1024, 2**45)] == [
        "",
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 MiB",
        "32.0 TiB",
    ]
    assert plain({"a": 1, "b": [True, None, "x\ny"]}) == "a=1 b=true, , x y"
    assert one_line(" a\n\x1b[1mb\t c ") == "a b c"


def test_times_within_a_sentence_are_shown_as_all_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert local_times("It is due at 2026-01-31T12:00:00.123456Z.") == "It is due at 2026-01-31 21:00:00+09:00."
        assert local_times("since 2026-01-31T23:30:00Z, v2026") == "since 2026-02-01 08:30:00+09:00, v2026"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_counted_is_one_or_many() -> None:
    assert [counted(count, "run") for count in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]
