"""Going back to a revision and naming revisions: nothing that was there changes."""

from __future__ import annotations

import pytest

from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.jobs import get_job, job_history
from windlass.engine.manifests import ManifestText
from windlass.engine.revising import roll_back, tag_revision, untag_revision
from windlass.engine.starting import Start, start_run
from windlass.errors import Conflict, NotFound, UserError
from windlass.model.apply_plan import Provenance


def manifest(word: str, label: str = "a") -> str:
    return (
        f"apiVersion: v1\nkind: Job\nmetadata: {{alias: etl, labels: {{team: {label}}}}}\n"
        f"steps: [{{name: say, run: echo {word}}}]\n"
    )


async def applied(engine: Engine, *texts: str, source: str | None = None) -> None:
    for text in texts:
        provenance = None if source is None else Provenance(source=source)
        await apply(engine, [ManifestText("etl.yaml", text)], ApplyOptions(provenance=provenance, force=True))


@pytest.mark.promise("O04", part="rollback")
async def test_a_rollback_is_a_new_revision_with_the_old_content(engine: Engine) -> None:
    await applied(engine, manifest("one", "a"), manifest("two", "b"))
    done = await roll_back(engine, "default", "etl", 1, author="ann", message="too slow")
    assert (done["revision"], done["changed"], done["from"], done["labels"]) == (3, True, 1, {"team": "a"})
    assert done["definition"]["steps"][0]["config"]["run"] == "echo one"
    history, _ = await job_history(engine, "default", "etl")
    assert [(one["revision"], one["author"], one["message"]) for one in history[:1]] == [(3, "ann", "too slow")]
    assert history[0]["digest"] == history[2]["digest"] != history[1]["digest"]
    again = await roll_back(engine, "default", "etl", "1")
    assert (again["revision"], again["changed"]) == (3, False)
    other = await roll_back(engine, "default", "etl", 2)
    assert (other["revision"], other["message"]) == (4, "back to revision 2")


@pytest.mark.promise("O04", part="rollback")
async def test_a_job_of_a_source_goes_back_only_when_it_is_taken_over(engine: Engine) -> None:
    await applied(engine, manifest("one"), manifest("two"), source="git")
    with pytest.raises(Conflict, match='belongs to source "git"'):
        await roll_back(engine, "default", "etl", 1)
    done = await roll_back(engine, "default", "etl", 1, force=True)
    assert (done["revision"], done["provenance"]) == (3, None)


@pytest.mark.promise("O04", part=("rollback", "tags"))
async def test_what_is_not_there_is_told(engine: Engine) -> None:
    await applied(engine, manifest("one"))
    with pytest.raises(NotFound, match="no revision 9; its newest is 1"):
        await roll_back(engine, "default", "etl", 9)
    with pytest.raises(NotFound, match="no revision 99999999999999"):
        await get_job(engine, "default", "etl@99999999999999")
    await tag_revision(engine, "default", "etl", "stable", None)
    with pytest.raises(NotFound, match='no revision with the tag "stabel"; did you mean "stable"'):
        await get_job(engine, "default", "etl@stabel")
    with pytest.raises(NotFound, match='no revision with the tag "old"; `windlass job history etl`'):
        await untag_revision(engine, "default", "etl", "old")
    for wrong in ("1", "", "a b", "-x", "x" * 64, "é"):
        with pytest.raises(UserError, match="is no tag"):
            await tag_revision(engine, "default", "etl", wrong, 1)
    with pytest.raises(UserError, match="give one of them"):
        await get_job(engine, "default", "etl@1", "stable")
    with pytest.raises(UserError, match="names no revision behind its @"):
        await get_job(engine, "default", "etl@")


@pytest.mark.promise("O04", part="tags")
async def test_a_tag_names_one_revision_wherever_one_is_named(engine: Engine) -> None:
    await applied(engine, manifest("one"), manifest("two"))
    assert await tag_revision(engine, "default", "etl", "stable", 1, author="ann") == {
        "job": "etl", "tag": "stable", "revision": 1, "before": None,
    }  # fmt: skip
    assert (await get_job(engine, "default", "etl@stable"))["revision"] == 1
    assert (await get_job(engine, "default", "etl"))["tags"] == {"stable": 1}
    for job, revision in (("etl@stable", None), ("etl@1", None), ("etl", "stable"), ("etl", 1)):
        run, _ = await start_run(engine, Start(project="default", job=job, revision=revision))
        assert run["revision"] == 1, (job, revision)
    moved = await tag_revision(engine, "default", "etl@2", "stable", None)
    assert (moved["revision"], moved["before"]) == (2, 1)
    assert (await start_run(engine, Start(project="default", job="etl@stable")))[0]["revision"] == 2
    history, _ = await job_history(engine, "default", "etl")
    assert [one["tags"] for one in history] == [["stable"], []]
    assert (await untag_revision(engine, "default", "etl", "stable"))["before"] == 2
    assert (await get_job(engine, "default", "etl"))["tags"] == {}
