"""What an apply would change, and what changed between revisions."""

from __future__ import annotations

import pytest

from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.job_diff import JobDiff, compare_revisions, diff_manifests
from windlass.engine.manifests import ManifestText
from windlass.errors import InvalidDocument, NotFound
from windlass.model.apply_plan import Provenance


def manifest(alias: str, run: str = "ls", more: str = "") -> str:
    return f"apiVersion: v1\nkind: Job\nmetadata: {{alias: {alias}}}\n{more}steps:\n  - {{name: load, run: {run}}}\n"


async def applied(engine: Engine, *texts: str, provenance: Provenance | None = None) -> None:
    await apply(engine, [ManifestText("x.yaml", "---\n".join(texts))], ApplyOptions(provenance=provenance))


async def diff(engine: Engine, *texts: str, prune: bool = False, source: str | None = None) -> JobDiff:
    return await diff_manifests(
        engine, [ManifestText("x.yaml", "---\n".join(texts))], project="default", prune=prune, source=source
    )


@pytest.mark.promise("C05")
async def test_added_and_modified_jobs_are_told_field_by_field(engine: Engine) -> None:
    await applied(engine, manifest("a", run="one"), manifest("b"))
    found = await diff(engine, manifest("a", run="two", more="timeout: 5m\n"), manifest("b"), manifest("c"))
    assert found.differs
    assert (found.added, found.removed, list(found.modified)) == (("c",), (), ["a"])
    assert {str(change) for change in found.modified["a"]} == {
        "+ timeout: 300",
        '~ steps.load.config.run: "one" -> "two"',
    }
    answer = found.to_json()
    assert answer["added"] == ["c"]
    assert answer["modified"][0]["alias"] == "a"
    assert {
        "kind": "changed",
        "path": ["steps", "load", "config", "run"],
        "old": "one",
        "new": "two",
        "line": '~ steps.load.config.run: "one" -> "two"',
    } in answer["modified"][0]["changes"]


@pytest.mark.promise("C05")
async def test_what_means_the_same_does_not_differ(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"))
    found = await diff(engine, "# other words\n" + manifest("a", more="priority: normal\n"))
    assert not found.differs
    assert found.to_json() == {"added": [], "removed": [], "modified": []}


async def test_removed_are_those_that_an_apply_with_prune_would_look_at(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"))
    await applied(engine, manifest("c"), provenance=Provenance(source="git"))
    assert (await diff(engine, manifest("a"))).removed == ()
    assert (await diff(engine, manifest("a"), prune=True)).removed == ("b",)
    assert (await diff(engine, manifest("a"), prune=True, source="git")).removed == ("c",)


async def test_a_bad_document_is_told_with_its_findings(engine: Engine) -> None:
    with pytest.raises(InvalidDocument, match=r"x\.yaml:"):
        await diff(engine, manifest("a").replace("steps", "stebs"))


@pytest.mark.promise("O04", part="comparison")
async def test_revisions_are_compared_in_both_directions(engine: Engine) -> None:
    await applied(engine, manifest("a", run="one"))
    await applied(engine, manifest("a", run="two"))
    found = await compare_revisions(engine, "default", ("a", 1), ("a", 2))
    assert [change["line"] for change in found["changes"]] == ['~ steps.load.config.run: "one" -> "two"']
    assert [found[side]["steps"][0]["config"]["run"] for side in ("old", "new")] == ["one", "two"]
    backwards = await compare_revisions(engine, "default", ("a", 2), ("a", 1))
    assert [change["line"] for change in backwards["changes"]] == ['~ steps.load.config.run: "two" -> "one"']
    assert (await compare_revisions(engine, "default", ("a", 2), ("a@2", None)))["changes"] == []
    with pytest.raises(NotFound, match="no revision 3"):
        await compare_revisions(engine, "default", ("a", 1), ("a", 3))


@pytest.mark.promise("O04", part="comparison")
async def test_the_newest_revision_is_compared_with_the_one_before_it_or_with_another_job(engine: Engine) -> None:
    await applied(engine, manifest("a", run="one"))
    with pytest.raises(NotFound, match="no revision before 1"):
        await compare_revisions(engine, "default", ("a", None), ("a", None))
    await applied(engine, manifest("a", run="two"))
    found = await compare_revisions(engine, "default", ("a", None), ("a", None))
    assert (found["left"], found["right"], len(found["changes"])) == (1, 2, 1)
    await applied(engine, manifest("b", run="two"))
    other = await compare_revisions(engine, "default", ("a", None), ("b", None))
    assert (other["leftJob"], other["left"], other["rightJob"], other["right"]) == ("a", 2, "b", 1)
    assert [change["path"] for change in other["changes"]] == [["metadata", "alias"]]
