"""Each difference of a schema is named with what to do, and what is in nobody's way is none."""

from __future__ import annotations

from windlass.store.deviations import REPAIR, deviations

WANTED = frozenset(
    {
        "table runs",
        "column runs.id BYTEA NOT NULL",
        "column runs.note TEXT",
        "index ix_runs_note of runs on (note)",
        "check ck_runs_state of runs",
    }
)


def test_the_same_schema_has_none() -> None:
    assert deviations(WANTED, WANTED) == deviations((), ())


def test_what_is_missing_is_named_with_what_brings_it_back() -> None:
    found = deviations(WANTED, WANTED - {"index ix_runs_note of runs on (note)", "column runs.note TEXT"})
    assert found.problems == (
        "The schema lacks: column runs.note TEXT; restore a backup.",
        f"The schema lacks: index ix_runs_note of runs on (note); {REPAIR} makes it.",
    )
    assert "add it again" in deviations(WANTED, WANTED - {"check ck_runs_state of runs"}).problems[0]


def test_another_type_is_one_sentence() -> None:
    found = deviations(WANTED, WANTED - {"column runs.note TEXT"} | {"column runs.note VARCHAR NOT NULL DEFAULT"})
    assert found.problems == ("The column runs.note is VARCHAR NOT NULL DEFAULT and should be TEXT: restore a backup.",)
    assert found.notes == ()


def test_further_things_are_notes_unless_they_refuse_rows() -> None:
    more = {
        "column runs.mine INTEGER",
        "index ix_mine of runs on (mine)",
        "table mine",
        "column mine.id INTEGER NOT NULL",
        "unique key uq_of_mine of mine on (id)",
    }
    found = deviations(WANTED, WANTED | more)
    assert found.problems == ()
    assert found.notes == (
        "The schema has besides: column runs.mine INTEGER; it is left alone.",
        "The schema has besides: index ix_mine of runs on (mine); it is left alone.",
        "The schema has besides: table mine; it is left alone.",
    )
    bad = {"column runs.must TEXT NOT NULL", "unique index uq_mine of runs on (note)", "check ck_mine of runs"}
    assert deviations(WANTED, WANTED | bad).problems == (
        "The schema has what it should not have: check ck_mine of runs; it may refuse what Windlass writes: drop it.",
        (
            "The schema has what it should not have: column runs.must TEXT NOT NULL; no row can be written without it: "
            "give it a default, or drop it."
        ),
        (
            "The schema has what it should not have: unique index uq_mine of runs on (note); it may refuse what "
            "Windlass writes: drop it."
        ),
    )
