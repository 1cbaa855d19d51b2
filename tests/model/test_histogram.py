"""Lengths in buckets: added up in any order, asked for quantiles, never far off."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.histogram import added, counted, from_pairs, quantile, to_pairs

LENGTHS = st.lists(st.integers(0, 10**13), max_size=60)

pytestmark = pytest.mark.promise("H09")


@given(LENGTHS, LENGTHS)
def test_histograms_added_are_the_histogram_of_all(one: list[int], other: list[int]) -> None:
    assert added(counted(one), counted(other)) == counted([*other, *one])


@given(LENGTHS)
def test_a_histogram_comes_back_as_it_was_written(lengths: list[int]) -> None:
    assert from_pairs(to_pairs(counted(lengths))) == counted(lengths)


@given(st.lists(st.integers(100, 10**13), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_off_by_less_than_a_twentieth(lengths: list[int], share: float) -> None:
    exact = sorted(lengths)[max(1, math.ceil(share * len(lengths))) - 1] / 1_000_000
    found = quantile(counted(lengths), share)
    assert found is not None
    assert abs(found - exact) <= exact * 0.05 + 1e-6


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
