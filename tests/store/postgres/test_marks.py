"""Marks of values in texts of SQL."""

from __future__ import annotations

from windlass.store.postgres.marks import numbered


def test_marks_are_numbered_and_those_in_texts_and_names_are_none() -> None:
    assert numbered("SELECT a FROM t WHERE b = ? AND c IN (?, ?)") == "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)"
    assert numbered("SELECT '?', 'it''s ?', \"a?\", ?") == "SELECT '?', 'it''s ?', \"a?\", $1"
    assert numbered("SELECT 1") == "SELECT 1"
