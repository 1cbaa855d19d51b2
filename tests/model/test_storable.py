"""Whatever a step type hands over can be kept, or says why not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.outcome import Cancelled, Completed, Failed, Outcome, Skipped, TimedOut, Waiting
from windlass.model.outputs import OUTPUT_LIMIT
from windlass.model.storable import LAST_MOMENT, SENTENCE_LIMIT, clean, storable

HALF = "\udcff half a letter"
GOOD: list[Outcome] = [
    Completed(),
    Completed({"a": [1, None, "é"]}, 0, ("left",)),
    Failed("exit", "it failed", 255, {"a": 1}, "oom", 5.0),
    TimedOut(5, {"a": 1}),
    Cancelled({"a": 1}),
    Skipped("no"),
    Waiting(10**15, "later", "failed", {"a": 1}),
]


@pytest.mark.parametrize("outcome", GOOD, ids=lambda outcome: type(outcome).__name__)
def test_what_can_be_kept_is_left_as_it_is(outcome: Outcome) -> None:
    assert storable(outcome) == outcome


def test_half_letters_are_replaced() -> None:
    failed = storable(Failed("error", HALF, reason=HALF))
    assert isinstance(failed, Failed)
    assert (failed.message, failed.reason) == ("? half a letter", "? half a letter")
    assert storable(Skipped(HALF)) == Skipped("? half a letter")
    assert storable(Completed(branches=(HALF,))) == Completed(branches=("? half a letter",))


def test_no_text_has_a_nul() -> None:
    failed = storable(Failed("error", "a\0b", reason="\0"))
    assert isinstance(failed, Failed)
    assert (failed.message, failed.reason) == ("a\ufffdb", "\ufffd")
    assert storable(Skipped("no\0")) == Skipped("no\ufffd")


def test_long_texts_are_cut_and_say_so() -> None:
    failed = storable(Failed("error", "x" * 10_000_000))
    assert isinstance(failed, Failed)
    assert failed.message == "x" * SENTENCE_LIMIT + " ... (9,992,000 characters more)"


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"n": 2**70}, "Integer exceeds 64-bit range"),
        ({"n": object()}, "Type is not JSON serializable: object"),
        ({1: "n"}, "Dict key must be str"),
        ({"n": HALF}, "str is not valid UTF-8: surrogates not allowed"),
        ({"n": "x" * OUTPUT_LIMIT}, "65,544 bytes are over the limit of 65,536"),
    ],
)
def test_outputs_that_others_would_miss_make_a_failure(outputs: Any, why: str) -> None:
    for outcome in (Completed(outputs, 0), Waiting(1, "later", outputs=outputs)):
        failed = storable(outcome)
        assert isinstance(failed, Failed)
        assert (failed.message, failed.reason, failed.may_retry) == (
            f"Its outputs cannot be kept: {why}.", "outputs", False,
        )  # fmt: skip
    assert storable(Cancelled(outputs)) == Cancelled()
    assert storable(TimedOut(5, outputs)) == TimedOut(5)
    assert storable(Failed("exit", "no", 1, outputs)) == Failed("exit", "no", 1)


def test_numbers_that_are_none_of_their_kind_go() -> None:
    assert storable(Completed(exit_code=2**80)) == Completed()
    assert storable(Failed("exit", "no", -(2**40))) == Failed("exit", "no")
    assert storable(Waiting(2**80, "for ever")) == Waiting(LAST_MOMENT, "for ever")
    assert storable(Waiting(-5, "never")) == Waiting(0, "never")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_is_not_kept_as_nothing(number: float) -> None:
    message = f"Its outputs cannot be kept: JSON has no number {number}."
    for outputs in ({"x": number}, {"x": [1, {"y": (None, number)}]}):
        kept = storable(Completed(outputs))
        assert kept == Failed("error", message, reason="outputs", may_retry=False)
    assert storable(Completed({"x": [None, 1.5]})) == Completed({"x": [None, 1.5]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters()) | st.integers(), json_values, max_size=4), st.integers() | st.none())
def test_whatever_comes_what_is_kept_is_json(outputs: Any, code: int | None) -> None:
    for outcome in (Completed(outputs, code), Failed("exit", repr(outputs), code, outputs)):
        kept = storable(outcome)
        assert isinstance(kept, Completed | Failed)
        assert orjson.loads(orjson.dumps(dict(kept.outputs))) == kept.outputs
        assert kept.exit_code is None or abs(kept.exit_code) < 2**63


@given(st.text(st.characters(), max_size=50), st.integers(1, 60))
def test_a_clean_text_is_valid(text: str, limit: int) -> None:
    assert clean(text, limit).encode().decode() == clean(text, limit)
    if len(text) <= limit and text.isprintable() and text.isascii():
        assert clean(text, limit) == text
