"""Cron expressions that can be followed, and what is said of the others."""

from __future__ import annotations

import pytest

from windlass.model.cron import cron_error


@pytest.mark.parametrize(
    "text", ["* * * * *", "0 2 * * *", "*/5 9-17 * * MON-FRI", "0 0 29 2 *", "30 0 2 * * *", "0 0 L * *", "0 0 * * 1#2"]
)
def test_good_ones(text: str) -> None:
    assert cron_error(text) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'cron must have five fields, or six that begin with seconds, not ""'),
        ("@daily", 'cron must have five fields, or six that begin with seconds, not "@daily"'),
        ("* * * *", 'cron must have five fields, or six that begin with seconds, not "* * * *"'),
        ("60 * * * *", '"60 * * * *" is no cron expression: bad minute'),
        ("* 24 * * *", '"* 24 * * *" is no cron expression: bad hour'),
        ("* * 32 * *", '"* * 32 * *" is no cron expression: bad day-of-month'),
        ("* * * 13 *", '"* * * 13 *" is no cron expression: bad month'),
        ("* * * * 8", '"* * * * 8" is no cron expression: bad day-of-week'),
        ("0 0 31 2 *", '"0 0 31 2 *" is no cron expression: bad day-of-month'),
    ],
)
def test_bad_ones(text: str, sentence: str) -> None:
    assert cron_error(text) == sentence
