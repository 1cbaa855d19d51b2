"""Runs, tasks, attempts and events in the one shape that the command line, REST and the SDK share: camelCase JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.clock import to_text
from windlass.engine.compiled import CompiledJob
from windlass.engine.step_context import task_id
from windlass.ids import id_text
from windlass.model.event import Event
from windlass.model.fanout import Expansion
from windlass.model.state import TASK_FINAL
from windlass.store.artifacts import ArtifactRow
from windlass.store.tasks import AttemptRow, TaskRow

#: What stands in place of a secret.
HIDDEN = "***"


def run_shape(
    row: Any, job: CompiledJob | None, counts: Mapping[str, int] | None = None, awaits: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return a run, made of its row, its job and, while it is not final, the live counts of its tasks.

    `awaits` are the runs that it waits for.

    Where its job cannot be read (None), nobody knows which parameters are secret, and none is shown.
    """
    progress = _json(row.progress) or {}
    said = progress.get("percent")
    shown_counts = _json(row.counts) or dict(counts or {})
    return {
        "id": id_text(row.id),
        "project": row.project,
        "job": row.job,
        "revision": row.revision,
        "state": row.state,
        "reason": row.reason,
        "priority": row.priority,
        "queue": row.queue,
        "parameters": shown_parameters(row.parameters, job),
        "labels": _json(row.labels) or {},
        "note": row.note,
        "trigger": _json(row.trigger),
        "parentId": _id(row.parent_id),
        "rootId": _id(row.root_id) or id_text(row.id),
        "planChecksum": row.plan_checksum,
        "correlationId": row.correlation_id,
        "idempotencyKey": row.idempotency_key,
        "scheduledAt": _time(row.scheduled_at),
        "createdAt": _time(row.created_at),
        "queuedAt": _time(row.queued_at),
        "startedAt": _time(row.started_at),
        "finishedAt": _time(row.finished_at),
        "deadline": _time(row.deadline if row.up_at is None else row.up_at),
        "cleanupUntil": None if row.up_at is None else _time(row.deadline),
        "cancelRequestedAt": _time(row.cancel_requested_at),
        "restoredAt": _time(row.restored_at),
        "sla": _sla(row.sla),
        "deleting": bool(row.deleting),
        "waitingFor": _waiting_for(row, awaits),
        "progress": {
            "percent": _percent(shown_counts) if said is None or row.state == "completed" else said,
            "message": progress.get("message"),
            "items": progress.get("items"),
        },
        "counts": shown_counts,
        "allowedFailures": row.allowed_failures,
        "error": _json(row.error),
        "outputs": _json(row.outputs) or {},
    }


def task_shape(run_id: bytes, row: TaskRow, job: CompiledJob, places: Places) -> dict[str, Any]:
    """Return a task of a run."""
    step, key = places.of(row.task)
    definition = job.job.steps[step]
    return {
        "id": task_id(run_id, row.task),
        "runId": id_text(run_id),
        "step": definition.name,
        "key": key,
        "type": definition.type,
        "state": row.state,
        "reason": row.reason,
        "attempt": row.attempt,
        "maxAttempts": definition.retry.attempts,
        "allowFailure": definition.allow_failure,
        "outputs": row.outputs or {},
        "branches": row.branches,
        "exitCode": row.exit_code,
        "error": row.error,
        "worker": row.worker,
        "queuedAt": _time(row.queued_at),
        "startedAt": _time(row.started_at),
        "finishedAt": _time(row.finished_at),
        "dueAt": _time(row.wake_at),
        "keptFrom": _id(row.kept_from),
    }


def attempt_shape(run_id: bytes, row: AttemptRow, job: CompiledJob, places: Places) -> dict[str, Any]:
    """Return an attempt of a task."""
    step, key = places.of(row.task)
    return {
        "taskId": task_id(run_id, row.task),
        "step": job.job.steps[step].name,
        "key": key,
        "number": row.number,
        "worker": row.worker,
        "outcome": row.outcome,
        "exitCode": row.exit_code,
        "error": row.error,
        "startedAt": _time(row.started_at),
        "finishedAt": _time(row.finished_at),
        "cpuSeconds": None if row.cpu_micros is None else row.cpu_micros / 1_000_000,
        "maxRssBytes": row.max_rss_bytes,
        "bytesOut": row.bytes_out,
        "logBytes": row.log_bytes,
    }


def artifact_shape(run_id: bytes, row: ArtifactRow, job: CompiledJob, places: Places) -> dict[str, Any]:
    """Return a kept file of a run; `path` is where its bytes are, relative to the artifact folder."""
    step, key = places.of(row.task)
    return {
        "taskId": task_id(run_id, row.task),
        "step": job.job.steps[step].name,
        "key": key,
        "attempt": row.attempt,
        "name": row.name,
        "size": row.size,
        "sha256": row.sha256,
        "path": row.path,
        "createdAt": to_text(row.created_at),
        "home": row.home,
    }


def event_shape(event: Event) -> dict[str, Any]:
    """Return an event; one from outside says besides where it comes from.

    `cursor` is what a reader goes on behind; one that was just told, and not read, has none.
    """
    told = {
        "seq": event.seq,
        "type": event.type,
        "runId": _id(event.run_id),
        "taskId": None if event.run_id is None or event.task is None else task_id(event.run_id, event.task),
        "at": to_text(event.at),
    }
    if event.cursor:
        told["cursor"] = event.cursor
    if event.run_id is None and "project" in event.data:
        return {**told, **event.data}
    data = {name: _time(value) if name in {"at", "until", "due"} else value for name, value in event.data.items()}
    return {**told, "data": data}


class Places:
    """Which step and which matrix cell each task of a run stands for."""

    def __init__(self, job: CompiledJob, expansion: str | None) -> None:
        """Read the expansion that was kept with the run; without one each step has one task."""
        self._places: list[tuple[int, str]] | None = None
        if expansion is not None:
            cells = Expansion.from_json(orjson.loads(expansion)).cells
            self._places = [
                (step, cell.key) if cell is not None else (step, "")
                for step, found in enumerate(cells)
                for cell in (found or (None,))
            ]
        self._steps = len(job.job.steps)

    def of(self, task: int) -> tuple[int, str]:
        """Return the number of a task's step and the key of its cell."""
        return (task, "") if self._places is None else self._places[task]


def shown_parameters(text: str | None, job: CompiledJob | None) -> dict[str, Any]:
    """Return the parameters of a run by name; secret ones are hidden, all where its job cannot be read (None)."""
    parameters = _json(text) or {}
    secret = frozenset(parameters) if job is None else secret_names(job)
    return {name: HIDDEN if name in secret else value for name, value in parameters.items()}


def secret_names(job: CompiledJob) -> frozenset[str]:
    """Return the names of a job's secret parameters."""
    return frozenset(name for name, schema in (job.job.parameters or {}).items() if schema.get("secret") is True)


def _waiting_for(row: Any, awaits: Sequence[Any]) -> Any:
    """Return what a run waits for: whatever was noted with it, and the runs that must end first."""
    noted = _json(row.waiting_for)
    if not awaits:
        return noted
    runs = [{"id": id_text(one.id), "job": one.job, "state": one.state, "condition": one.condition} for one in awaits]
    return {**(noted or {}), "runs": runs}


def _sla(text: str | None) -> dict[str, Any] | None:
    """Return by when a run should have ended, and what of that it missed; None where its job promises nothing."""
    if text is None:
        return None
    times = {"due", "missedAt"}
    return {
        name: {"missedAt": None} | {key: to_text(value) if key in times else value for key, value in one.items()}
        for name, one in orjson.loads(text).items()
    }


def _percent(counts: Mapping[str, int]) -> float:
    """Return how much of a run is done by the tasks that are final."""
    final = sum(counts.get(state, 0) for state in TASK_FINAL)
    total = sum(counts.values())
    return round(100.0 * final / total, 1) if total else 0.0


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _id(value: bytes | None) -> str | None:
    return None if value is None else id_text(value)


def _time(value: int | None) -> str | None:
    return None if value is None else to_text(value)
