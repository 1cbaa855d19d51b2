"""Values of JSON as annotations ask for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from windlass.steps.python_values import BadValue, build


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (object, {"rows": [1]}),
        (dict[str, object], {"rows": [1], "none": None}),
        (list[object], [1, "two", {"three": 3.0}]),
        (Any, {"rows": 1}),
    ],
)
def test_an_annotation_that_allows_everything_refuses_nothing(kind: Any, value: Any) -> None:
    assert build(kind, value, "the result") == value


def test_a_value_that_does_not_fit_is_named() -> None:
    assert build(dict[str, Decimal], {"total": "1.50"}, "the result") == {"total": Decimal("1.50")}
    with pytest.raises(BadValue, match="the result does not fit"):
        build(dict[str, Decimal], {"total": "much"}, "the result")
