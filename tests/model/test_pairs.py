"""Names with values, as they are written on a command line and in a query."""

from __future__ import annotations

import pytest

from windlass.errors import UserError
from windlass.model.pairs import pairs


def test_texts_become_a_mapping() -> None:
    assert pairs(["a=1", "b=", "c=x=y"], "label") == {"a": "1", "b": "", "c": "x=y"}


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["a"], 'A label is given as name=value, not "a".'),
        (["=b"], 'A label is given as name=value, not "=b".'),
        (["a=1", "a=2"], 'The label "a" is given twice.'),
    ],
)
def test_what_is_none_or_comes_twice_is_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        pairs(texts, "label")
    assert str(refused.value) == sentence
