"""Stored jobs as people and programs find them."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.clock import ManualClock, to_text
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.jobs import delete_job, enable_job, find_compiled, get_job, job_history, list_jobs
from windlass.engine.manifests import ManifestText
from windlass.errors import NotFound, UserError
from windlass.model.apply_plan import Provenance
from windlass.model.manifest.canonical import digest
from windlass.store.jobs import JobFilter


def manifest(alias: str, more: str = "", run: str = "true") -> str:
    return f"""
apiVersion: v1
kind: Job
metadata:
  alias: {alias}
{more}
steps:
  - {{name: first, run: "{run}"}}
  - {{name: second, run: "true"}}
"""


async def applied(engine: Engine, *texts: str, **options: Any) -> None:
    await apply(engine, [ManifestText("jobs.yaml", "---".join(texts))], ApplyOptions(**options))


async def found(engine: Engine, **filters: Any) -> list[str]:
    return [job["alias"] for job in (await list_jobs(engine, JobFilter(**filters)))[0]]


@pytest.mark.promise("C05")
async def test_a_job_is_shown_with_its_normalised_manifest(engine: Engine, clock: ManualClock) -> None:
    more = "  title: Nightly\n  category: reports\n  labels: {team: data}\n  annotations: {owner: ann}\n"
    await applied(engine, manifest("etl", more + "description: Load\n"), author="ann", message="why")
    job = await get_job(engine, "default", "etl")
    definition = job.pop("definition")
    assert [step["name"] for step in definition["steps"]] == ["first", "second"]
    assert definition["steps"][1]["dependsOn"] == ["first"]
    assert job.pop("digest") == digest(definition)
    assert len(job.pop("id")) == 36
    now = to_text(clock.now())
    assert job == {
        "project": "default",
        "alias": "etl",
        "title": "Nightly",
        "description": "Load",
        "category": "reports",
        "labels": {"team": "data"},
        "annotations": {"owner": "ann"},
        "revision": 1,
        "enabled": True,
        "provenance": None,
        "steps": 2,
        "createdAt": now,
        "updatedAt": now,
        "deletedAt": None,
        "tags": {},
        "author": "ann",
        "message": "why",
        "revisedAt": now,
    }


async def test_a_job_is_found_by_its_id_in_every_project(engine: Engine) -> None:
    await applied(engine, manifest("etl"), project="data")
    by_alias = await get_job(engine, "data", "etl")
    assert await get_job(engine, "default", by_alias["id"]) == by_alias
    assert await get_job(engine, "default", by_alias["id"].replace("-", "").upper()) == by_alias


async def test_an_alias_that_looks_like_an_id_is_an_alias(engine: Engine) -> None:
    await applied(engine, manifest("etl"))
    looks = (await get_job(engine, "default", "etl"))["id"].replace("-", "")
    await applied(engine, manifest(f'"{looks}"'))
    assert (await get_job(engine, "default", looks))["alias"] == looks


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("etk", "etk"),
        ("", ""),
        ("ü" * 32, "ü" * 32),
        ("\udc80", "\\udc80"),
        ("0" * 32, "0" * 32),
        ("01a201f9-3d4e-7190-8117-b78ee890895b", "01a201f9-3d4e-7190-8117-b78ee890895b"),
    ],
)
async def test_what_is_not_there_is_told_in_one_sentence(engine: Engine, reference: str, told: str) -> None:
    await applied(engine, manifest("etl"))
    with pytest.raises(NotFound) as missing:
        await get_job(engine, "default", reference)
    end = '; did you mean "etl"?' if reference == "etk" else "; `windlass job list` lists those there are."
    assert str(missing.value) == f'There is no job "{told}" in project default{end}'


@pytest.mark.promise("O04", part="history")
async def test_every_revision_can_be_read_again(engine: Engine) -> None:
    await applied(engine, manifest("etl", run="1"), author="ann")
    await applied(engine, manifest("etl", run="2"), author="bob")
    first = await get_job(engine, "default", "etl", 1)
    assert (first["revision"], first["author"]) == (1, "ann")
    assert first["definition"]["steps"][0]["config"] == {"run": "1"}
    for number in (0, 3, -1):
        with pytest.raises(NotFound, match=f'Job "etl" has no revision {number}; its newest is 2'):
            await get_job(engine, "default", "etl", number)


@pytest.mark.promise("O04", part="history")
async def test_a_long_history_comes_in_pages(engine: Engine) -> None:
    for number in range(7):
        await applied(engine, manifest("etl", run=str(number)))
    seen, cursor = [], None
    for _ in range(3):
        page, cursor = await job_history(engine, "default", "etl", limit=3, cursor=cursor)
        seen.append([one["revision"] for one in page])
    assert seen == [[7, 6, 5], [4, 3, 2], [1]]
    assert cursor is None
    for wrong in ("x", "-1", "٣", "9" * 100):
        with pytest.raises(UserError, match="is no cursor of this list"):
            await job_history(engine, "default", "etl", cursor=wrong)


async def test_a_deleted_job_is_gone_from_lists_and_kept_by_id(engine: Engine, clock: ManualClock) -> None:
    await applied(engine, manifest("etl"), manifest("other"))
    job = await get_job(engine, "default", "etl")
    clock.advance(5)
    gone = await delete_job(engine, "default", "etl")
    assert gone["deletedAt"] == "2025-06-15T15:06:45.000000Z"
    assert await found(engine) == ["other"]
    assert (await get_job(engine, "default", job["id"]))["deletedAt"] == gone["deletedAt"]
    with pytest.raises(NotFound):
        await delete_job(engine, "default", "etl")
    with pytest.raises(NotFound, match='Job "etl" was deleted already'):
        await delete_job(engine, "default", job["id"])
    with pytest.raises(NotFound, match="apply its manifest again"):
        await engine.store.read(find_compiled, engine, "default", job["id"])


async def test_jobs_are_enabled_and_disabled(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"))
    assert (await enable_job(engine, "default", "a", enabled=False))["enabled"] is False
    assert await found(engine, enabled=False) == ["a"]
    assert await found(engine, enabled=True) == ["b"]
    assert (await enable_job(engine, "default", "a", enabled=True))["enabled"] is True


async def test_lists_come_in_pages_by_project_and_alias(engine: Engine) -> None:
    await applied(engine, *(manifest(f"j{number:02}") for number in range(7)))
    await applied(engine, manifest("a"), manifest("z"), project="more")
    seen, cursor = [], None
    for _ in range(3):
        page, cursor = await list_jobs(engine, JobFilter(limit=3), cursor)
        seen.append([(job["project"], job["alias"]) for job in page])
    flat = [one for page in seen for one in page]
    assert [len(page) for page in seen] == [3, 3, 3]
    assert flat == [("default", f"j{number:02}") for number in range(7)] + [("more", "a"), ("more", "z")]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "W10", "WzEsMl0", "bnVsbA", "ü"])
async def test_a_wrong_cursor_is_told(engine: Engine, cursor: str) -> None:
    with pytest.raises(UserError, match="is no cursor of this list"):
        await list_jobs(engine, JobFilter(), cursor)


async def test_labels_filter_by_name_and_exact_value(engine: Engine) -> None:
    await applied(
        engine,
        manifest("a", '  labels: {team: data, "odd \\"name": "odd \\"value"}'),
        manifest("b", "  labels: {team: Data, tier: one}"),
        manifest("c", '  labels: {note: "\\"team\\":\\"data\\""}'),
        manifest("d"),
    )
    assert await found(engine, labels={"team": "data"}) == ["a"]
    assert await found(engine, labels={"team": None}) == ["a", "b"]
    assert await found(engine, labels={"team": "Data", "tier": "one"}) == ["b"]
    assert await found(engine, labels={'odd "name': 'odd "value'}) == ["a"]
    assert await found(engine, labels={"tea": None}) == []
    assert await found(engine, labels={"team": "dat"}) == []
    assert await found(engine, labels={"%": None}) == []


@pytest.mark.promise("O01", part="search")
async def test_text_category_and_source_filter(engine: Engine) -> None:
    git = Provenance(source="git")
    await applied(engine, manifest("etl", "  title: Nightly Load\n  category: data"), provenance=git)
    await applied(engine, manifest("patch", "description: Load 100% of kernels"))
    assert await found(engine, text="LOAD") == ["etl", "patch"]
    assert await found(engine, text="ETL") == ["etl"]
    assert await found(engine, text="100%") == ["patch"]
    assert await found(engine, text="_") == []
    assert await found(engine, text="data") == ["etl"]
    assert await found(engine, text="shell") == []
    assert await found(engine, category="data") == ["etl"]
    assert await found(engine, source="git") == ["etl"]
    assert await found(engine, source="other") == []
    assert await found(engine, project="none") == []
