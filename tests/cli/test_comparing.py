"""Two texts beside each other, or one after the other."""

from __future__ import annotations

import pytest

from windlass.cli.comparing import WIDE, compared

OLD = [f"line {number}" for number in range(20)]
NEW = [*OLD[:5], "line five", *OLD[6:15], "more", *OLD[15:]]

pytestmark = pytest.mark.promise("O04", part="comparison")


def test_a_narrow_terminal_shows_a_unified_diff() -> None:
    for width in (None, WIDE - 1):
        lines = list(compared(OLD, NEW, ("a@1", "a@2"), width=width, colours=False))
        assert lines[:2] == ["--- a@1", "+++ a@2"]
        assert {"-line 5", "+line five", "+more"} < set(lines)


def test_a_wide_terminal_shows_both_beside_each_other() -> None:
    lines = list(compared(OLD, NEW, ("a@1", "a@2"), width=WIDE, colours=False))
    assert lines[0].split() == ["a@1", "|", "a@2"]
    changed = next(line for line in lines if "line five" in line)
    assert changed.split("|")[0].strip() == "line 5"
    added = next(line for line in lines if "more" in line)
    assert added.strip() == "> more"
    assert all(len(line) <= WIDE for line in lines)
    assert sum("line 12" in line for line in lines) == 1


def test_nothing_is_shown_where_nothing_differs() -> None:
    assert list(compared(OLD, list(OLD), ("a", "b"), width=WIDE, colours=True)) == []


def test_no_text_reaches_the_terminal_as_a_command() -> None:
    for width in (None, WIDE):
        shown = "".join(compared(["a"], ["\x1b[31mb\x07"], ("x", "y"), width=width, colours=False))
        assert "\x1b" not in shown
        assert "\x07" not in shown
