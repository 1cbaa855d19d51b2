"""Claims as JSON, and back; the revisions that they are of go beside them, once each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.engine.claim import Claim, StepResult
from windlass.engine.compiled import CompiledJob
from windlass.errors import UserError
from windlass.ids import id_text, parse_id


def claim_json(claim: Claim) -> dict[str, Any]:
    """Return a claim as JSON, without its job: only the id of its revision."""
    return {
        "queueId": claim.queue_id,
        "fence": claim.fence,
        "runId": id_text(claim.run_id),
        "task": claim.task,
        "attempt": claim.attempt,
        "revisionId": claim.job.revision_id,
        "step": claim.step_number,
        "key": claim.key,
        "values": dict(claim.values),
        "parameters": claim.parameters,
        "createdAt": claim.created_at,
        "queuedAt": claim.queued_at,
        "firstStartedAt": claim.first_started_at,
        "startedAt": claim.started_at,
        "trigger": claim.trigger,
        "correlationId": claim.correlation_id,
        "single": claim.single,
        "limited": claim.limited,
        "empty": claim.empty,
        "results": {name: _result_json(result) for name, result in claim.results.items()},
    }


def read_claim(data: Mapping[str, Any], job: CompiledJob) -> Claim:
    """Return the claim behind its JSON, of a job that is known here."""
    return Claim(
        queue_id=data["queueId"],
        fence=data["fence"],
        run_id=id_of(data["runId"]),
        task=data["task"],
        attempt=data["attempt"],
        job=job,
        step_number=data["step"],
        key=data["key"],
        values=data["values"],
        parameters=data["parameters"],
        created_at=data["createdAt"],
        queued_at=data["queuedAt"],
        first_started_at=data["firstStartedAt"],
        started_at=data["startedAt"],
        trigger=data["trigger"],
        correlation_id=data["correlationId"],
        single=data["single"],
        limited=data["limited"],
        empty=data["empty"],
        results={name: _read_result(result) for name, result in data["results"].items()},
    )


def id_of(text: Any) -> bytes:
    """Return the id behind its text. Raises UserError where it is none."""
    found = parse_id(text) if isinstance(text, str) else None
    if found is None:
        raise UserError(f"{str(text)[:80]!r} is no id.")
    return found


def _result_json(result: StepResult) -> dict[str, Any]:
    items = result.items
    return {
        "state": result.state,
        "outputs": dict(result.outputs),
        "exitCode": result.exit_code,
        "items": None if items is None else {key: _result_json(item) for key, item in items.items()},
    }


def _read_result(data: Mapping[str, Any]) -> StepResult:
    items = data["items"]
    return StepResult(
        data["state"],
        data["outputs"],
        data["exitCode"],
        None if items is None else {key: _read_result(item) for key, item in items.items()},
    )
