"""What a soak says of series: growth is found, a level and a peak are none."""

from __future__ import annotations

from math import inf

import pytest

from tests.faults.soak.series import Bound, bound_of, drawn, growing, growth, left_over, quantile

pytestmark = pytest.mark.fault("F42")
#: Fills, then stays, with a peak.
LEVEL = [*range(30), *([30.0, 28.0, 31.0] * 20)]
LEVEL[60] = 500.0


def test_what_has_come_to_a_level_does_not_grow() -> None:
    assert growing({"rows runs": LEVEL}, {"rows *": Bound(1.1)}) == []


def test_what_rises_slowly_on_a_high_level_is_found() -> None:
    rises = [100 + number * 0.2 for number in range(240)]
    assert growing({"owner MiB": rises}, {"owner MiB": Bound(1.0, 5)}) == [
        "owner MiB grew from 123.9 to 139.9, at most 128.9 is no growth"
    ]
    assert growing({"owner MiB": rises}, {"owner MiB": Bound(1.0, 20)}) == []


def test_what_has_no_bound_is_only_shown() -> None:
    bounds = {"rows *": Bound(1.0), "rows limit_keys": Bound(1.0, inf)}
    rises = [float(number) for number in range(30)]
    assert growing({"file free MiB": rises, "rows limit_keys": rises}, bounds) == []
    assert bound_of("rows runs", bounds) == Bound(1.0)
    assert len(growing({"rows runs": rises}, bounds)) == 1


def test_a_few_samples_say_nothing() -> None:
    assert growth("rows runs", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], Bound()) is None


def test_what_is_left_at_rest_is_told() -> None:
    assert left_over("owner descriptors", 17, 19, 2) is None
    assert left_over("rows queue", 0, 3, 0) == (
        "rows queue is 3 after everything has ended, and was 0 before the first run"
    )


def test_a_series_is_drawn_from_its_least_to_its_greatest_value() -> None:
    assert drawn([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert drawn([5.0] * 100, 4) == "▁▁▁▁"
    assert drawn([]) == ""
    assert (quantile(range(1, 101), 0.5), quantile(range(1, 101), 0.99), quantile([], 0.5)) == (51, 100, 0)
