"""What an apply decides, without a store."""

from __future__ import annotations

import pytest

from windlass.model.apply_plan import ApplyPlan, Provenance, Standing, Wanted, plan_apply


def planned(
    wanted: dict[str, str],
    standing: dict[str, tuple[str, str | None]],
    *,
    source: str | None = None,
    force: bool = False,
    prune: bool = False,
    protected: frozenset[str] = frozenset(),
) -> ApplyPlan:
    """Plan digests by alias against (digest, source) by alias."""
    return plan_apply(
        [Wanted(alias, digest) for alias, digest in wanted.items()],
        {alias: Standing(alias, digest, where, alias in protected) for alias, (digest, where) in standing.items()},
        source=source,
        force=force,
        prune=prune,
    )


def test_each_job_is_created_changed_or_unchanged() -> None:
    plan = planned({"a": "1", "b": "2", "c": "3"}, {"b": ("2", None), "c": ("old", None), "d": ("4", None)})
    assert plan.verdicts == {"a": "created", "b": "unchanged", "c": "changed"}
    assert (plan.conflicts, plan.prune, plan.warnings) == ({}, (), ())


@pytest.mark.promise("C03")
@pytest.mark.parametrize(
    ("standing", "source", "sentence"),
    [
        ("git", "other", 'job "a" belongs to source "git" and was not applied from source "other": change it there'),
        ("git", None, 'job "a" belongs to source "git" and was not applied by hand: change it there'),
    ],
)
def test_a_job_of_another_source_is_a_conflict(standing: str, source: str | None, sentence: str) -> None:
    plan = planned({"a": "new", "b": "1"}, {"a": ("old", standing)}, source=source)
    assert plan.verdicts == {"b": "created"}
    assert plan.conflicts["a"].startswith(sentence)
    assert plan.conflicts["a"].endswith("or take it over with --force")
    forced = planned({"a": "new"}, {"a": ("old", standing)}, source=source, force=True)
    assert forced.verdicts == {"a": "changed"}
    assert forced.conflicts == {}


def test_two_sources_do_not_share_a_job_even_while_they_agree() -> None:
    assert planned({"a": "1"}, {"a": ("1", "git")}, source="other").conflicts.keys() == {"a"}


def test_applying_by_hand_what_is_there_already_is_no_conflict() -> None:
    plan = planned({"a": "1"}, {"a": ("1", "git")})
    assert (plan.verdicts, plan.conflicts) == ({"a": "unchanged"}, {})


def test_a_source_takes_on_what_was_applied_by_hand_and_says_so() -> None:
    plan = planned({"a": "2"}, {"a": ("1", None)}, source="git")
    assert plan.verdicts == {"a": "changed"}
    assert plan.warnings == ('job "a" was applied by hand; it belongs to source "git" now',)


@pytest.mark.promise("C04")
@pytest.mark.parametrize(("source", "gone"), [("git", ("b", "e")), (None, ("c",)), ("new", ())])
def test_prune_stays_within_one_source(source: str | None, gone: tuple[str, ...]) -> None:
    standing = {"e": ("5", "git"), "b": ("2", "git"), "c": ("3", None), "d": ("4", "other")}
    plan = planned({"a": "1"}, standing, source=source, prune=True)
    assert plan.prune == gone
    assert planned({"a": "1"}, standing, source=source).prune == ()


@pytest.mark.promise("C04")
def test_a_protected_job_is_never_pruned() -> None:
    plan = planned({}, {"a": ("1", None), "b": ("1", None)}, prune=True, force=True, protected=frozenset({"a"}))
    assert plan.prune == ("b",)
    assert plan.warnings == ('job "a" is protected by its label windlass/protected and was not pruned',)


def test_provenance_leaves_out_what_is_not_known() -> None:
    assert Provenance(source="git", commit="c0ffee").to_json() == {"source": "git", "commit": "c0ffee"}
