"""Resuming runs that have ended: a new run that keeps the results of the steps before, shown before it is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from windlass.engine.book import plain_layout, to_json
from windlass.engine.compiled import CompiledJob
from windlass.engine.engine import Engine
from windlass.engine.reading import get_run
from windlass.engine.shapes import Places, shown_parameters
from windlass.engine.starting import again, ended_run, prepared_revision
from windlass.engine.submission import Accepted, accept, require_startable
from windlass.errors import Conflict, NotFound
from windlass.ids import id_text
from windlass.model.did_you_mean import suggestion
from windlass.model.fanout import Expansion
from windlass.model.resuming import EndedTask, ResumePlan, plan_resume
from windlass.store.dead_letters import settle_dead
from windlass.store.hot import insert_facts
from windlass.store.rows import NewFact
from windlass.store.tasks import TaskRow, tasks_of
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A run to resume, as somebody asks for it."""

    run_id: bytes
    #: Names of steps that are done again in any case.
    start: Sequence[str] = ()
    #: Whether tasks of fanned-out steps that ended well are kept.
    only_failed: bool = False
    by: str | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None


async def preview_resume(engine: Engine, resume: Resume) -> dict[str, Any]:
    """Return what resuming a run would keep and do again, without doing it; raises as `resume_run` does."""
    return await engine.store.run(_preview, engine, resume)


async def resume_run(engine: Engine, resume: Resume) -> tuple[dict[str, Any], bool]:
    """Start a run with the revision, parameters and labels of an earlier one, and with the results of its steps before.

    Return the new run, and False where the idempotency key already stood for it.
    Raises NotFound where there is no such run or step, or its job was deleted; Conflict where the run is not final,
    nothing is left to do, or its job is disabled.
    """
    accepted = await engine.store.run(resume_within, engine, resume)
    return await get_run(engine, accepted.run_id), accepted.created


def resume_within(tx: Transaction, engine: Engine, resume: Resume) -> Accepted:
    """Resume a run within a unit of work; its dead letters are settled by that. See `resume_run`."""
    row = ended_run(tx, resume.run_id, "it is resumed")
    prepared = prepared_revision(tx, engine, row.revision_id)
    expansion = _expansion(row.expansion)
    plan = _plan(prepared.job, expansion, tasks_of(tx, resume.run_id), resume)
    submission = again(
        row,
        kind="resume",
        by=resume.by,
        idempotency_key=resume.idempotency_key,
        traceparent=resume.traceparent,
        kept=frozenset(plan.kept),
        more={"from": list(resume.start)} if resume.start else {},
    )
    asked = {"resume": id_text(row.id), "from": list(resume.start), "onlyFailed": resume.only_failed}
    submission = replace(submission, asked=asked)
    require_startable(tx, prepared.job, [submission])
    (accepted,) = accept(tx, engine, prepared, [submission], [expansion])
    if accepted.created:
        settle_dead(tx, resume.run_id, accepted.run_id)
        data = to_json({"run": id_text(accepted.run_id), "by": resume.by})
        insert_facts(tx, [NewFact("run.retried", resume.run_id, None, tx.now, data)])
    return accepted


def _preview(tx: Transaction, engine: Engine, resume: Resume) -> dict[str, Any]:
    row = ended_run(tx, resume.run_id, "it is resumed")
    job = prepared_revision(tx, engine, row.revision_id).job
    require_startable(tx, job)
    rows = tasks_of(tx, resume.run_id)
    plan = _plan(job, _expansion(row.expansion), rows, resume)
    places, kept = Places(job, row.expansion), set(plan.kept)
    return {
        "run": id_text(resume.run_id),
        "job": row.job,
        "revision": row.revision,
        "parameters": shown_parameters(row.parameters, job),
        "kept": len(plan.kept),
        "again": len(plan.again),
        "tasks": [_shown(job, places, task, kept=task.task in kept) for task in rows],
    }


def _shown(job: CompiledJob, places: Places, task: TaskRow, *, kept: bool) -> dict[str, Any]:
    step, key = places.of(task.task)
    return {
        "step": job.job.steps[step].name,
        "key": key,
        "type": job.job.steps[step].type,
        "state": task.state,
        "then": "kept" if kept else "again",
        #: Whether its effect may come a second time.
        "repeats": not kept and task.attempt > 0,
    }


def _plan(job: CompiledJob, expansion: Expansion | None, rows: Sequence[TaskRow], resume: Resume) -> ResumePlan:
    layout = plain_layout(len(job.rules)) if expansion is None else expansion.layout()
    ended: Mapping[int, EndedTask] = {row.task: EndedTask(row.state, row.reason, row.allowed) for row in rows}
    start = {_number(job, name) for name in resume.start}
    plan = plan_resume(job.graph, layout, ended, start=start, only_failed=resume.only_failed)
    if not plan.again:
        raise Conflict(
            f"Every step of run {id_text(resume.run_id)} ended well, nothing is left to do; "
            "--from STEP does that step and those behind it again."
        )
    return plan


def _number(job: CompiledJob, name: str) -> int:
    if name not in job.graph.names:
        raise NotFound(f'Job "{job.alias}" has no step "{name}"{suggestion(name, job.graph.names) or "."}')
    return job.graph.names.index(name)


def _expansion(kept: str | None) -> Expansion | None:
    return None if kept is None else Expansion.from_json(orjson.loads(kept))
