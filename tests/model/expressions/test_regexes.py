"""An estimate of a regular expression's size is never far below what its repeats make."""

from __future__ import annotations

import pytest

from windlass.model.expressions.regexes import states


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        ("", 1),
        ("abc", 3),
        ("a{100}", 100),
        ("a{2,50}", 50),
        ("(ab){10}", 20),
        ("((a{10}){10}){10}", 1000),
        ("(?:a|b){7}", 14),
        ("[^x]{5000}", 100_000),
        (r"\w{10}", 200),
        (r"\p{L}{10}", 200),
        (r"a\{5", 3),
        (")))(((", 1),
        ("{5}", 1),
    ],
)
def test_counted_repeats_are_written_out(pattern: str, least: int) -> None:
    assert least <= states(pattern) <= 30 * least + 30
