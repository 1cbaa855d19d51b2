"""Manifests that run once."""

from __future__ import annotations

from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.jobs import job_history, list_jobs
from windlass.engine.manifests import ManifestText
from windlass.engine.unlisted import keep_unlisted
from windlass.ids import id_text
from windlass.model.manifest.load import Document, load
from windlass.store.jobs import JobFilter


def text(run: str) -> str:
    return f"apiVersion: v1\nkind: Job\nmetadata: {{alias: once}}\nsteps:\n  - {{name: a, run: {run}}}\n"


def document(engine: Engine, run: str = "one") -> Document:
    return load(text(run), "once.yaml", engine.catalog).documents[0]


async def test_it_is_ready_to_run_and_no_list_shows_it(engine: Engine) -> None:
    kept = await keep_unlisted(engine, document(engine), project="default", author="ann")
    assert (kept.alias, kept.number, kept.project) == ("once", 1, "default")
    assert kept.job.steps[0].config == {"run": "one"}
    assert (await list_jobs(engine, JobFilter()))[0] == []
    (made,), _ = await job_history(engine, "default", id_text(kept.job_id))
    assert (made["author"], made["message"]) == ("ann", "exec")


async def test_the_same_content_again_is_the_same_revision(engine: Engine) -> None:
    first = await keep_unlisted(engine, document(engine), project="default")
    again = await keep_unlisted(engine, document(engine), project="default")
    other = await keep_unlisted(engine, document(engine, "two"), project="default")
    elsewhere = await keep_unlisted(engine, document(engine), project="other")
    assert again.revision_id == first.revision_id
    assert (other.job_id, other.number) == (first.job_id, 2)
    assert (elsewhere.job_id != first.job_id, elsewhere.number) == (True, 1)


async def test_a_listed_job_of_the_same_name_is_left_alone(engine: Engine) -> None:
    await apply(engine, [ManifestText("a.yaml", text("listed"))], ApplyOptions())
    kept = await keep_unlisted(engine, document(engine), project="default")
    answer = await apply(engine, [ManifestText("a.yaml", text("listed"))], ApplyOptions(prune=True))
    assert (answer.unchanged, answer.pruned, answer.revisions) == (("once",), (), {"once": 1})
    assert kept.number == 1
