"""YAML that we print reads back as what it was: by our own rules, and by those of YAML 1.1."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.output import to_yaml
from windlass.model.manifest.events import parse
from windlass.model.manifest.limits import Limits

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
WORDS = st.from_regex(r"[-+.]?[0-9a-fox_.:eEyn~]{1,6}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | WORDS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.promise("O01", part="bulk")
@given(VALUES)
def test_a_value_reads_back_as_it_was(value: Any) -> None:
    text = to_yaml({"value": value})
    parsed = parse(text, Limits())
    assert (parsed.problems, parsed.documents) == ([], [{"value": value}]), text
    assert yaml.safe_load(text) == {"value": value}


@pytest.mark.parametrize("word", ["1e3", "0o14", "-.5", "12e03", "yes", "1:30", "2026-01-01", "", "~", "\u2028"])
def test_words_that_some_reader_takes_for_something_else_stay_text(word: str) -> None:
    assert yaml.safe_load(to_yaml([word])) == [word]
    assert parse(to_yaml([word]), Limits()).documents == [[word]]
