"""Applying manifests: idempotent, one transaction for the call, provenance and prune."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from windlass.clock import ManualClock
from windlass.engine.applying import Applied, ApplyOptions, apply
from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.jobs import delete_job, enable_job, find_compiled, get_job, job_history, list_jobs
from windlass.engine.manifests import ManifestText
from windlass.errors import Conflict, InvalidDocument, NotFound, UserError
from windlass.model.apply_plan import Provenance
from windlass.store.jobs import JobFilter
from windlass.store.transaction import Transaction

GIT = Provenance(source="git", repo="ssh://git@host/ops.git", ref="main", commit="1111")


def manifest(alias: str, run: str = "true", **metadata: Any) -> str:
    labels = "".join(f'\n    {name}: "{value}"' for name, value in metadata.items())
    return f"""
apiVersion: v1
kind: Job
metadata:
  alias: {alias}{
        ""
        if not labels
        else f'''
  labels:{labels}'''
    }
steps:
  - name: only
    run: "{run}"
"""


async def applied(engine: Engine, *texts: str, **options: Any) -> Applied:
    return await apply(
        engine,
        [ManifestText(f"{number}.yaml", text) for number, text in enumerate(texts, start=1)],
        ApplyOptions(**options),
    )


async def aliases(engine: Engine) -> list[str]:
    return [job["alias"] for job in (await list_jobs(engine, JobFilter(project="default")))[0]]


@pytest.mark.promise("C03")
async def test_the_same_content_makes_no_new_revision(engine: Engine) -> None:
    first = await applied(engine, manifest("a"), manifest("b"))
    assert first.to_json() == {"created": ["a", "b"], "changed": [], "unchanged": [], "pruned": [], "warnings": []}
    again = await applied(engine, "# a comment\n" + manifest("a"), manifest("b", run="false"))
    assert (again.created, again.changed, again.unchanged) == ((), ("b",), ("a",))
    assert again.revisions == {"a": 1, "b": 2}
    back = await applied(engine, manifest("b"))
    assert back.revisions == {"b": 3}


@pytest.mark.promise("O04", part="history")
async def test_each_revision_says_who_made_it_when_and_why(engine: Engine, clock: ManualClock) -> None:
    await applied(engine, manifest("a"), author="ann", message="first")
    clock.advance(3600)
    await applied(engine, manifest("a", run="false"), author="bob", message="fixed", provenance=GIT)
    history, cursor = await job_history(engine, "default", "a")
    assert [(one["revision"], one["author"], one["message"]) for one in history] == [
        (2, "bob", "fixed"),
        (1, "ann", "first"),
    ]
    assert [one["createdAt"] for one in history] == ["2025-06-15T16:06:40.000000Z", "2025-06-15T15:06:40.000000Z"]
    assert history[0]["provenance"] == GIT.to_json() | {"path": "1.yaml"}
    assert cursor is None


@pytest.mark.promise("C03")
async def test_one_bad_document_refuses_the_call_with_every_finding(engine: Engine) -> None:
    bad = manifest("b").replace("steps", "stebs")
    worse = manifest("c").replace("run:", "rum:")
    with pytest.raises(InvalidDocument) as refused:
        await applied(engine, manifest("a"), bad, worse)
    files = {finding.position.file for finding in refused.value.findings if finding.position}
    assert files == {"2.yaml", "3.yaml"}
    assert await aliases(engine) == []


@pytest.mark.promise("C03")
async def test_one_conflict_refuses_the_call_and_names_all(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"), provenance=GIT)
    other = Provenance(source="other")
    with pytest.raises(Conflict) as refused:
        await applied(
            engine, manifest("new"), manifest("a", run="1"), manifest("b", run="2"), provenance=other, prune=True
        )
    assert str(refused.value).splitlines() == [
        f'job "{alias}" belongs to source "git" and was not applied from source "other": '
        "change it there, or take it over with --force"
        for alias in ("a", "b")
    ]
    assert await aliases(engine) == ["a", "b"]
    forced = await applied(engine, manifest("a", run="1"), provenance=other, force=True)
    assert forced.changed == ("a",)
    assert (await get_job(engine, "default", "a"))["provenance"] == {"source": "other", "path": "1.yaml"}


async def test_a_new_commit_with_the_same_content_moves_provenance_and_nothing_else(engine: Engine) -> None:
    await applied(engine, manifest("a"), provenance=GIT)
    moved = Provenance(source="git", repo=GIT.repo, ref="main", commit="2222")
    again = await applied(engine, manifest("a"), provenance=moved)
    assert again.unchanged == ("a",)
    job = await get_job(engine, "default", "a")
    assert (job["revision"], job["provenance"]["commit"]) == (1, "2222")


async def test_by_hand_a_job_of_a_source_stays_with_it_unless_forced(engine: Engine) -> None:
    await applied(engine, manifest("a"), provenance=GIT)
    assert (await applied(engine, manifest("a"))).unchanged == ("a",)
    assert (await get_job(engine, "default", "a"))["provenance"]["source"] == "git"
    with pytest.raises(Conflict):
        await applied(engine, manifest("a", run="false"))
    await applied(engine, manifest("a"), force=True)
    assert (await get_job(engine, "default", "a"))["provenance"] is None


async def test_a_job_that_another_source_takes_over_says_so_in_its_history(engine: Engine) -> None:
    await applied(engine, manifest("a"), provenance=GIT, author="ann")
    other = Provenance(source="other")
    taken = await applied(engine, manifest("a"), provenance=other, author="bob", force=True, message="moved")
    assert (taken.unchanged, taken.revisions) == (("a",), {"a": 2})
    assert (await applied(engine, manifest("a"), provenance=other)).revisions == {"a": 2}
    await applied(engine, manifest("a"), author="cid", force=True)
    history, _ = await job_history(engine, "default", "a")
    assert [(one["revision"], one["author"], one["message"]) for one in history] == [
        (3, "cid", 'taken over: source "other" before, by hand now'),
        (2, "bob", 'moved (taken over: source "git" before, source "other" now)'),
        (1, "ann", None),
    ]
    assert len({one["digest"] for one in history}) == 1


@pytest.mark.promise("C04", part=("prune", "protected labels"))
async def test_prune_deletes_what_the_source_no_longer_has(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"), manifest("c", **{"windlass/protected": "true"}), provenance=GIT)
    await applied(engine, manifest("by-hand"))
    answer = await applied(engine, manifest("a"), provenance=GIT, prune=True)
    assert (answer.unchanged, answer.pruned) == (("a",), ("b",))
    assert answer.warnings == ('job "c" is protected by its label windlass/protected and was not pruned',)
    assert await aliases(engine) == ["a", "by-hand", "c"]


@pytest.mark.promise("C04", part="prune")
async def test_a_pruned_job_that_comes_back_keeps_its_history(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"))
    before = await get_job(engine, "default", "b")
    await applied(engine, manifest("a"), prune=True)
    with pytest.raises(NotFound):
        await get_job(engine, "default", "b")
    same = await applied(engine, manifest("b"))
    assert (same.created, same.revisions) == (("b",), {"b": 1})
    await delete_job(engine, "default", "b")
    other = await applied(engine, manifest("b", run="false"))
    assert (other.created, other.revisions) == (("b",), {"b": 2})
    after = await get_job(engine, "default", "b")
    assert (after["id"], after["deletedAt"]) == (before["id"], None)
    assert [one["revision"] for one in (await job_history(engine, "default", "b"))[0]] == [2, 1]


@pytest.mark.promise("C03")
async def test_a_run_keeps_its_revision_whatever_becomes_of_the_job(engine: Engine) -> None:
    await applied(engine, manifest("a", run="old"))
    pinned = await engine.store.read(find_compiled, engine, "default", "a")
    await applied(engine, manifest("a", run="new"))
    await delete_job(engine, "default", "a")
    engine.jobs.forget(pinned.revision_id)
    again = await engine.store.read(compiled, engine.jobs, pinned.revision_id)
    assert again is not pinned
    assert (again.number, again.job) == (1, pinned.job)
    assert again.job.steps[0].config == {"run": "old"}


async def test_a_disabled_job_stays_so_when_it_changes(engine: Engine) -> None:
    await applied(engine, manifest("a"))
    await enable_job(engine, "default", "a", enabled=False)
    await applied(engine, manifest("a", run="false"))
    assert (await get_job(engine, "default", "a"))["enabled"] is False


@pytest.mark.promise("C05")
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(engine: Engine) -> None:
    await applied(engine, manifest("a"), manifest("b"), manifest("d"))
    before = await list_jobs(engine, JobFilter())
    texts = (manifest("a"), manifest("b", run="false"), manifest("c"))
    told = await applied(engine, *texts, prune=True, dry_run=True)
    assert await list_jobs(engine, JobFilter()) == before
    done = await applied(engine, *texts, prune=True)
    assert told.to_json() == done.to_json()
    assert (done.created, done.changed, done.unchanged, done.pruned) == (("c",), ("b",), ("a",), ("d",))


async def test_bad_documents_are_held_back_one_by_one_when_asked(engine: Engine) -> None:
    await applied(engine, manifest("theirs"), provenance=GIT)
    await applied(engine, manifest("old"))
    bad = manifest("bad").replace("steps", "stebs")
    answer = await applied(
        engine, manifest("a") + "---" + bad, manifest("theirs", run="1"), per_document=True, prune=True
    )
    assert answer.created == ("a",)
    assert answer.pruned == ()
    assert "nothing was pruned, because documents were held back" in answer.warnings
    assert any("1.yaml" in line and "stebs" in line for line in answer.held)
    assert any(line.startswith("2.yaml:") and 'belongs to source "git"' in line for line in answer.held)
    assert answer.to_json()["held"] == list(answer.held)
    assert await aliases(engine) == ["a", "old", "theirs"]


async def test_one_name_twice_in_a_call_is_an_error_with_both_places(engine: Engine) -> None:
    other = manifest("b") + "---" + manifest("a", run="false")
    with pytest.raises(InvalidDocument) as refused:
        await applied(engine, manifest("a").lstrip(), other)
    (finding,) = refused.value.findings
    assert finding.message == 'job "a" is in this call twice: the first one is at 1.yaml:1:1'
    assert finding.position is not None
    assert (finding.position.file, finding.position.line > len(manifest("b").splitlines())) == ("2.yaml", True)


async def test_warnings_come_with_their_place(engine: Engine) -> None:
    answer = await applied(engine, manifest("a") + "triggers: [{type: http, configuration: {path: x}}]\n")
    assert len(answer.warnings) == 1
    assert answer.warnings[0].startswith("1.yaml:")
    assert "not yet in force: http triggers" in answer.warnings[0]


async def test_a_step_that_runs_a_job_nobody_has_is_warned_of(engine: Engine) -> None:
    def uses(alias: str, *jobs: str) -> str:
        steps = "".join(f"\n- {{name: s{number}, uses: {{job: {job}}}}}" for number, job in enumerate(jobs))
        return f"apiVersion: v1\nkind: Job\nmetadata: {{alias: {alias}}}\nsteps:{steps}"

    await applied(engine, manifest("stored"))
    answer = await applied(engine, uses("top", "stored", "beside", "nobody"), manifest("beside"))
    assert len(answer.warnings) == 1
    assert answer.warnings[0].endswith('warning: step "s2" runs job "nobody", which project default does not have')
    assert answer.created == ("top", "beside")


async def test_a_retention_policy_that_never_acts_is_warned_of(engine: Engine) -> None:
    def policy(name: str, spec: str) -> str:
        return f"apiVersion: v1\nkind: RetentionPolicy\nmetadata: {{name: {name}}}\nspec: {spec}"

    answer = await applied(
        engine,
        policy("b", "{jobs: [x, 'y*'], minAge: 1h, to: delete}"),
        policy("a", "{jobs: ['y*', x], minAge: 2h}"),
        policy("c", "{jobs: [x], minAge: 2h, to: delete}"),
    )
    (warning,) = answer.warnings
    assert warning == (
        "1.yaml:1:1: warning: RetentionPolicy/b is about the same runs as RetentionPolicy/a, which comes first by its "
        "name and says to: archive; this one, to: delete, never acts"
    )


async def test_applying_nothing_is_refused_even_with_prune(engine: Engine) -> None:
    await applied(engine, manifest("a"))
    with pytest.raises(UserError, match="There is no job to apply"):
        await apply(engine, [], ApplyOptions(prune=True))
    assert await aliases(engine) == ["a"]


async def test_projects_do_not_see_each_other(engine: Engine) -> None:
    await applied(engine, manifest("a", run="1"))
    await applied(engine, manifest("a", run="2"), project="other")
    await applied(engine, manifest("b"), project="other", prune=True)
    assert await aliases(engine) == ["a"]
    with pytest.raises(NotFound):
        await get_job(engine, "other", "a")


@pytest.mark.promise("C03")
async def test_callers_at_the_same_time_make_one_revision_for_each_content(engine: Engine) -> None:
    answers = await asyncio.gather(*(applied(engine, manifest("a", run=str(n % 2))) for n in range(20)))
    assert sum(len(answer.created) for answer in answers) == 1
    last = (await get_job(engine, "default", "a"))["revision"]
    history, _ = await job_history(engine, "default", "a", limit=100)
    assert [one["revision"] for one in history] == list(range(last, 0, -1))
    digests = [one["digest"] for one in history]
    assert all(one != other for one, other in pairwise(digests))
    assert {answer.revisions["a"] for answer in answers} == set(range(1, last + 1))


async def test_a_failed_call_leaves_nothing_in_the_cache(engine: Engine) -> None:
    class Mishap(Exception):
        pass

    def fail_after_compiling(tx: Transaction) -> None:
        find_compiled(tx, engine, "default", "a")
        raise Mishap

    await applied(engine, manifest("a", run="1"))
    with pytest.raises(Mishap):
        await engine.store.run(fail_after_compiling)
    await applied(engine, manifest("a", run="2"))
    found = await engine.store.read(find_compiled, engine, "default", "a")
    assert (found.number, found.job.steps[0].config) == (2, {"run": "2"})
