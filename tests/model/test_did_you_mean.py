"""The word that somebody most likely meant."""

from __future__ import annotations

import pytest

from windlass.model.did_you_mean import closest, suggestion

KNOWN = ("dependsOn", "triggerRule", "timeout", "env", "next")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("dependson", "dependsOn"),
        ("depends_on", "dependsOn"),
        ("depends-on", "dependsOn"),
        ("dependOn", "dependsOn"),
        ("TIMEOUT", "timeout"),
        ("timeuot", "timeout"),
        ("nxet", "next"),
        ("evn", "env"),
        ("needs", "dependsOn"),
        ("environment", "env"),
        ("timeout-minutes", "timeout"),
        ("script", None),  # what is meant by it is not known here
        ("banana", None),
        ("", None),
        ("x" * 100, None),
    ],
)
def test_the_nearest_word(word: str, near: str | None) -> None:
    assert closest(word, KNOWN) == near


def test_a_suggestion_is_the_end_of_a_sentence() -> None:
    assert suggestion("timeuot", KNOWN) == '; did you mean "timeout"?'
    assert suggestion("banana", KNOWN) == ""


def test_among_very_many_words_none_is_looked_for() -> None:
    assert closest("a1", (f"a{number}" for number in range(10**9))) is None
