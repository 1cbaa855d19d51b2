"""Runs: started, listed, read, cancelled, run again."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import (
    LABELS,
    LIST_PROJECT,
    PAGE,
    PROJECT,
    ROOT,
    STATES,
    id_cursor,
    listed_project,
    page,
    started,
)
from windlass.api.table import MIB, Body, Route, closed
from windlass.clock import from_text
from windlass.engine.cancellation import cancel
from windlass.engine.engine import Engine
from windlass.engine.executing import execute
from windlass.engine.explaining import why
from windlass.engine.jobs import find_run_job, get_job
from windlass.engine.manifests import ManifestText
from windlass.engine.present import get_run_and_need
from windlass.engine.previewing import preview
from windlass.engine.reading import find_run, get_run, list_attempts, list_runs, list_tasks, run_graph
from windlass.engine.restoring import get_archived
from windlass.engine.run_diff import diff_runs
from windlass.engine.starting import Start, start_run
from windlass.errors import NotFound, Refused, UserError
from windlass.ids import id_text
from windlass.model.durations import parse_duration
from windlass.model.idempotency_key import WHAT_IT_HAS, is_key
from windlass.model.in_force import not_in_force
from windlass.model.pairs import pairs
from windlass.model.trace_context import parse_traceparent
from windlass.store.runs import RunFilter

_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
#: What the start of a run takes.
START: Final = Body(
    schema=closed(
        {
            "parameters": {"type": "object", "description": "values by name"},
            "parameterTexts": _TEXTS | {"description": "values by name as texts, read by the parameters' types"},
            "revision": {"type": ["integer", "string"], "description": "number or tag of a revision"},
            "priority": {"type": ["string", "integer"]},
            "scheduledAt": {"type": "string", "description": "not before this time"},
            "delay": {
                "type": ["string", "number"],
                "description": "not before this much later, such as 90s; instead of scheduledAt",
            },
            "labels": _TEXTS,
            "note": {"type": "string", "maxLength": 4000},
            "correlationId": {"type": "string", "maxLength": 200},
            "parent": {"type": "string", "description": "the run that starts it"},
            "cascade": {"type": "boolean", "description": "whether it is cancelled with its parent; true unless said"},
            "noCache": {"type": "boolean", "description": "take no earlier results of its steps; keep the new ones"},
            "dependsOn": {
                "type": "array",
                "description": "runs that must end first; the condition is success, always or failure",
                "items": {
                    "type": ["string", "object"],
                    "description": "RUN or RUN:condition, or the two as an object",
                    "properties": {"run": {"type": "string"}, "condition": {"type": "string"}},
                    "required": ["run"],
                    "additionalProperties": False,
                },
            },
        }
    )
)
_EXECUTE: Final = Body(
    schema=closed(
        {
            "file": closed({"name": {"type": "string"}, "text": {"type": "string"}}, "name", "text"),
            "folder": {"type": "string", "description": "where its steps start; only on the server's own machine"},
            **{
                name: START.schema["properties"][name]
                for name in ("parameters", "parameterTexts", "priority", "labels", "note", "correlationId", "noCache")
            },
        },
        "file",
    ),
    limit=16 * MIB,
)
#: Cursors of tasks and of attempts: the number of the last task, and of its attempt.
_CURSORS: Final = (re.compile("[0-9]{1,9}"), re.compile(r"[0-9]{1,9}\.[0-9]{1,9}"))


async def start(engine: Engine, request: Request) -> Answer:
    """Start a run of a job."""
    run, created = await start_run(engine, wanted_start(request))
    warnings: list[str] = []
    if created:
        needs = await get_run_and_need(engine, bytes.fromhex(run["id"].replace("-", "")))
        run["waitingFor"] = needs["waitingFor"]
        job = await get_job(engine, run["project"], request.params["job"].partition("@")[0], run["revision"])
        warnings = [f"not yet in force: {name}" for _, name in not_in_force(job["definition"], engine.catalog)]
    return _started(run, warnings, created=created)


async def preview_run(engine: Engine, request: Request) -> Answer:
    """Show what a run would do."""
    data = request.data
    wanted = Start(project=request.query["project"], job=request.params["job"], **start_options(data))
    return Answer(body=await preview(engine, wanted))


async def start_manifest(engine: Engine, request: Request) -> Answer:
    """Run a manifest that is kept as an unlisted revision."""
    data = request.data
    folder = data.get("folder")
    if folder is not None and not request.principal.local:
        raise Refused("folder: only a process on the server's own machine may name one.")
    options = traced(request, start_options(data))
    wanted = Start(project=request.query["project"], job="", idempotency_key=idempotency_key(request), **options)
    text = ManifestText(data["file"]["name"], data["file"]["text"])
    run, findings, created = await execute(engine, text, wanted, folder=folder, by=request.principal.name)
    return _started(run, [str(finding) for finding in findings], created=created)


def wanted_start(request: Request) -> Start:
    """Return what a request to start a job asks for. Raises UserError where that makes no sense."""
    return Start(
        project=request.query["project"],
        job=request.params["job"],
        trigger={"type": "manual", "by": request.principal.name},
        idempotency_key=idempotency_key(request),
        **traced(request, start_options(request.data)),
    )


def _started(run: dict[str, Any], warnings: list[str], *, created: bool) -> Answer:
    return started(run | {"warnings": warnings, "created": created}, created=created)


def start_options(data: Any) -> dict[str, Any]:
    """Return what a body says about a run to start, as `Start` takes it."""
    if data.get("scheduledAt") is not None and data.get("delay") is not None:
        raise UserError("scheduledAt and delay both say when: give one of them.")
    return {
        "parameters": data.get("parameters", {}),
        "texts": data.get("parameterTexts", {}),
        "revision": data.get("revision"),
        "priority": data.get("priority"),
        "scheduled_at": _time(data.get("scheduledAt")),
        "delay": _delay(data.get("delay")),
        "labels": data.get("labels"),
        "note": data.get("note"),
        "correlation_id": data.get("correlationId"),
        "depends_on": data.get("dependsOn", ()),
        "parent": data.get("parent"),
        "cascade": data.get("cascade", True),
        "no_cache": data.get("noCache", False),
    }


def traced(request: Request, options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the caller's trace; its id is the correlation id unless one is given."""
    trace = parse_traceparent(request.headers.get("traceparent"))
    if trace is None:
        return options
    return options | {"traceparent": str(trace), "correlation_id": options["correlation_id"] or trace.trace_id}


async def get_runs(engine: Engine, request: Request) -> Answer:
    """List runs, newest first."""
    query = request.query
    project = listed_project(request)
    reference = request.params.get("job") or query.get("job")
    filters = RunFilter(
        project=project,
        job_id=None if reference is None else await _job_id(engine, project, reference),
        states=query.get("state", ()),
        since=query.get("since"),
        until=query.get("until"),
        labels=pairs(query.get("label", ()), "label"),
        sla_missed=query.get("slaMissed", False),
        before=id_cursor(request),
        limit=query["limit"],
    )
    return page(*await list_runs(engine, filters))


async def get_one(engine: Engine, request: Request) -> Answer:
    """Return a run."""
    return Answer(body=await get_run_and_need(engine, await run_id_of(engine, request)))


async def get_wherever(engine: Engine, request: Request) -> Answer:
    """Return a run, or what the archive says of it where that is asked for."""
    if request.query.get("archived"):
        run_id = await find_run(engine, request.params["run"], archived=True)
        with suppress(NotFound):
            return Answer(body=await get_run_and_need(engine, run_id))
        return Answer(body=await get_archived(engine, id_text(run_id)))
    return Answer(body=await get_run_and_need(engine, await run_id_of(engine, request)))


async def get_progress(engine: Engine, request: Request) -> Answer:
    """Return how far a run is."""
    run = await get_run(engine, await run_id_of(engine, request))
    return Answer(body={name: run[name] for name in ("id", "state", "progress", "counts", "startedAt", "finishedAt")})


async def get_steps(engine: Engine, request: Request) -> Answer:
    """List the tasks of a run, in their order."""
    limit = request.query["limit"]
    (after,) = _numbers(request, "-1")
    found = await list_tasks(engine, await run_id_of(engine, request), after=after, limit=limit)
    return page(found, _number_of(found[-1]["id"]) if len(found) == limit else None)


async def get_executions(engine: Engine, request: Request) -> Answer:
    """List the attempts of a run, by task and number."""
    limit = request.query["limit"]
    task, number = _numbers(request, "-1.0")
    found = await list_attempts(engine, await run_id_of(engine, request), after=(task, number), limit=limit)
    last = found[-1] if len(found) == limit else None
    return page(found, None if last is None else f"{_number_of(last['taskId'])}.{last['number']}")


def _number_of(task_id: str) -> str:
    return task_id.rpartition(".")[2]


def _numbers(request: Request, first: str) -> list[int]:
    """Return the numbers that a cursor is made of; without one those of `first`, which come before all others."""
    text = request.query.get("cursor")
    if text is None:
        text = first
    elif not _CURSORS[first.count(".")].fullmatch(text):
        raise UserError(f'"{text[:80]}" is no cursor of this list: take it from the page before.')
    return [int(number) for number in text.split(".")]


async def get_children(engine: Engine, request: Request) -> Answer:
    """List the runs that a run started, newest first."""
    filters = RunFilter(
        parent_id=await run_id_of(engine, request), before=id_cursor(request), limit=request.query["limit"]
    )
    return page(*await list_runs(engine, filters))


async def get_graph(engine: Engine, request: Request) -> Answer:
    """Return the graph of a run with its tasks' states."""
    return Answer(body=await run_graph(engine, await run_id_of(engine, request)))


async def get_why(engine: Engine, request: Request) -> Answer:
    """Say why a run, or a step of it, is in its state."""
    step, key = request.query.get("step"), request.query.get("key")
    if key is not None and step is None:
        raise UserError("key names a task of a step: give the step too.")
    return Answer(body=await why(engine, await run_id_of(engine, request), step, key))


async def diff_one(engine: Engine, request: Request) -> Answer:
    """Say how another run differs from this one."""
    left = await run_id_of(engine, request)
    right = await find_run(engine, request.query["other"])
    return Answer(body=await diff_runs(engine, left, right, logs=request.query["logs"]))


async def cancel_one(engine: Engine, request: Request) -> Answer:
    """Ask a run to stop."""
    run_id = await run_id_of(engine, request)
    again = await cancel(engine, run_id, by=request.principal.name)
    return Answer(status=202, body=await get_run(engine, run_id) | {"again": again})


async def run_id_of(engine: Engine, request: Request) -> bytes:
    """Return the id of the run that a path names. Raises NotFound where it is none of the named job's."""
    run_id = await find_run(engine, request.params["run"])
    alias = request.params.get("job")
    if alias is not None:
        run = await get_run(engine, run_id)
        if (run["project"], run["job"]) != (request.query["project"], alias):
            raise NotFound(f'Job "{alias}" has no run {request.params["run"]}.')
    return run_id


async def _job_id(engine: Engine, project: str | None, reference: str) -> bytes:
    found = await engine.store.read(find_run_job, project or "default", reference)
    return found.id


def idempotency_key(request: Request) -> str | None:
    """Return the key that a request names; None where it has none. Raises UserError where it cannot be one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not is_key(key):
        raise UserError(f"An Idempotency-Key {WHAT_IT_HAS}.")
    return key


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else from_text(text)
    except (ValueError, OverflowError):
        raise UserError(f'scheduledAt: "{text}" is no time such as 2026-01-31T12:00:00Z.') from None


def _delay(value: str | float | None) -> float | None:
    try:
        return None if value is None else parse_duration(str(value))
    except ValueError:
        raise UserError(f'delay: "{str(value)[:80]}" is no duration such as 90s, 15m or 1h30m.') from None


_RUN: Final = f"{ROOT}/runs/{{run}}"
_FILTERS: Final = (
    LIST_PROJECT,
    STATES,
    Query("slaMissed", "only runs that missed what the `sla` of their job promises", "boolean"),
    Query("since", "created at this time or later", "time"),
    Query("until", "created before this time", "time"),
    LABELS,
    *PAGE,
)
ROUTES: Final = (
    Route(
        method="POST",
        path=f"{ROOT}/jobs/{{job}}/run",
        permission="operate",
        handler=start,
        changes=True,
        summary="Start a run; with an Idempotency-Key a second request returns the first one's run.",
        query=(PROJECT,),
        body=START,
    ),
    Route(
        method="POST",
        path=f"{ROOT}/jobs/{{job}}/preview",
        permission="view",
        handler=preview_run,
        changes=False,
        summary="Show what a run of the job would do, without starting it.",
        query=(PROJECT,),
        body=START,
    ),
    Route(
        method="POST",
        path=f"{ROOT}/runs",
        permission="edit",
        handler=start_manifest,
        changes=True,
        summary="Run a manifest here and now, without storing a job that lists show.",
        query=(PROJECT,),
        body=_EXECUTE,
    ),
    Route(
        method="GET",
        path=f"{ROOT}/runs",
        permission="view",
        handler=get_runs,
        summary="List runs, newest first.",
        query=(Query("job", "alias or id of a job"), *_FILTERS),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/jobs/{{job}}/runs",
        permission="view",
        handler=get_runs,
        summary="List the runs of a job, newest first.",
        query=_FILTERS,
    ),
    Route(
        method="GET",
        path=f"{ROOT}/jobs/{{job}}/runs/{{run}}",
        permission="view",
        handler=get_one,
        summary="Return a run of a job.",
        query=(PROJECT,),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/jobs/{{job}}/runs/{{run}}/tasks",
        permission="view",
        handler=get_steps,
        summary="List the tasks of a run of a job.",
        query=(PROJECT, *PAGE),
    ),
    Route(
        method="GET",
        path=_RUN,
        permission="view",
        handler=get_wherever,
        summary="Return a run.",
        query=(
            Query("archived", "look into the archive too; of a run that only that has, what it says of it", "boolean"),
        ),
    ),
    Route(
        method="GET",
        path=f"{_RUN}/progress",
        permission="view",
        handler=get_progress,
        summary="Return how far a run is.",
    ),
    Route(
        method="GET",
        path=f"{_RUN}/steps",
        permission="view",
        handler=get_steps,
        summary="List the tasks of a run, in their order.",
        query=PAGE,
    ),
    Route(
        method="GET",
        path=f"{_RUN}/executions",
        permission="view",
        handler=get_executions,
        summary="List the attempts of a run, by task and number.",
        query=PAGE,
    ),
    Route(
        method="GET",
        path=f"{_RUN}/diff",
        permission="view",
        handler=diff_one,
        summary="Say how another run differs from this one.",
        query=(
            Query("other", "id of the other run", required=True),
            Query("logs", "whether what the steps wrote is compared, too", "boolean", default=False),
        ),
    ),
    Route(
        method="GET",
        path=f"{_RUN}/children",
        permission="view",
        handler=get_children,
        summary="List the runs that a run started, newest first.",
        query=PAGE,
    ),
    Route(
        method="GET",
        path=f"{_RUN}/graph",
        permission="view",
        handler=get_graph,
        summary="Return the graph of a run with the states of its tasks.",
    ),
    Route(
        method="GET",
        path=f"{_RUN}/why",
        permission="view",
        handler=get_why,
        summary="Say why a run, or a step of it, is in its state: the chain of causes.",
        query=(Query("step", "name of a step"), Query("key", "key of one task of the step")),
    ),
    Route(
        method="POST",
        path=f"{_RUN}/cancel",
        permission="operate",
        handler=cancel_one,
        changes=True,
        summary="Ask a run to stop; a second time stops its clean-up too.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/executor/cancel/{{run}}",
        permission="operate",
        handler=cancel_one,
        changes=True,
        summary="Ask a run to stop.",
    ),
)
