"""Durations and sizes, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.durations import LARGEST, duration_text, parse_duration, parse_size, whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("1h30m", 5400),
        ("2d", 172800),
        ("250ms", 0.25),
        ("90", 90),
        ("1.5h", 5400),
        ("0s", 0),
        ("1d2h3m4s5ms", 93784.005),
        (" 5m ", 300),
        ("0.5", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "m", "5x", "5 m", "-5m", "1m1h", "1h1h", "٣s", "1e3", "200y", "9" * 50, "1_0s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_duration_has_an_end() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration("40000d")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("64MiB", 67108864),
        ("1.5GB", 1_500_000_000),
        ("10k", 10_000),
        ("1 KiB", 1024),
        ("5B", 5),
        ("1Ti", 2**40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1XB", "1 0", "1e3", "8388608TiB", "9" * 39])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.integers(0, 10**10))
def test_a_duration_reads_back(millis: int) -> None:
    assert parse_duration(duration_text(millis / 1000)) == pytest.approx(millis / 1000)


def test_a_duration_is_written_with_units() -> None:
    assert [duration_text(seconds) for seconds in (5400, 0, 0.25, 86401)] == ["1h30m", "0s", "250ms", "1d1s"]


def test_a_number_beyond_64_bits_stays_what_it_is() -> None:
    assert (whole(5.0), whole(5.5), whole(1e300)) == (5, 5.5, 1e300)
    assert type(whole(float(LARGEST))) is float
