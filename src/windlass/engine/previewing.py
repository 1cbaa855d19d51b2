"""Showing what a run would do before it starts: nothing is written, no secret is read."""

from __future__ import annotations

from typing import Any

import orjson

from windlass.engine.compiled import CompiledJob
from windlass.engine.engine import Engine
from windlass.engine.job_diff import changes_json
from windlass.engine.jobs import find_compiled, find_revision, split_reference
from windlass.engine.shapes import HIDDEN, secret_names
from windlass.engine.starting import Start, checked, points
from windlass.ids import id_text
from windlass.model.diff import diff_jobs
from windlass.model.fanout import expand_job, fans_out
from windlass.model.fanout_axes import axis_values
from windlass.model.in_force import not_in_force
from windlass.model.preview import preview_job
from windlass.store import runs as stored_runs
from windlass.store.jobs import job_by_id
from windlass.store.revisions import revision
from windlass.store.runs import RunFilter
from windlass.store.transaction import Transaction


async def preview(engine: Engine, start: Start) -> dict[str, Any]:
    """Return what the run would do that `start` asks for, and what changed since the last run of the job.

    Raises what `start_run` would raise.
    """
    job, content, last = await engine.store.read(_facts, engine, start)
    parameters = checked(engine, job, start.parameters, start.texts)
    secret = secret_names(job)
    shown = {name: HIDDEN if name in secret else value for name, value in parameters.items()}
    context = {
        "parameters": shown,
        "steps": {},
        "run": {"id": "", "createdAt": "", "correlationId": start.correlation_id, "trigger": {}, "attempt": 1},
        "job": {"alias": job.alias, "revision": job.number},
        "project": job.project,
    }
    expansion = None
    if fans_out(job.job):
        expansion = expand_job(job.job, axis_values(parameters), limit=engine.settings.max_fan_out)
    compiled = tuple(job.step(number, engine.catalog) for number in range(len(job.job.steps)))
    steps = preview_job(job.job, job.graph, compiled, context, expansion)
    return {
        "job": job.alias,
        "project": job.project,
        "revision": job.number,
        "parameters": shown,
        "priority": job.job.priority if start.priority is None else points(start.priority),
        "queue": job.job.queue,
        "timeout": job.job.timeout,
        "tasks": sum(step["tasks"] for step in steps),
        "layers": [[job.graph.names[number] for number in layer] for layer in job.graph.layers()],
        "steps": steps,
        "secrets": sorted({name for step in steps for name in step["secrets"]}),
        "lastRun": None if last is None else _since(job, content, shown, last),
        "warnings": [f"not yet in force: {name}" for _, name in not_in_force(content, engine.catalog)],
    }


def _facts(tx: Transaction, engine: Engine, start: Start) -> tuple[CompiledJob, dict[str, Any], dict[str, Any] | None]:
    """Read the job, its content, and its last run with the content that one ran."""
    alias, name = split_reference(start.job, start.revision)
    job = find_compiled(tx, engine, start.project, alias)
    stored = job_by_id(tx, job.job_id)
    if name is not None and stored is not None:
        found = find_revision(tx, stored, name)
        job = engine.jobs.compile(
            revision_id=found.id,
            job_id=found.job_id,
            project=found.project,
            alias=found.alias,
            number=found.number,
            content=orjson.loads(found.content),
        )
    runs = stored_runs.list_runs(tx, RunFilter(job_id=job.job_id, limit=1))
    last = {"row": runs[0], "content": _content(tx, runs[0].revision_id)} if runs else None
    return job, _content(tx, job.revision_id), last


def _content(tx: Transaction, revision_id: int) -> dict[str, Any]:
    found = revision(tx, revision_id)
    return {} if found is None else dict(orjson.loads(found.content))


def _since(job: CompiledJob, content: dict[str, Any], shown: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from the last run: the definition by field, and the parameters."""
    row = last["row"]
    secret = secret_names(job)
    before = {name: HIDDEN if name in secret else value for name, value in orjson.loads(row.parameters).items()}
    return {
        "id": id_text(row.id),
        "state": row.state,
        "revision": row.revision,
        "changes": changes_json(diff_jobs(last["content"], content)),
        "parameters": {
            name: {"before": before.get(name), "now": shown.get(name)}
            for name in sorted({*before, *shown})
            if before.get(name) != shown.get(name)
        },
    }
